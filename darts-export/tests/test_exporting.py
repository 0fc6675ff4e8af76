"""What a folder holds after exports that end well."""

import gc
import itertools
import json
import tempfile
import weakref
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export import ExportConfig, export_tile, export_tile_batched, missing_products, segments_of
from darts_export.vectors import Objects, objects_of
from darts_utils.errors import MissingVariableError, TileContractError
from darts_utils.testing import Backend, example_tile, strategies

EVERYTHING = (*ExportConfig.products, "optical", "dem", "tcvis", "ndvi", "extent")

SHOWN = ("red", "green", "blue", "probabilities", "probabilities_percent", "binarized_segmentation", "extent")

BESIDE = ("probabilities", "binarized", "prediction_extent", "thumbnail", "ndvi", "extent", "stac")


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything(tile: xr.Dataset, tmp_path: Path) -> None:
    before = tile.copy(deep=True)
    written = export_tile(tile, tmp_path / "out", products=EVERYTHING)
    assert tile.identical(before)
    styles = {f"{name}_qml" for name in EVERYTHING if name not in {"thumbnail", "stac"}}
    assert set(written) == {*EVERYTHING, "prediction_segments_parquet", "prediction_extent_parquet", *styles}
    assert list(written)[-1] == "stac"
    assert {path.name for path in (tmp_path / "out" / "example-0").iterdir()} == {
        "manifest.json",
        *(path.name for path in written.values()),
    }
    with rasterio.open(written["probabilities"]) as raster:
        np.testing.assert_array_equal(raster.read(1), tile.probabilities_percent.values)
        assert raster.tags()["models"] == "mean of full, optical"
        assert raster.tags()["TIFFTAG_SOFTWARE"] == "darts-export 0.1.0"
        assert raster.tags()["sensor"] == "planetscope"
    with rasterio.open(written["optical"]) as raster:
        np.testing.assert_array_equal(raster.dataset_mask() > 0, tile.valid_data_mask.values)
    assert geopandas.read_parquet(written["prediction_segments_parquet"]).equals(segments_of(tile))
    assert missing_products(tmp_path / "out" / "example-0", EVERYTHING) == ()


def test_models_are_named_where_they_made_the_result(tile: xr.Dataset, tmp_path: Path) -> None:
    results = ("probabilities", "probabilities_percent", "binarized_segmentation")
    members = tile.assign({f"{name}-full": tile[name].copy() for name in results})
    members = members.assign({f"{name}-bare": tile[name] for name in results[1:]})
    members["probabilities-full"].attrs["source"] = "full.pt"
    members["binarized_above-30"] = tile.binarized_segmentation
    names = ["probabilities", "binarized", "binarized_segmentation", "binarized_above-30"]
    names += ["probabilities-full", "binarized-full"]
    others = ["probabilities-bare", "optical", "dem", "tcvis", "ndvi", "extent", "valid_data_mask"]
    written = export_tile(members, tmp_path, products=[*names, *others])
    found = {}
    for name in (*names, *others):
        with rasterio.open(written[name]) as raster:
            found[name] = raster.tags().get("models")
    assert found == {
        **dict.fromkeys(names[:4], "mean of full, optical"),
        **dict.fromkeys(names[4:], "full.pt"),
        **dict.fromkeys(others),
    }


def test_config_is_recorded(tile: xr.Dataset, tmp_path: Path) -> None:
    written = export_tile(
        tile, tmp_path, products=["binarized"], config={"threshold": np.float32(0.5), "out": Path("results")}
    )
    with rasterio.open(written["binarized"]) as raster:
        assert json.loads(raster.tags()["config"]) == {"out": "results", "threshold": 0.5}


def test_the_order_within_the_config_does_not_matter(tile: xr.Dataset, tmp_path: Path) -> None:
    for name, config in (("one", {"b": {"x", "y"}, "a": 1}), ("other", {"a": 1, "b": {"y", "x"}})):
        export_tile(tile, tmp_path / name, products=["binarized", "stac"], config=config)
    assert _contents(tmp_path / "one") == _contents(tmp_path / "other")


