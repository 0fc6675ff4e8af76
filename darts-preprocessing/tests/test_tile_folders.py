"""Elevation and trends from folders of tiles, and from VRTs."""

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from odc.geo.geobox import GeoBox

from darts_preprocessing import load_and_preprocess
from darts_preprocessing.loading import load_arcticdem, load_scene, load_tcvis, sources
from darts_preprocessing.loading.rasters import open_raster
from darts_preprocessing.loading.releases import chosen_release, releases_in
from darts_utils.errors import SceneError, SceneNotFoundError
from darts_utils.grids import geobox_of
from darts_utils.variables import TCVIS_BANDS

VRT_BAND = """<VRTRasterBand dataType="{dtype}" band="{number}"><NoDataValue>{nodata}</NoDataValue><SimpleSource>
<SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>{number}</SourceBand>
</SimpleSource></VRTRasterBand>"""


def write_vrt(path, source, *, dtype, nodata):
    with rasterio.open(source) as raster:
        bands = [
            VRT_BAND.format(dtype=dtype, number=number, nodata=nodata, name=source.name) for number in raster.indexes
        ]
        transform = ", ".join(map(repr, raster.transform.to_gdal()))
        path.write_text(
            f'<VRTDataset rasterXSize="{raster.width}" rasterYSize="{raster.height}"><SRS>{raster.crs.to_wkt()}</SRS>'
            f"<GeoTransform>{transform}</GeoTransform>{''.join(bands)}</VRTDataset>"
        )
    return path


def cut(path, folder, names, *, overlap=0, **profile):
    """Cut a raster into tiles, from west to east; neighbours share `overlap` columns."""
    folder.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path) as raster:
        values, old = raster.read(), raster.profile
    edges = np.linspace(0, values.shape[2], len(names) + 1).astype(int)
    for name, begin, end in zip(names, edges[:-1], edges[1:] + overlap, strict=True):
        part = values[..., begin:end]
        transform = old["transform"] * Affine.translation(int(begin), 0)
        new = {**old, "height": part.shape[1], "width": part.shape[2], "transform": transform, **profile}
        for option in ("tiled", "blockxsize", "blockysize"):
            new.pop(option, None)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(folder / name, "w", **new) as raster:
            raster.write(part)
    return folder


ARCTICDEM = [f"18_{number}_2_1_2m_v4.1_dem.tif" for number in (22, 23, 24)]


@pytest.fixture
def grid(planet_scene):
    return geobox_of(planet_scene.tile)


@pytest.fixture
def dem_folder(planet, tmp_path):
    return cut(planet.dem, tmp_path / "tiles", ARCTICDEM, overlap=7)


def test_tiles_are_one_elevation_model(planet, dem_folder, grid):
    (dem_folder / "18_22_2_1_2m_v4.1_count.tif").write_bytes(b"no heights")
    (dem_folder / "notes.txt").touch()
    expected = load_arcticdem(planet.dem, grid=grid, margin_m=100.0)
    got = load_arcticdem(dem_folder, grid=grid, margin_m=100.0)
    assert geobox_of(got) == geobox_of(expected)
    np.testing.assert_array_equal(got.dem.values, expected.dem.values)
    made = [load_and_preprocess(planet.scene, dem=dem) for dem in (dem_folder, planet.dem)]
    np.testing.assert_array_equal(made[0].relative_elevation.values, made[1].relative_elevation.values)


def test_tiles_may_lie_in_folders_below(planet, tmp_path, grid):
    names = [f"{name.removesuffix('_dem.tif')}/{name}" for name in ARCTICDEM]
    folder = cut(planet.dem, tmp_path / "tiles", names)
    np.testing.assert_array_equal(
        load_arcticdem(folder, grid=grid).dem.values, load_arcticdem(planet.dem, grid=grid).dem.values
    )


