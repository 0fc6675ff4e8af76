import numpy as np
import pytest

from darts_preprocessing import FEATURES, load_and_preprocess, load_and_preprocess_batched, load_auxiliary, preprocess
from darts_preprocessing.loading import load_arcticdem, load_scene, load_tcvis
from darts_utils.errors import ConfigError, MissingVariableError
from darts_utils.grids import coords_of, geobox_of
from darts_utils.testing import example_tile
from darts_utils.tiles import check_tile, variable
from darts_utils.variables import OPTICAL_BANDS

SCENES = ["planet", "sentinel"]


@pytest.mark.parametrize("which", SCENES)
def test_a_scene_comes_back_from_its_files(which, request):
    paths, scene = request.getfixturevalue(which), request.getfixturevalue(f"{which}_scene")
    tile = load_scene(paths.scene, sentinel2_offset_dn=0)
    check_tile(tile)
    assert geobox_of(tile) == geobox_of(scene.tile)
    assert set(tile.data_vars) == set(scene.tile.data_vars)
    for name in tile.data_vars:
        np.testing.assert_array_equal(tile[name].values, scene.tile[name].values, err_msg=name)
    for name in ("tile_id", "sensor", "date"):
        assert tile.attrs[name] == scene.tile.attrs[name]
    if which == "planet":
        assert tile.attrs["sun_azimuth_deg"] == scene.tile.attrs["sun_azimuth_deg"]
        assert tile.attrs["sun_elevation_deg"] == scene.tile.attrs["sun_elevation_deg"]


@pytest.mark.parametrize("which", SCENES)
def test_files_and_datasets_give_the_same_features(which, request):
    paths, scene = request.getfixturevalue(which), request.getfixturevalue(f"{which}_scene")
    from_files = load_and_preprocess(paths.scene, dem=paths.dem, tcvis=paths.tcvis, sentinel2_offset_dn=0)
    in_memory = preprocess(scene.tile, dem=scene.dem, tcvis=scene.tcvis)
    for name in in_memory.data_vars:
        np.testing.assert_allclose(
            from_files[name].values, in_memory[name].values, rtol=1e-6, atol=1e-4, err_msg=str(name)
        )
    (twin,) = load_and_preprocess_batched([paths.scene], dem=paths.dem, tcvis=paths.tcvis, sentinel2_offset_dn=0)
    assert twin.identical(from_files)
    assert load_and_preprocess(paths.scene, dem=scene.dem, sentinel2_offset_dn=0).relative_elevation.notnull().all()


def test_only_the_rasters_that_features_need_are_read(planet, planet_scene):
    grid = geobox_of(planet_scene.tile)
    both = {"dem": planet.dem, "tcvis": planet.tcvis}
    assert all(part is not None for part in load_auxiliary(grid, **both))
    assert load_auxiliary(grid, **both, features=["ndvi", "slope"]).tcvis is None
    assert load_auxiliary(grid, **both, features=["tc_wetness"]).dem is None
    assert load_auxiliary(grid, dem="/nothing/here.tif", features=["ndvi"]) == (None, None)
    tile = load_and_preprocess(planet.scene, **both, features=["ndvi"])
    assert {"relative_elevation", "slope", "tc_wetness"}.isdisjoint(tile.data_vars)
    with pytest.raises(MissingVariableError, match="dem"):
        load_and_preprocess(planet.scene, features=["slope"])


def test_without_names_the_elevation_reaches_as_far_as_the_usual_features_look(tmp_path, write, hills, grid_at):
    grid = grid_at(-135.67, 68.05, crs="EPSG:32608", step=10.0, shape=(20, 20))
    dem_grid = grid_at(-135.67, 68.05, crs="EPSG:3413", step=10.0, shape=(200, 200))
    path = write(tmp_path / "dem.tif", dem_grid, hills(dem_grid), nodata=-9999)
    usual, named, all_of_them = (
        load_auxiliary(grid, dem=path, features=features, tpi_outer_radius_m=20.0).dem
        for features in (None, ["relative_elevation", "slope"], FEATURES)
    )
    assert usual.identical(named)
    assert usual.dem.size < all_of_them.dem.size  # the dissection looks 100 m around