def test_nothing_found_is_a_result_too(empty_tile: xr.Dataset, tmp_path: Path) -> None:
    written = export_tile(empty_tile, tmp_path, products=EVERYTHING)
    for asset in ("prediction_segments", "prediction_extent"):
        assert len(geopandas.read_file(written[asset])) == 0
        assert len(geopandas.read_parquet(written[f"{asset}_parquet"])) == 0
    assert missing_products(written["stac"].parent, EVERYTHING) == ()


def test_content_depends_on_neither_the_other_products_nor_their_order(tile: xr.Dataset, tmp_path: Path) -> None:
    export_tile(tile, tmp_path / "all", products=EVERYTHING)
    expected = _contents(tmp_path / "all")
    names = ("prediction_segments", "probabilities", "thumbnail", "stac")
    for number, order in enumerate(itertools.permutations(names, 3)):
        export_tile(tile, tmp_path / str(number), products=order)
        for name, content in _contents(tmp_path / str(number)).items():
            if not name.endswith(".json"):  # the item lists the files
                assert content == expected[name], (order, name)


@given(
    tile=strategies.tiles([*SHOWN, "ndvi"], max_px=12),
    others=st.lists(st.sampled_from(BESIDE), unique=True),
    place=st.integers(0, 5),
)
@settings(deadline=None, max_examples=15)
def test_statistics_depend_on_neither_the_other_products_nor_their_order(
    tile: xr.Dataset, others: list[str], place: int
) -> None:
    expected = segments_of(tile)
    products = [*others[:place], "prediction_segments", *others[place:]]
    with tempfile.TemporaryDirectory() as folder:
        written = export_tile(tile, folder, products=products)
        assert geopandas.read_parquet(written["prediction_segments_parquet"]).equals(expected)
        table = pyogrio.read_dataframe(written["prediction_segments"], read_geometry=False)
    for name in table.columns:
        np.testing.assert_array_equal(table[name].to_numpy(), expected[name].to_numpy(), err_msg=name)


def test_exporting_again_gives_the_same_folder(tile: xr.Dataset, tmp_path: Path) -> None:
    export_tile(tile, tmp_path, products=EVERYTHING)
    first = _contents(tmp_path)
    export_tile(tile, tmp_path, products=EVERYTHING)
    assert _contents(tmp_path) == first


def test_exporting_another_result_overwrites_cleanly(tile: xr.Dataset, empty_tile: xr.Dataset, tmp_path: Path) -> None:
    export_tile(tile, tmp_path / "both")
    former = _contents(tmp_path / "both")
    export_tile(empty_tile, tmp_path / "both")
    export_tile(empty_tile, tmp_path / "one")
    latter = _contents(tmp_path / "both")
    assert latter == _contents(tmp_path / "one")
    changed = {name for name in former if latter[name] != former[name]}
    assert changed == {f"example-0/{name}" for name in _SHOWING_OBJECTS}


_SHOWING_OBJECTS = (
    *("binarized.tif", "thumbnail.jpg", "prediction_segments.gpkg", "prediction_segments.parquet"),
    *("prediction_extent.gpkg", "prediction_extent.parquet", "manifest.json"),
)


def test_members(tile: xr.Dataset, tmp_path: Path) -> None:
    members = tile.assign(
        {f"{name}-full": tile[name] for name in ("probabilities", "probabilities_percent", "binarized_segmentation")}
    )
    names = ["probabilities-full", "binarized-full", "prediction_segments-full", "stac"]
    written = export_tile(members, tmp_path, products=names)
    assert sorted(path.name for path in written.values()) == [
        "binarized-full.qml",
        "binarized-full.tif",
        "example-0.json",
        "prediction_segments-full.gpkg",
        "prediction_segments-full.parquet",
        "prediction_segments-full.qml",
        "probabilities-full.qml",
        "probabilities-full.tif",
    ]
    assert len(geopandas.read_file(written["prediction_segments-full"])) == 3