def test_only_tiles_that_the_scene_touches_are_read(dem_folder, planet, grid, rewrite):
    """The pixels of the others may even be no heights."""
    with rasterio.open(dem_folder / ARCTICDEM[1]) as raster:
        middle = raster.xy(raster.height // 2, raster.width // 2)
    for name in (ARCTICDEM[0], ARCTICDEM[2]):
        rewrite(dem_folder / name, lambda values: values + 1e6)
    cell = GeoBox((1, 1), Affine(2, 0, middle[0], 0, -2, middle[1]), "EPSG:3413")
    assert np.isfinite(load_arcticdem(dem_folder, grid=cell).dem.values).all()
    with pytest.raises(SceneError, match=rf"{ARCTICDEM[0]}' must hold heights of -500 to 9000 m"):
        load_arcticdem(dem_folder, grid=grid, margin_m=150.0)


def test_where_tiles_overlap_the_first_name_that_knows_counts(planet, tmp_path, grid, rewrite):
    folder = cut(planet.dem, tmp_path / "tiles", ["b.tif", "c.tif"])
    (folder / "a.tif").write_bytes(planet.dem.read_bytes())

    def half(values):
        values = values + 500
        values[..., : values.shape[1] // 2, :] = -9999
        return values

    rewrite(folder / "a.tif", half)
    expected = load_arcticdem(planet.dem, grid=grid).dem
    got = load_arcticdem(folder, grid=grid).dem
    with rasterio.open(planet.dem) as raster:
        middle = raster.transform.f + raster.height // 2 * raster.transform.e
    raised = np.where(got.y.values[:, None] < middle, np.float32(500), np.float32(0))
    np.testing.assert_allclose(got.values, expected.values + raised, atol=1e-3)


def test_a_gap_between_tiles_is_missing(planet, dem_folder, grid):
    (dem_folder / ARCTICDEM[1]).unlink()
    heights = load_arcticdem(dem_folder, grid=grid, margin_m=150.0).dem.values
    assert 0 < np.isnan(heights).mean() < 1
    assert heights.shape == load_arcticdem(planet.dem, grid=grid, margin_m=150.0).dem.shape


def test_a_scene_between_tiles_is_refused(dem_folder, grid):
    with rasterio.open(dem_folder / ARCTICDEM[1]) as raster:
        middle = raster.xy(raster.height // 2, raster.width // 2)
    (dem_folder / ARCTICDEM[1]).unlink()
    cell = GeoBox((1, 1), Affine(2, 0, middle[0], 0, -2, middle[1]), "EPSG:3413")
    with pytest.raises(SceneError, match=r"tiles' must have a tile around .* but has none among 2: add it"):
        load_arcticdem(dem_folder, grid=cell)


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"crs": "EPSG:3995"}, r"they differ: CRS EPSG:3413 .* against EPSG:3995 .*keep tiles of one kind"),
        ({"transform": Affine(10, 0, 0, 0, -10, 0)}, "pixels of 2 × 2 against 10 × 10; keep tiles of one resolution"),
    ],
)
def test_tiles_of_different_kinds_are_refused(dem_folder, grid, rewrite, profile, message):
    rewrite(dem_folder / ARCTICDEM[2], **profile)
    with pytest.raises(
        SceneError, match=rf"{ARCTICDEM[0]}' and .*{ARCTICDEM[2]}' must share one pixel grid.*{message}"
    ):
        load_arcticdem(dem_folder, grid=grid)


def test_tiles_between_the_pixels_are_refused(dem_folder, grid, rewrite):
    path = dem_folder / ARCTICDEM[1]
    with rasterio.open(path) as raster:
        moved = raster.transform * Affine.translation(0.4, 0)
    rewrite(path, transform=moved)
    with pytest.raises(SceneError, match="their pixels are 0.4 px apart; warp them onto one grid"):
        load_arcticdem(dem_folder, grid=grid)


def test_tiles_are_opened_once_for_their_grids_until_they_change(dem_folder, monkeypatch):
    opened = []

    def noting(path):
        opened.append(path.name)
        return open_raster(path)

    def looked_at():
        opened.clear()
        return sources.source_of(dem_folder), sorted(opened)

    monkeypatch.setattr(sources, "open_raster", noting)
    before, names = looked_at()
    assert names == sorted(path.name for path in dem_folder.iterdir())
    assert looked_at() == (before, [])
    last = dem_folder / names[-1]
    with rasterio.open(last, "r+") as raster:  # in place: the folder stays as it was
        raster.transform @= Affine.translation(0, 500)
    after, names = looked_at()
    assert names == [last.name]
    assert after.grid != before.grid
    world = last.with_suffix(".tif.aux.xml")
    world.write_text("<PAMDataset><SRS>EPSG:32608</SRS></PAMDataset>")
    with pytest.raises(SceneError, match="CRS EPSG:3413"):
        looked_at()
    world.unlink()
    last.unlink()
    with pytest.raises(SceneNotFoundError, match="expected a raster at"):
        sources.source_of_tiles([last], name="gone")


def test_a_damaged_tile_is_named(dem_folder, grid):
    path = dem_folder / ARCTICDEM[1]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SceneError, match=rf"cannot read '.*{ARCTICDEM[1]}'.*damaged"):
        load_arcticdem(dem_folder, grid=grid)


def test_an_empty_folder_is_named(tmp_path, grid):
    with pytest.raises(SceneNotFoundError, match="expected rasters .* in the folder .*, but it holds none"):
        load_arcticdem(tmp_path, grid=grid)
    with pytest.raises(SceneNotFoundError, match="but it holds none"):
        load_tcvis(tmp_path, grid=grid)


RELEASES = ("2019", "2020", "2022", "2024")


@pytest.fixture
def trends(planet, tmp_path):
    """A folder of four releases, each in two tiles; the brightness tells the release."""
    folder = tmp_path / "trends"
    for year in RELEASES:
        cut(planet.tcvis, folder / f"TCTrend_SR_2000-{year}_TCVIS", ["0001.tif", "0002.tif"])
        for path in (folder / f"TCTrend_SR_2000-{year}_TCVIS").iterdir():
            with rasterio.open(path, "r+") as raster:
                raster.write(np.full(raster.shape, int(year) - 2000, "uint8"), 1)
    return folder


