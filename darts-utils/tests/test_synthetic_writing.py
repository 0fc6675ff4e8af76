"""The files of a synthetic scene, read with rasterio and GeoPandas: those that a user has."""

import json
import re

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from darts_utils.errors import OutputError
from darts_utils.files import TEMPORARY_PREFIX
from darts_utils.grids import geobox_of
from darts_utils.synthetic import synthetic_scene, write_scene
from darts_utils.synthetic.auxiliary import TCVIS_STEP_DEG
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS

PLANET = synthetic_scene(1, shape=(90, 100))
SENTINEL = synthetic_scene(1, shape=(61, 71), resolution_m=10.0, sensor="sentinel2")


@pytest.fixture(scope="module")
def planet(tmp_path_factory):
    return write_scene(PLANET, tmp_path_factory.mktemp("planet"))


@pytest.fixture(scope="module")
def sentinel(tmp_path_factory):
    return write_scene(SENTINEL, tmp_path_factory.mktemp("sentinel"))


def test_a_planetscope_folder(planet):
    assert re.fullmatch(r"\d{8}_\d{6}_\d{2}_[0-9a-f]{4}", planet.scene.name)
    names = {path.name for path in planet.scene.iterdir()}
    assert len(names) == 3
    with rasterio.open(next(planet.scene.glob("*_SR.tif"))) as raster:
        assert (raster.count, set(raster.dtypes), raster.nodata) == (4, {"uint16"}, 0)
        assert raster.transform == geobox_of(PLANET.tile).affine
        assert raster.crs.to_epsg() == 32608
        np.testing.assert_array_equal(raster.read(), np.stack([PLANET.tile[name].values for name in OPTICAL_BANDS]))
    with rasterio.open(next(planet.scene.glob("*_udm2.tif"))) as raster:
        assert (raster.count, set(raster.dtypes)) == (8, {"uint8"})
        bands = raster.read()
    assert set(np.unique(bands[:6])) <= {0, 1}
    np.testing.assert_array_equal(
        sum(bands[bit].astype(int) << bit for bit in range(6)), PLANET.tile.planet_udm2.values
    )
    np.testing.assert_array_equal(bands[7], PLANET.tile.planet_udm1.values)
    assert bands[6].max() <= 100
    (metadata,) = planet.scene.glob("*_metadata.json")
    properties = json.loads(metadata.read_text())["properties"]
    assert properties["sun_azimuth"] == PLANET.tile.attrs["sun_azimuth_deg"]
    assert properties["sun_elevation"] == PLANET.tile.attrs["sun_elevation_deg"]


def test_a_sentinel2_folder_in_the_historic_layout(sentinel):
    name = sentinel.scene.name
    assert {path.name for path in sentinel.scene.iterdir()} == {f"{name}_SR_clip.tif", f"{name}_SCL_clip.tif"}
    with rasterio.open(sentinel.scene / f"{name}_SR_clip.tif") as raster:
        assert (raster.count, set(raster.dtypes), raster.nodata, raster.res) == (4, {"uint16"}, 0, (10.0, 10.0))
        np.testing.assert_array_equal(raster.read(), np.stack([SENTINEL.tile[name].values for name in OPTICAL_BANDS]))
    with rasterio.open(sentinel.scene / f"{name}_SCL_clip.tif") as raster:
        assert (raster.count, set(raster.dtypes), raster.res) == (1, {"uint8"}, (20.0, 20.0))
        fine = raster.read(1).repeat(2, 0).repeat(2, 1)[: SENTINEL.tile.sizes["y"], : SENTINEL.tile.sizes["x"]]
    np.testing.assert_array_equal(fine, SENTINEL.tile.s2_scl.values)


@pytest.mark.parametrize("sensor", ["planet", "sentinel"])
def test_elevation_and_trends(sensor, request):
    scene, paths = {"planet": PLANET, "sentinel": SENTINEL}[sensor], request.getfixturevalue(sensor)
    with rasterio.open(paths.dem) as raster:
        assert raster.crs.to_epsg() == 3413
        assert (raster.count, raster.dtypes, raster.nodata) == (1, ("float32",), -9999)
        assert raster.res == {"planet": (2.0, 2.0), "sentinel": (10.0, 10.0)}[sensor]
        heights = np.where(np.isnan(scene.dem.dem.values), np.float32(-9999), scene.dem.dem.values)
        np.testing.assert_array_equal(raster.read(1), heights)
    with rasterio.open(paths.tcvis) as raster:
        assert raster.crs.to_epsg() == 4326
        assert set(raster.dtypes) == {"uint8"}
        assert raster.descriptions == ("TCB_slope", "TCG_slope", "TCW_slope")
        assert raster.res == pytest.approx((TCVIS_STEP_DEG, TCVIS_STEP_DEG), abs=1e-15)
        np.testing.assert_array_equal(raster.read(), np.stack([scene.tcvis[name].values for name in TCVIS_BANDS]))


@pytest.mark.parametrize("sensor", ["planet", "sentinel"])
def test_the_known_slumps_are_polygons(sensor, request):
    scene, paths = {"planet": PLANET, "sentinel": SENTINEL}[sensor], request.getfixturevalue(sensor)
    known = gpd.read_file(paths.truth)
    labels = scene.truth.slump_labels.values
    assert sorted(known.slump) == sorted(np.unique(labels[labels > 0]))
    pixel_m2 = geobox_of(scene.tile).affine.a ** 2
    for row in known.itertuples():
        assert row.geometry.area == pytest.approx((labels == row.slump).sum() * pixel_m2)
    assert known.crs.to_epsg() == 32608


def test_a_scene_without_slumps_has_an_empty_layer(tmp_path):
    scene = synthetic_scene(1, shape=(20, 20), slump_density_per_km2=0)
    known = gpd.read_file(write_scene(scene, tmp_path).truth)
    assert len(known) == 0
    assert list(known.columns) == ["slump", "geometry"]


def test_writing_again_replaces_the_files(tmp_path):
    first, second = (write_scene(PLANET, tmp_path) for _ in range(2))
    assert first == second
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        write_scene(PLANET, tmp_path / "file" / "scenes")
    assert {path.name for path in tmp_path.iterdir()} == {"file"}
