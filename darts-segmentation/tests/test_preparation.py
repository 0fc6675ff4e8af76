"""Labelled tiles to patches, against rasterio, geopandas and a plain reading of the store."""

import signal
import subprocess
import sys
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_segmentation.training.labels import SceneLabels, read_labels
from darts_segmentation.training.patch_making import choose_windows, rasterize_labels
from darts_segmentation.training.preparation import prepare_training_data
from darts_segmentation.training.preparation_config import PreparationConfig
from darts_train_utils.patch_store import PatchStore, has_scene
from darts_utils.errors import ConfigError, DartsWarning, OutputError, TrainingDataError
from darts_utils.files import sole_writer
from darts_utils.grids import geobox_of
from darts_utils.testing import example_tile
from darts_utils.tile_io import write_tile

NAMES = ["red", "slope", "quality_data_mask", "valid_data_mask", "s2_scl"]
CONFIG = PreparationConfig(patch_px=16, overlap_px=4)


def a_tile(name="a", shape=(40, 50), date="2021-08-21", **attrs):
    tile = example_tile(NAMES, shape=shape, resolution_m=10.0, seed=len(name) + ord(name[-1]))
    quality = np.ones(shape, bool)
    quality[:6, :9] = False
    tile = tile.assign(quality_data_mask=tile.quality_data_mask.copy(data=quality))
    return tile.assign_attrs(tile_id=name, date=date, sensor="sentinel2", **attrs)


def moved(tile, columns):
    """The same tile somewhere else."""
    shift = columns * 10.0
    reference = tile.spatial_ref.copy()
    numbers = [float(word) for word in reference.attrs["GeoTransform"].split()]
    numbers[0] += shift
    reference.attrs["GeoTransform"] = " ".join(map(repr, numbers))
    return tile.assign_coords(x=tile.x + shift, spatial_ref=reference)


def a_disc(tile, column, row, radius_px=5.0):
    x, y = geobox_of(tile).affine * (column, row)
    return shapely.Point(x, y).buffer(10.0 * radius_px)


def some_labels(*shapes, tile, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=str(geobox_of(tile).crs))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_patches_are_windows_of_the_tile_with_burned_labels(tmp_path):
    tile = a_tile()
    labels = some_labels(a_disc(tile, 20, 20), a_disc(tile, 5, 5), tile=tile)
    report = prepare_training_data([tile], labels, tmp_path, config=CONFIG)
    grid = geobox_of(tile)
    truth = rasterio.features.rasterize(labels.geometry, out_shape=tuple(grid.shape), transform=grid.affine)
    truth[~tile.quality_data_mask.values] = 2
    store = PatchStore(tmp_path)
    assert store.variables == ("red", "slope")
    assert len(store) == report.patches == 12
    for row, facts in enumerate(store.table.to_pylist()):
        window = np.s_[facts["row_px"] : facts["row_px"] + 16, facts["column_px"] : facts["column_px"] + 16]
        values, burned = store.read(row)
        np.testing.assert_array_equal(burned, truth[window])
        np.testing.assert_array_equal(values["red"], tile.red.values[window])
        np.testing.assert_array_equal(values["slope"], tile.slope.values[window])
        inside = tile.isel(y=window[0], x=window[1])
        assert facts["left"] == float(inside.x[0]) - 5
        assert facts["top"] == float(inside.y[0]) + 5
        assert (facts["right"] - facts["left"], facts["top"] - facts["bottom"]) == (160, 160)
        assert (facts["date"], facts["sensor"], facts["crs"]) == ("2021-08-21", "sentinel2", f"EPSG:{grid.crs.epsg}")
        known = burned != 2
        assert facts["known_share"] == known.mean()
        assert facts["positive_share"] == pytest.approx((burned == 1).sum() / known.sum())
    (scene,) = report.scenes
    assert (scene.status, scene.left_out, report.labels, report.repaired) == ("done", 0, 2, 0)


def test_the_radius_of_relative_elevation_is_a_trait_of_the_store(tmp_path):
    tile = a_tile()
    elevation = tile.slope.assign_attrs(outer_radius_m=300.0, inner_radius_m=20.0)
    prepare_training_data(
        [tile.assign(relative_elevation=elevation)],
        some_labels(a_disc(tile, 20, 20), tile=tile),
        tmp_path,
        config=CONFIG,
    )
    assert PatchStore(tmp_path).traits == {
        "relative_elevation_radius_m": 300.0,
        "relative_elevation_inner_radius_m": 20.0,
    }