@pytest.mark.parametrize(
    ("date", "past_only", "upstream"),
    [
        ("2017-07-01", "2019", "2019"),
        ("2018-12-31", "2019", "2019"),
        ("2019-01-01", "2019", "2020"),
        ("2020-06-30", "2019", "2022"),
        ("2021-08-21", "2020", "2022"),
        ("2022-01-01", "2020", "2024"),
        ("2023-01-01", "2022", "2024"),
        ("2024-12-31", "2022", "2024"),
        ("2025-01-01", "2024", "2024"),
    ],
)
def test_the_date_of_the_image_chooses_the_release(trends, grid, date, past_only, upstream):
    for rule, expected in (("past_only", past_only), ("upstream", upstream)):
        loaded = load_tcvis(trends, grid=grid, date=date, rule=rule)
        assert loaded.attrs["release"] == expected
        assert (loaded.tc_brightness.values == int(expected) - 2000).all()


def test_the_release_is_kept_with_the_tile(trends, planet):
    made = load_and_preprocess(planet.scene, tcvis=trends)
    assert (made.attrs["date"], made.attrs["tcvis_release"]) == ("2021-08-21", "2020")
    assert load_and_preprocess(planet.scene, tcvis=trends, tcvis_rule="upstream").attrs["tcvis_release"] == "2022"
    assert load_and_preprocess(planet.scene, tcvis=trends, tcvis_release="2024").attrs["tcvis_release"] == "2024"


def test_tiles_of_trends_are_one_raster(planet, trends, grid):
    expected = load_tcvis(planet.tcvis, grid=grid)
    got = load_tcvis(trends / "TCTrend_SR_2000-2022_TCVIS", grid=grid, release="2022")
    assert got.attrs == {"release": "2022"}
    for name in TCVIS_BANDS[1:]:
        np.testing.assert_array_equal(got[name].values, expected[name].values)


def test_a_release_that_is_not_there_is_named(trends, grid):
    with pytest.raises(SceneError, match="must hold the release 2021 .*but holds 2019, 2020, 2022, 2024"):
        load_tcvis(trends, grid=grid, release="2021")
    with pytest.raises(SceneError, match="holds the releases 2019, .*but the image has no date .*name the release"):
        load_tcvis(trends, grid=grid)
    with pytest.raises(SceneError, match="must hold the release 2024"):
        chosen_release({"2019": []}, release=None, date="2023-01-01", rule="upstream", name="trends")
    with pytest.raises(ValueError, match="expected the rule past_only or upstream for the trends, but got 'newest'"):
        load_tcvis(trends, grid=grid, rule="newest")


def test_one_release_needs_no_date():
    assert chosen_release({"2019": []}, release=None, date="unknown", rule="past_only", name="trends") == "2019"


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("TCTrend_SR_2000-2019_TCVIS/0001.tif", "2019"),
        ("2024-05-01_export/TCTrend_SR_2000-2019_TCVIS/0001.tif", "2019"),
        ("2022/tcvis_2020_until_2019.tif", "2019"),
        ("tcvis_2019_r2048_c1024.tif", "2019"),
        ("TCTrend_2019/row2048_col1024.tif", "2019"),
        ("tcvis2019/r2048_c1024.tif", "2019"),
        ("2019.tif", "2019"),
        ("2019/0000000000-0000002048.tif", "2019"),
        ("r2048/20190101_12019_2101.tif", None),
    ],
)
def test_the_release_is_the_last_year_of_the_innermost_part(tmp_path, name, release):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert releases_in(tmp_path) == {release: [path]}


def test_trends_with_and_without_a_year_are_refused(trends, planet):
    (trends / "more.tif").write_bytes(planet.tcvis.read_bytes())
    with pytest.raises(
        SceneError, match="must all name their release|that all name their release, or none, but 'more.tif'"
    ):
        releases_in(trends)


def test_a_vrt_is_a_raster_like_others(planet, grid):
    dem = write_vrt(planet.dem.with_suffix(".vrt"), planet.dem, dtype="Float32", nodata=-9999)
    tcvis = write_vrt(planet.tcvis.with_suffix(".vrt"), planet.tcvis, dtype="Byte", nodata=0)
    for loader, path, vrt in ((load_arcticdem, planet.dem, dem), (load_tcvis, planet.tcvis, tcvis)):
        expected, got = loader(path, grid=grid), loader(vrt, grid=grid)
        for name in expected.data_vars:
            np.testing.assert_array_equal(got[name].values, expected[name].values)
    image = next(planet.scene.glob("*_SR.tif"))
    vrt = write_vrt(planet.scene / "scene.vrt", image, dtype="UInt16", nodata=0)
    tile = load_scene(vrt, bands={"blue": 1, "green": 2, "red": 3, "nir": 4})
    np.testing.assert_array_equal(tile.nir.values, load_scene(planet.scene).nir.values)


def test_a_vrt_whose_source_is_gone_is_named(planet, grid):
    vrt = write_vrt(planet.dem.with_suffix(".vrt"), planet.dem, dtype="Float32", nodata=-9999)
    planet.dem.unlink()
    with pytest.raises(SceneError, match=r"cannot read '.*arcticdem.vrt'"):
        load_arcticdem(vrt, grid=grid)