@pytest.mark.parametrize("radius", [float("nan"), float("inf"), -5.0, -1000.0])
def test_a_radius_that_is_none_is_refused_before_anything_is_read(planet_scene, radius):
    message = "expected a radius of at least 0 m, but got"
    with pytest.raises(ValueError, match=message):
        load_and_preprocess("/nothing/here", dem="/nothing/here.tif", tpi_outer_radius_m=radius)
    with pytest.raises(ValueError, match=message):
        load_auxiliary(geobox_of(planet_scene.tile), dem="/nothing/here.tif", tpi_outer_radius_m=radius)
    with pytest.raises(ValueError, match="inner radius below the outer one, but got 200 m and 100 m"):
        load_and_preprocess("/nothing/here", tpi_inner_radius_m=200.0)


@pytest.mark.parametrize(
    ("features", "message"), [("ndvi", r"got 'ndvi': write \['ndvi'\]"), ([1, "ndvi"], r"got \[1, 'ndvi'\]: name them")]
)
def test_features_that_are_no_names_are_refused_before_anything_is_read(planet_scene, features, message):
    expected = f"expected a list of names as features, but {message}"
    with pytest.raises(ConfigError, match=expected):
        preprocess(planet_scene.tile, features=features)
    with pytest.raises(ConfigError, match=expected):
        load_and_preprocess("/nothing/here", features=features)
    with pytest.raises(ConfigError, match=expected):
        load_auxiliary(geobox_of(planet_scene.tile), dem="/nothing/here.tif", features=features)


@pytest.mark.parametrize("crs", ["EPSG:3413", "EPSG:4326"])
def test_the_part_that_is_read_gives_what_the_whole_raster_gives(tmp_path, write, hills, grid_at, crs):
    """A wide radius on a coarse raster: short of the radius, the slope's border or the kernel, the edges would differ."""
    dem_grid = grid_at(-135.67, 68.05, crs=crs, step=32.0 if crs == "EPSG:3413" else 0.0003, shape=(200, 300))
    path = write(tmp_path / "dem.tif", dem_grid, hills(dem_grid), nodata=-9999)
    whole = example_tile(["dem"], shape=dem_grid.shape).drop_vars(["dem", "spatial_ref", "x", "y"])
    whole = whole.assign_coords(coords_of(dem_grid)).assign(dem=variable("dem", hills(dem_grid), source="hills"))
    tile = example_tile(OPTICAL_BANDS, shape=(50, 60)).drop_vars("spatial_ref")
    tile = tile.assign_coords(coords_of(grid_at(-135.67, 68.05, crs="EPSG:32608", step=10.0, shape=(50, 60))))
    tile = tile.assign(planet_udm2=variable("planet_udm2", np.ones((50, 60), "uint8"), source="clear"))
    tile = tile.assign(planet_udm1=variable("planet_udm1", np.zeros((50, 60), "uint8"), source="clear"))
    features = ["dem", "relative_elevation", "slope"]
    part = load_auxiliary(geobox_of(tile), dem=path, tpi_outer_radius_m=500.0).dem
    assert part.dem.size < whole.dem.size / 3
    made = [preprocess(tile, dem=dem, features=features, tpi_outer_radius_m=500.0) for dem in (part, whole)]
    for name in features:
        np.testing.assert_allclose(made[0][name].values, made[1][name].values, atol=2e-4, err_msg=name)


def test_auxiliary_rasters_come_back_as_the_window_that_is_needed(planet, planet_scene):
    grid = geobox_of(planet_scene.tile)[10:20, 10:20]
    for loader, path, whole, name in (
        (load_arcticdem, planet.dem, planet_scene.dem, "dem"),
        (load_tcvis, planet.tcvis, planet_scene.tcvis, "tc_greenness"),
    ):
        part = loader(path, grid=grid, margin_m=30.0)
        check_tile(part)
        assert part.sizes["x"] < whole.sizes["x"]
        same = whole[name].sel(x=part.x, y=part.y, method="nearest", tolerance=1e-6)
        np.testing.assert_array_equal(part[name].values, same.values)


def test_the_release_of_the_trends_is_what_the_user_says(planet):
    assert "tcvis_release" not in load_and_preprocess(planet.scene, tcvis=planet.tcvis).attrs
    named = load_and_preprocess(planet.scene, tcvis=planet.tcvis, tcvis_release="2022")
    assert named.attrs["tcvis_release"] == "2022"
