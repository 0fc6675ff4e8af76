"""What a synthetic scene holds: deterministic, within the contract, slumps and look-alikes as described."""

import dataclasses
import hashlib
import re

import numpy as np
import pytest
import rasterio.warp
import scipy.ndimage
from pyproj import Transformer

from darts_utils.grids import geobox_of, resolution_m
from darts_utils.synthetic import (
    DEMO_SEED,
    LOOKALIKE_CLASSES,
    WORLD,
    WORLD_VERSION,
    scene_specs,
    synthetic_scene,
)
from darts_utils.synthetic.splits import FIRST_SEED
from darts_utils.tiles import check_tile

SENSORS = {
    "planetscope": {"sensor": "planetscope", "resolution_m": 3.0},
    "sentinel2": {"sensor": "sentinel2", "resolution_m": 10.0},
}
PARTS = ("tile", "truth", "dem", "tcvis")
TINY = {"shape": (48, 56), "resolution_m": 10.0, "sensor": "sentinel2"}
CLOUD_BITS = 0b111110
"""Bits of planet_udm2 that are neither clear nor missing: snow, shadow, light haze, heavy haze, cloud."""


@pytest.fixture(scope="module")
def many():
    """Scenes of both sensors."""
    return [spec.make() for spec in scene_specs("validation", 6)]


def test_the_world_is_the_one_that_the_models_know():
    """A change of any parameter is another world: count WORLD_VERSION up, train and score the demo's models anew."""
    digest = hashlib.sha256(repr(dataclasses.astuple(WORLD)).encode()).hexdigest()[:16]
    assert (WORLD_VERSION, digest) == (2, "f252805e20931911")


@pytest.mark.parametrize("sensor", SENSORS)
def test_a_seed_makes_the_same_scene_again(sensor):
    first, second, other = (synthetic_scene(seed, shape=(64, 72), **SENSORS[sensor]) for seed in (5, 5, 6))
    for part in PARTS:
        assert getattr(first, part).identical(getattr(second, part))
    assert not np.array_equal(first.tile.red.values, other.tile.red.values)
    assert not np.array_equal(first.dem.dem.values, other.dem.dem.values)


@pytest.mark.parametrize(
    ("sensor", "expected"),
    [
        ("planetscope", [524.29, 777.02, 728.29, 2775.77, 177.31, 129.44, 1077.0]),
        ("sentinel2", [558.64, 787.2, 757.14, 2391.86, 178.24, 128.49, 829.0]),
    ],
)
def test_the_scenes_are_those_that_the_models_learnt(sensor, expected):
    """Loose enough for other processors, tight enough for another generator."""
    scene = synthetic_scene(2, shape=(200, 200), **SENSORS[sensor])
    means = [float(scene.tile[name].mean()) for name in ("blue", "green", "red", "nir")]
    means += [float(scene.dem.dem.mean()), float(scene.tcvis.tc_wetness.mean()), float(scene.truth.slump_mask.sum())]
    np.testing.assert_allclose(means, expected, rtol=1e-3)


@pytest.mark.parametrize("sensor", SENSORS)
def test_every_part_keeps_the_tile_contract(sensor):
    scene = synthetic_scene(2, shape=(50, 70), **SENSORS[sensor])
    for part in (scene.tile, scene.dem, scene.tcvis):
        check_tile(part)
    masks = {"planetscope": {"planet_udm2", "planet_udm1"}, "sentinel2": {"s2_scl"}}[sensor]
    assert set(scene.tile.data_vars) == {"blue", "green", "red", "nir"} | masks
    assert {"tile_id", "sensor", "date", "sun_azimuth_deg", "sun_elevation_deg"} <= set(scene.tile.attrs)
    assert geobox_of(scene.tile) == geobox_of(scene.truth)
    assert scene.truth.slump_mask.dtype == bool
    assert scene.truth.slump_labels.dtype == np.int32
    assert scene.truth.lookalike_class.dtype == np.uint8
    assert geobox_of(scene.dem).crs.epsg == 3413
    assert resolution_m(scene.dem) == {"planetscope": 2.0, "sentinel2": 10.0}[sensor]
    assert geobox_of(scene.tcvis).crs.epsg == 4326


@pytest.mark.parametrize(
    ("crs", "centre"), [("EPSG:32606", (-147.7, 64.8)), ("EPSG:3413", (-45.0, 72.0)), ("EPSG:32660", (179.9, 67.0))]
)
def test_scenes_lie_where_they_are_asked_to(crs, centre):
    scene = synthetic_scene(3, crs=crs, center_lonlat_deg=centre, date="2019-07-01", **TINY)
    grid = geobox_of(scene.tile)
    assert grid.crs == crs
    assert grid.shape == TINY["shape"]
    assert resolution_m(scene.tile) == 10.0
    box = grid.boundingbox
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*centre)
    assert abs((box.left + box.right) / 2 - x) <= 10
    assert abs((box.bottom + box.top) / 2 - y) <= 10
    assert scene.tile.attrs["date"] == "2019-07-01"