def test_backends(tile: xr.Dataset, backend: Backend, tmp_path: Path) -> None:
    export_tile(tile, tmp_path / "numpy", products=EVERYTHING)
    export_tile(backend.tile(tile), tmp_path / backend.name, products=EVERYTHING)
    assert _contents(tmp_path / backend.name) == _contents(tmp_path / "numpy")


def test_one_row(tile: xr.Dataset, tmp_path: Path) -> None:
    written = export_tile(tile.isel(y=slice(20, 21)), tmp_path, products=EVERYTHING)
    assert len(geopandas.read_file(written["prediction_segments"])) == 1


def test_batched_equals_a_loop_and_checks_first(tile: xr.Dataset, tmp_path: Path) -> None:
    other = tile.isel(x=slice(0, 40)).assign_attrs(tile_id="other")
    together = export_tile_batched([tile, other], tmp_path / "together", products=["binarized", "stac"])
    alone = [export_tile(each, tmp_path / "alone", products=["binarized", "stac"]) for each in (tile, other)]
    assert [list(each) for each in together] == [list(each) for each in alone]
    assert _contents(tmp_path / "together") == _contents(tmp_path / "alone")
    assert export_tile_batched([], tmp_path) == []
    with pytest.raises(
        TileContractError, match="must differ in tile_id, but 'example-0' came 2 times: the second would"
    ):
        export_tile_batched([tile, tile], tmp_path / "twice")
    with pytest.raises(MissingVariableError, match="export product 'binarized' needs 'binarized_segmentation'"):
        export_tile_batched([tile, other[["red"]]], tmp_path / "twice", products=["binarized"])
    assert not (tmp_path / "twice").exists()


def test_tiles_are_let_go_one_by_one(tile: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The label raster and the computed variables of one tile are gone when the next one is written."""
    labels: list[weakref.ref[np.ndarray]] = []

    def watched(of: xr.Dataset, *, model: str | None = None) -> Objects:
        gc.collect()
        assert all(reference() is None for reference in labels)
        assert isinstance(of.binarized_segmentation.data, np.ndarray)
        found = objects_of(of, model=model)
        labels.extend([weakref.ref(found.runs.label), weakref.ref(of.binarized_segmentation.data)])
        return found

    monkeypatch.setattr("darts_export.contents.objects_of", watched)
    lazy = [tile.chunk({"y": 30}).assign_attrs(tile_id=f"tile-{number}") for number in range(3)]
    export_tile_batched(lazy, tmp_path, products=["prediction_segments", "thumbnail"])
    assert len(labels) == 6
    assert all(each.chunks for each in lazy)


def test_variables_are_computed_once(tile: xr.Dataset, tmp_path: Path) -> None:
    dask = pytest.importorskip("dask.array")
    reads = []

    def read(block: np.ndarray) -> np.ndarray:
        reads.append(block.shape)
        return block

    lazy = dask.from_array(tile.binarized_segmentation.values, chunks=-1).map_blocks(
        read, dtype="uint8", meta=np.empty((0, 0), "uint8")
    )
    other = dask.from_array(tile.red.values, chunks=-1).map_blocks(
        lambda _: 1 / 0, dtype="uint16", meta=np.empty((0, 0), "uint16")
    )
    lazy_tile = tile.assign(
        binarized_segmentation=tile.binarized_segmentation.copy(data=lazy), red=tile.red.copy(data=other)
    )
    export_tile(lazy_tile, tmp_path, products=["binarized", "prediction_segments", "stac"])
    assert reads == [(60, 70)]


def test_a_tile_straight_from_the_test_kit(tmp_path: Path) -> None:
    """Random masks: hundreds of tiny objects, most at the edge."""
    tile = example_tile(
        ["red", "green", "blue", "probabilities", "probabilities_percent", "binarized_segmentation", "extent"]
    )
    assert missing_products(export_tile(tile, tmp_path)["stac"].parent) == ()