def test_labels_of_another_crs_are_where_geopandas_puts_them(tmp_path):
    tile = a_tile()
    labels = some_labels(a_disc(tile, 20, 20, 8.0), tile=tile).to_crs("EPSG:4326")
    prepare_training_data([tile], labels, tmp_path, config=CONFIG)
    clipped = gpd.clip(labels.to_crs(str(geobox_of(tile).crs)), shapely.box(*geobox_of(tile).boundingbox.bbox))
    area_px = clipped.area.sum() / 100
    store = PatchStore(tmp_path)
    seen = np.zeros((40, 50), bool)
    for row, facts in enumerate(store.table.to_pylist()):
        r, c = facts["row_px"], facts["column_px"]
        seen[r : r + 16, c : c + 16] |= store.read(row)[1] == 1
    assert seen.sum() == pytest.approx(area_px, rel=0.06)


def test_uncertain_polygons_and_those_of_other_images_are_ignored():
    tile = a_tile()
    one, two = a_disc(tile, 20, 20), a_disc(tile, 26, 20)
    burned = rasterize_labels(tile, SceneLabels(np.array([one]), np.array([two])))
    grid = geobox_of(tile)
    options = dict(out_shape=tuple(grid.shape), transform=grid.affine)
    mine, theirs = (rasterio.features.rasterize([shape], **options) == 1 for shape in (one, two))
    assert (burned[mine] == 1).all()
    assert (burned[theirs & ~mine] == 2).all()
    assert (burned[:6, :9] == 2).all()


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({"sure": ["yes", "No "]}, {"uncertain_column": "sure", "uncertain_values": ("no",)}, (1, 0)),
        ({"doubt": [0.0, 1.0]}, {"uncertain_column": "doubt"}, (1, 0)),
        ({"image": ["a_3B_SR", "b"]}, {"scene_column": "image", "mismatched": "ignore"}, (0, 1)),
        ({"image": [None, "ab"]}, {"scene_column": "image", "mismatched": "ignore"}, (0, 1)),
        (
            {"day": ["2021-08-20", "2020-08-21"]},
            {"date_column": "day", "date_tolerance_days": 1, "mismatched": "ignore"},
            (0, 1),
        ),
    ],
)
def test_what_is_not_certainly_of_the_image_is_never_burned(tmp_path, columns, options, expected):
    tile = a_tile()
    labels = some_labels(a_disc(tile, 14, 20), a_disc(tile, 35, 20), tile=tile, **columns)
    config = replace(CONFIG, **options)
    report = prepare_training_data([tile], labels, tmp_path, config=config)
    assert (report.uncertain, report.mismatched) == expected
    store = PatchStore(tmp_path)
    at = {(facts["row_px"], facts["column_px"]): row for row, facts in enumerate(store.table.to_pylist())}
    assert (store.read(at[12, 12])[1] == 1).any()
    right = store.read(at[12, 34])[1]
    assert (right == 2).any()
    assert not (right == 1).any()