def test_slumps_have_realistic_sizes_and_form(many):
    areas_ha, ratios = [], []
    for scene in many:
        labels = scene.truth.slump_labels.values
        np.testing.assert_array_equal(scene.truth.slump_mask.values, labels > 0)
        inner = np.zeros_like(labels, bool)
        inner[1:-1, 1:-1] = True
        for number in np.unique(labels[labels > 0]):
            slump = labels == number
            if (slump & ~inner).any():
                continue  # cut by the border
            areas_ha.append(slump.sum() * resolution_m(scene.tile) ** 2 / 10_000)
            spread = np.linalg.eigvalsh(np.cov(np.argwhere(slump).T))
            ratios.append(np.sqrt(spread[1] / spread[0]))
    assert len(areas_ha) > 50
    assert min(areas_ha) >= WORLD.slumps.smallest_area_ha
    assert max(areas_ha) <= WORLD.slumps.largest_area_ha
    assert 0.3 < np.median(areas_ha) < 3.0
    assert np.median(ratios) > 1.2


def test_slumps_are_sunken_bare_and_trending(many):
    """Floor below its surroundings, less green than them, and a change over the years."""
    drops, contrasts, trends = [], [], []
    for scene in many:
        slump = scipy.ndimage.binary_erosion(scene.truth.slump_mask.values, iterations=2)
        ring = scipy.ndimage.binary_dilation(scene.truth.slump_mask.values, iterations=8)
        ring &= ~scipy.ndimage.binary_dilation(scene.truth.slump_mask.values, iterations=3)
        plain = ring & (scene.truth.lookalike_class.values == 0)
        heights = sampled(scene.dem.dem, scene.tile)
        drops.append(heights[slump].mean() - heights[ring].mean())
        red, nir = scene.tile.red.values.astype(float), scene.tile.nir.values.astype(float)
        index = (nir - red) / np.maximum(nir + red, 1)
        contrasts.append(index[slump].mean() - index[plain].mean())
        wetness = sampled(scene.tcvis.tc_wetness, scene.tile)
        trends.append(abs(wetness[slump].mean() - wetness[plain].mean()))
    assert np.mean(drops) < -1.0
    assert np.mean(contrasts) < -0.1
    assert np.mean(trends) > 3.0


def sampled(raster, tile):
    """Nearest values of a raster in another CRS at the pixels of a tile."""
    source, target = geobox_of(raster.to_dataset()), geobox_of(tile)
    out = np.empty(target.shape)
    rasterio.warp.reproject(
        raster.values.astype(float),
        out,
        src_transform=source.affine,
        src_crs=str(source.crs),
        dst_transform=target.affine,
        dst_crs=str(target.crs),
        resampling=rasterio.warp.Resampling.nearest,
    )
    return out


def test_every_kind_of_lookalike_appears(many):
    seen = set().union(*(np.unique(scene.truth.lookalike_class.values) for scene in many))
    assert seen == {0, *LOOKALIKE_CLASSES}


def test_lookalikes_can_be_left_out():
    plain = synthetic_scene(1, lookalikes=False, shape=(256, 256))
    assert (plain.truth.lookalike_class.values == 0).all()
    assert plain.truth.slump_mask.any()


def test_clouds_and_swath_edges_are_marked_and_can_be_left_out():
    marked, missing = [], []
    for seed in range(12):
        for options in ({}, {"clouds": False, "swath_edge": False}):
            scene = synthetic_scene(seed, shape=(64, 64), **options)
            has_cloud = bool((scene.tile.planet_udm2.values & CLOUD_BITS).any())
            has_edge = bool((scene.tile.planet_udm1.values & 1).any())
            if options:
                assert not has_cloud
                assert not has_edge
            else:
                marked.append(has_cloud)
                missing.append(has_edge)
            edge = (scene.tile.planet_udm1.values & 1) == 1
            for name in ("blue", "green", "red", "nir"):
                np.testing.assert_array_equal(scene.tile[name].values == 0, edge)
    assert 0 < sum(marked) < 12
    assert 0 < sum(missing) < 12


def test_clouds_of_sentinel2_are_in_the_scene_classification():
    classes = [
        synthetic_scene(seed, shape=(160, 160), resolution_m=10, sensor="sentinel2").tile.s2_scl for seed in range(8)
    ]
    seen = set().union(*(np.unique(each.values) for each in classes))
    assert {0, 3, 9} <= seen
    clear = synthetic_scene(1, clouds=False, swath_edge=False, **TINY).tile.s2_scl
    assert {0, 3, 8, 9, 10}.isdisjoint(np.unique(clear.values))


def test_the_classes_of_udm2_exclude_each_other_and_clouds_are_as_many_as_configured():
    shares = []
    for seed in range(12):
        scene = synthetic_scene(seed, shape=(160, 160), resolution_m=10.0, lookalikes=False, swath_edge=seed % 2 == 1)
        missing = (scene.tile.planet_udm1.values & 1) == 1
        bits = scene.tile.planet_udm2.values
        assert set(np.unique(bits[~missing])) <= {1 << 0, 1 << 2, 1 << 5}
        assert (bits[missing] == 0).all()
        cloudy = bits == 1 << 5
        if cloudy.any() and not missing.any():
            shares.append(cloudy.mean())
    low, high = WORLD.sky.cloud_share
    assert len(shares) > 3
    assert low - 0.005 < min(shares) < max(shares) < high + 0.005


@pytest.mark.parametrize(
    "options", [{"shape": (50, 64)}, {"center_lonlat_deg": (-150.0, 69.0)}, {"crs": "EPSG:3413"}, {"clouds": False}]
)
@pytest.mark.parametrize("sensor", SENSORS)
def test_other_scenes_have_other_names(sensor, options):
    usual = {"shape": (50, 60), **SENSORS[sensor]}
    first, second = (synthetic_scene(7, **{**usual, **more}).tile.attrs["tile_id"] for more in ({}, options))
    assert first != second
    form = {"planetscope": r"20210821_000007_00_[0-9a-f]{4}", "sentinel2": r"20210821T210019_000007_T\d\d[A-Z]{3}"}
    assert all(re.fullmatch(form[sensor], name) for name in (first, second))


def test_lookalikes_are_as_many_without_slumps():
    options = {"shape": (384, 384), "resolution_m": 10.0, "sensor": "sentinel2"}
    usual, none = (
        np.mean([
            (synthetic_scene(seed, **options, **density).truth.lookalike_class.values == 6).mean() for seed in range(3)
        ])
        for density in ({}, {"slump_density_per_km2": 0.0})
    )  # fmt: skip
    assert none == pytest.approx(usual, rel=0.5)
    assert none > 0.02


@pytest.mark.parametrize(("crs", "longitude"), [("EPSG:32660", 179.995), ("EPSG:32601", -179.995)])
def test_trends_go_on_beyond_the_antimeridian(crs, longitude):
    scene = synthetic_scene(3, crs=crs, center_lonlat_deg=(longitude, 67.0), **TINY)
    box = geobox_of(scene.tcvis).boundingbox
    assert box.left < longitude < box.right
    assert box.right - box.left < 0.1
    assert box.left < (180 if longitude > 0 else -180) < box.right
    assert (scene.tcvis.tc_wetness.values > 0).all()


def test_more_slumps_can_be_asked_for():
    few, many_slumps = (
        synthetic_scene(1, shape=(256, 256), slump_density_per_km2=density).truth.slump_labels.values.max()
        for density in (0.0, 40.0)
    )
    assert few == 0
    assert many_slumps > 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sensor": "landsat"}, "expected the sensor 'planetscope' or 'sentinel2', but got 'landsat'"),
        ({"shape": (0, 10)}, r"expected a shape and a resolution above 0, but got \(0, 10\) px at 3.0 m"),
        ({"resolution_m": -3.0}, "px at -3.0 m"),
        ({"resolution_m": float("nan")}, "px at nan m"),
        ({"date": "20210821"}, "expected a date like 2021-08-21, but got '20210821'"),
        ({"crs": "EPSG:4326"}, "expected a CRS projected in metres, but got 'EPSG:4326'"),
        ({"crs": "EPSG:2225"}, "expected a CRS projected in metres, but got 'EPSG:2225'"),
        ({"center_lonlat_deg": (-135.0, 49.9)}, "at 50° N or farther north, but got 49.9° N"),
    ],
)
def test_scenes_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        synthetic_scene(1, **options)


def test_no_seed_is_in_two_splits():
    seeds = {split: {spec.seed for spec in scene_specs(split, 1000)} for split in FIRST_SEED}
    assert not seeds["train"] & seeds["validation"]
    assert not seeds["train"] & seeds["test"]
    assert not seeds["validation"] & seeds["test"]
    assert all(DEMO_SEED not in found for found in seeds.values())


def test_a_spec_makes_its_scene():
    spec = next(iter(scene_specs("test", 1)))
    small = dataclasses.replace(spec, shape=(40, 40))
    assert small.make().tile.identical(synthetic_scene(spec.seed, shape=(40, 40)).tile)