def test_a_polygon_of_another_scene_is_ignored_here_and_burned_there(tmp_path):
    one, two = a_tile("a"), a_tile("b", date="2020-08-21")
    labels = some_labels(a_disc(one, 30, 20), tile=one, day=["2020-08-21"])
    prepare_training_data([one, two], labels, tmp_path, config=replace(CONFIG, date_column="day"))
    store = PatchStore(tmp_path)
    found = {}
    for row, facts in enumerate(store.table.to_pylist()):
        found.setdefault(facts["scene"], set()).update(np.unique(store.read(row)[1]))
    assert found == {"a": {0, 2}, "b": {0, 1, 2}}


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda t: t.set_crs(None, allow_override=True), {}, "labels with a CRS"),
        (lambda t: t.iloc[:0], {}, "none of 0 has an area"),
        (lambda t: t.assign(geometry=t.centroid), {}, "2 of 2 are points or lines"),
        (
            lambda t: t.assign(geometry=[t.geometry.iloc[0], shapely.box(0, 0, 9, 9)]),
            {},
            "1 of 2 polygons are outside",
        ),
        (lambda t: t.translate(1e5).to_frame("geometry"), {}, "all 2 polygons are outside"),
        (
            lambda t: t.translate(1e5).to_frame("geometry"),
            {"outside": "ignore", "unlabelled": "skip"},
            "all 2 polygons are outside .* background .outside = 'ignore' and unlabelled = 'background'.",
        ),
        (lambda t: t.assign(image="x"), {"scene_column": "image"}, "2 of 2 polygons name another scene or date"),
        (lambda t: t.assign(day="2020-01-01"), {"date_column": "day"}, "2 of 2 polygons name another"),
        (lambda t: t.assign(day="last year"), {"date_column": "day"}, "column 'day' of the labels: expected a date"),
        (lambda t: t, {"uncertain_column": "sure"}, "a column 'sure' in the labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, change, options, message):
    tile = a_tile()
    labels = change(some_labels(a_disc(tile, 14, 20), a_disc(tile, 35, 20), tile=tile))
    with pytest.raises(TrainingDataError, match=message):
        prepare_training_data([tile], labels, tmp_path / "out", config=replace(CONFIG, **options))
    assert not (tmp_path / "out").exists()


def test_scenes_without_labels_are_refused_background_or_skipped(tmp_path):
    one, two = a_tile("a"), moved(a_tile("b"), 1000)
    labels = some_labels(a_disc(one, 30, 20), tile=one)
    with pytest.raises(TrainingDataError, match=r"1 have none \(b"):
        prepare_training_data([one, two], labels, tmp_path, config=CONFIG)
    report = prepare_training_data([one, two], labels, tmp_path, config=replace(CONFIG, unlabelled="skip"))
    assert [scene.status for scene in report.scenes] == ["done", "skipped"]
    out = tmp_path / "background"
    report = prepare_training_data([two], labels.iloc[:0], out, config=replace(CONFIG, unlabelled="background"))
    assert (report.positive_share, len(PatchStore(out))) == (0, 12)


def test_a_scene_that_is_skipped_is_forgotten(tmp_path):
    tiles = [a_tile("a"), moved(a_tile("b"), 1000)]
    labels = some_labels(*(a_disc(tile, 30, 20) for tile in tiles), tile=tiles[0])
    prepare_training_data(tiles, labels, tmp_path, config=CONFIG)
    assert has_scene(tmp_path, "b")
    report = prepare_training_data(tiles, labels.iloc[:1], tmp_path, config=replace(CONFIG, unlabelled="skip"))
    assert [(scene.status, scene.patches) for scene in report.scenes] == [("current", 12), ("skipped", 0)]
    assert {*PatchStore(tmp_path).table["scene"].to_pylist()} == {"a"}


def test_scenes_from_before_that_are_not_named_are_warned_of(tmp_path):
    tiles = [moved(a_tile(name), 1000 * index) for index, name in enumerate("abcdefgh")]
    labels = some_labels(*(a_disc(tile, 30, 20) for tile in tiles), tile=tiles[0])
    prepare_training_data(tiles, labels, tmp_path, config=CONFIG)
    message = r"also holds scenes that were not named this time \(b, c, d, e, f …; 7 in all\), and a training learns from them too"
    with pytest.warns(DartsWarning, match=message):
        prepare_training_data(tiles[:1], labels.iloc[:1], tmp_path, config=CONFIG)
    assert has_scene(tmp_path, "b")


def test_invalid_polygons_are_mended_and_counted(tmp_path):
    tile = a_tile()
    x, y = geobox_of(tile).affine * (20, 20)
    bow_tie = shapely.Polygon([(x, y), (x + 80, y + 80), (x + 80, y), (x, y + 80)])
    flat = shapely.Polygon([(x, y), (x + 80, y), (x, y)])
    labels = some_labels(bow_tie, flat, shapely.Polygon(), None, tile=tile)
    read = read_labels(labels, config=CONFIG)
    assert (len(read.table), read.repaired, read.dropped) == (1, 1, 3)
    assert read.table.geometry.iloc[0].area == pytest.approx(80 * 80 / 2)
    report = prepare_training_data([tile], labels, tmp_path, config=CONFIG)
    assert (report.repaired, report.dropped) == (1, 3)


def test_files_that_are_no_labels_are_refused(tmp_path):
    for name in ("gone.gpkg", "gone.parquet"):
        with pytest.raises(TrainingDataError, match="cannot read labels"):
            read_labels(tmp_path / name, config=CONFIG)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.data(), st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
def test_windows_are_those_of_which_enough_is_known(patch, data, known, background, seed):
    overlap = data.draw(st.integers(0, patch - 1))
    labels = np.random.default_rng(seed).choice([0, 0, 1, 2, 2], (13, 17)).astype("uint8")
    config = PreparationConfig(
        patch_px=patch, overlap_px=overlap, min_known_share=known, background_share=background, seed=seed
    )
    windows = choose_windows(labels, scene="s", config=config)
    for window in windows:
        share = (labels[window.slices] != 2).mean()
        assert share >= known
        assert share > 0
    everything = choose_windows(labels, scene="s", config=replace(config, background_share=1.0))
    assert {*windows} <= {*everything}
    assert all(window in windows for window in everything if (labels[window.slices] == 1).any())


def test_a_share_of_the_background_is_kept():
    labels = np.zeros((400, 400), "uint8")
    kept = [
        len(
            choose_windows(
                labels, scene="s", config=PreparationConfig(patch_px=10, overlap_px=0, background_share=share)
            )
        )
        for share in (1.0, 0.25, 0.0)
    ]
    assert kept[0] == 1600
    assert kept[1] == pytest.approx(400, abs=60)
    assert kept[2] == 0


def test_what_is_current_stays_and_what_is_not_is_made_anew(tmp_path):
    tiles = [a_tile("a"), moved(a_tile("b"), 1000)]
    shapes = [a_disc(tile, 30, 20) for tile in tiles]
    labels = some_labels(*shapes, tile=tiles[0])
    out = tmp_path / "out"

    def prepared(labels=labels, tiles=tiles, **changes):
        report = prepare_training_data(tiles, labels, out, config=replace(CONFIG, **changes))
        return [scene.status for scene in report.scenes]

    assert prepared() == ["done", "done"]
    before = contents(out)
    assert prepared(processes=2) == ["current", "current"]
    assert prepared(labels=labels.iloc[::-1]) == ["current", "current"]
    assert prepared(labels=some_labels(shapes[0], a_disc(tiles[1], 20, 20), tile=tiles[0])) == ["current", "done"]
    assert prepared(tiles=[tiles[0], tiles[1].assign(red=tiles[1].red + np.uint16(1))]) == ["current", "done"]
    assert prepared(overlap_px=0) == ["done", "done"]
    assert prepared() == ["done", "done"]
    assert contents(out) == before


def test_files_tiles_and_processes_give_the_same_bytes(tmp_path):
    tiles = [a_tile("a"), moved(a_tile("b"), 1000), moved(a_tile("c"), 2000)]
    labels = some_labels(*(a_disc(tile, 30, 20) for tile in tiles), tile=tiles[0], area=["x", "y", "y"])
    labels.to_file(tmp_path / "labels.gpkg")
    files = [write_tile(tile, tmp_path / f"{tile.attrs['tile_id']}.nc") for tile in tiles]
    config = replace(CONFIG, region_column="area")
    told = []
    prepare_training_data(tiles, labels, tmp_path / "one", config=config, progress=lambda *each: told.append(each))
    report = prepare_training_data(
        files, tmp_path / "labels.gpkg", tmp_path / "two", config=replace(config, processes=2)
    )
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert [scene.region for scene in report.scenes] == ["x", "y", "y"]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_regions_come_from_a_table_or_from_polygons(tmp_path):
    tiles = [a_tile("a"), moved(a_tile("b"), 1000)]
    labels = some_labels(*(a_disc(tile, 30, 20) for tile in tiles), tile=tiles[0])
    table = prepare_training_data(tiles, labels, tmp_path, config=CONFIG, regions={"a": "north"})
    assert [scene.region for scene in table.scenes] == ["north", "unknown"]
    around = some_labels(shapely.box(*geobox_of(tiles[1]).boundingbox.bbox), tile=tiles[0], name=["south"])
    config = replace(CONFIG, region_column="name")
    found = prepare_training_data(tiles, labels, tmp_path, config=config, regions=around.to_crs("EPSG:3413"))
    assert [scene.region for scene in found.scenes] == ["unknown", "south"]
    with pytest.raises(TrainingDataError, match="polygons of regions with a CRS and a column"):
        prepare_training_data(tiles, labels, tmp_path, config=CONFIG, regions=around)


def test_a_scene_that_fails_is_a_row_and_leaves_nothing_old(tmp_path):
    good, bad = a_tile("a"), moved(a_tile("b"), 1000)
    labels = some_labels(*(a_disc(tile, 30, 20) for tile in (good, bad)), tile=good)
    out = tmp_path / "out"
    prepare_training_data([good, bad], labels, out, config=CONFIG)
    for broken, error in (
        (bad.drop_vars("quality_data_mask"), "MissingVariableError: prepare_training_data needs 'quality_data_mask'"),
        (bad.isel(y=slice(0, 10)).drop_vars("slope"), "at least one patch (16 px), but 'b' has (10, 50)"),
    ):
        report = prepare_training_data(
            [good, broken], labels, out, config=replace(CONFIG, unlabelled="background", outside="ignore")
        )
        assert [scene.status for scene in report.scenes] == ["current", "failed"]
        assert error in report.failed[0].error
        assert has_scene(out, "a")
        assert not has_scene(out, "b")


def test_patches_of_which_little_is_known_are_left_out_and_counted(tmp_path):
    tile = a_tile()
    labels = some_labels(a_disc(tile, 30, 20), tile=tile)
    report = prepare_training_data([tile], labels, tmp_path, config=replace(CONFIG, min_known_share=0.9))
    assert (report.patches, report.scenes[0].left_out) == (11, 1)
    tile = tile.assign(quality_data_mask=tile.quality_data_mask & False)
    report = prepare_training_data([tile], labels, tmp_path, config=replace(CONFIG, min_known_share=0.0))
    assert (report.patches, report.scenes[0].left_out, has_scene(tmp_path, "a")) == (0, 12, False)


def test_tiles_that_cannot_be_told_apart_and_second_writers_are_refused(tmp_path):
    tile = a_tile()
    labels = some_labels(a_disc(tile, 30, 20), tile=tile)
    with pytest.raises(TrainingDataError, match="expected tiles, but got none"):
        prepare_training_data([], labels, tmp_path)
    with pytest.raises(TrainingDataError, match="got 'a' twice"):
        prepare_training_data([tile, tile], labels, tmp_path)
    nameless = tile.copy()
    del nameless.attrs["tile_id"]
    with pytest.raises(TrainingDataError, match="tile_id"):
        prepare_training_data([nameless], labels, tmp_path)
    with sole_writer(tmp_path), pytest.raises(OutputError, match="only writer"):
        prepare_training_data([tile], labels, tmp_path, config=CONFIG)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_px": 0}, "patch_px to be at least 1"),
        ({"overlap_px": 256}, "overlap_px to be 0 … 255"),
        ({"min_known_share": 1.5}, "min_known_share to be 0 … 1"),
        ({"seed": -1}, "seed to be at least 0"),
        ({"processes": 0}, "processes to be at least 1"),
        ({"mismatched": "burn"}, "mismatched to be one of raise, ignore"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        PreparationConfig(**options)


KILLED = """if True:
    import sys
    from pathlib import Path
    from darts_segmentation.training.preparation import prepare_training_data
    from darts_segmentation.training.preparation_config import PreparationConfig

    folder = Path(sys.argv[1])

    def tell(finished, total):
        print(finished, flush=True)

    prepare_training_data(sorted(folder.glob("*.nc")), folder / "labels.gpkg", folder / "killed", progress=tell,
                          config=PreparationConfig(patch_px=64, overlap_px=60))
"""


def test_a_preparation_that_was_killed_ends_with_the_same_patches(tmp_path):
    tiles = [moved(a_tile(name, shape=(150, 150)), 1000 * index) for index, name in enumerate("abcd")]
    labels = some_labels(*(a_disc(tile, 70, 70) for tile in tiles), tile=tiles[0])
    labels.to_file(tmp_path / "labels.gpkg")
    files = [write_tile(tile, tmp_path / f"{tile.attrs['tile_id']}.nc") for tile in tiles]
    config = PreparationConfig(patch_px=64, overlap_px=60)
    prepare_training_data(files, labels, tmp_path / "whole", config=config)
    run = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "1\n"
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert 1 <= sum(has_scene(tmp_path / "killed", name) for name in "abcd") < 4
    report = prepare_training_data(files, labels, tmp_path / "killed", config=config)
    assert report.scenes[0].status == "current"
    assert report.scenes[-1].status == "done"
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
