"""What tells a slump from its look-alikes: form and relief, never a mark of its own; light falls from where it should."""

import numpy as np
import pytest
import rasterio.warp
import scipy.ndimage
from pyproj import Transformer

from darts_utils.grids import geobox_of, resolution_m
from darts_utils.synthetic import LOOKALIKE_CLASSES, WORLD, synthetic_scene

POLAR = "EPSG:3413"
CODES = {name: code for code, name in LOOKALIKE_CLASSES.items()}
CLOUD, SHADOW = 1 << 5, 1 << 2
OPEN_SKY = {"clouds": False, "swath_edge": False}
MANY = {"shape": (384, 384), "resolution_m": 10.0, "sensor": "sentinel2", "slump_density_per_km2": 4.0, **OPEN_SKY}
FINE = {"shape": (260, 260), "resolution_m": 4.0, "slump_density_per_km2": 12.0, **OPEN_SKY}


def heights_of(scene):
    """The elevation model on the pixels of a scene in its own projection."""
    heights = scene.dem.dem.sel(x=scene.tile.x, y=scene.tile.y, method="nearest", tolerance=0.1)
    return heights.values.astype(float)


@pytest.fixture(scope="module")
def forms():
    """Per slump: how it lies to the slope, and how deep the upper and the lower third lie below a plane around it."""
    found = []
    for seed in range(3):
        scene = synthetic_scene(seed, crs=POLAR, **MANY)
        heights, labels = heights_of(scene), scene.truth.slump_labels.values
        rows, columns = np.mgrid[: labels.shape[0], : labels.shape[1]]
        for number, window in enumerate(scipy.ndimage.find_objects(labels), start=1):
            if window is None or (labels == number).sum() < 60:
                continue
            window = tuple(slice(max(part.start - 9, 0), part.stop + 9) for part in window)
            slump = labels[window] == number
            ring = scipy.ndimage.binary_dilation(slump, iterations=7) & (labels[window] == 0)
            ring &= ~scipy.ndimage.binary_dilation(slump, iterations=2) & (
                scene.truth.lookalike_class.values[window] == 0
            )
            if ring.sum() < 40:
                continue
            y, x, z = rows[window], columns[window], heights[window]
            design = np.stack([x[ring], y[ring], np.ones(ring.sum())], 1)
            plane, *_ = np.linalg.lstsq(design, z[ring], rcond=None)
            below = plane[0] * x + plane[1] * y + plane[2] - z
            places = np.stack([x[slump], y[slump]], 1).astype(float)
            places -= places.mean(0)
            axis = np.linalg.eigh(places.T @ places)[1][:, 1]
            downhill = -plane[:2] / np.hypot(*plane[:2])
            position = places @ downhill
            low, high = np.quantile(position, (1 / 3, 2 / 3))
            depth = below[slump]
            found.append((abs(axis @ downhill), depth[position < low].mean(), depth[position > high].mean()))
    return np.array(found)


def test_slumps_lie_down_the_slope(forms):
    assert len(forms) > 40
    assert np.median(forms[:, 0]) > 0.85
    assert (forms[:, 0] > np.cos(np.radians(45))).mean() > 0.7


def test_slumps_have_a_headwall_above_and_open_below(forms):
    _, above, below = np.median(forms, axis=0)
    assert above > 2.5
    assert below < 0.6 * above
    assert (forms[:, 1] > forms[:, 2]).mean() > 0.85


@pytest.fixture(scope="module")
def painted():
    """Scenes as they are, without stripes, without scarps, and without either."""
    switches = {"both": {}, "no stripes": {"stripes": False}, "no scarps": {"scarps": False}}
    switches["neither"] = {**switches["no stripes"], **switches["no scarps"]}
    scenes = {name: [synthetic_scene(seed, **FINE, **off) for seed in (1, 2)] for name, off in switches.items()}
    for others in zip(*scenes.values(), strict=True):
        assert all(other.truth.identical(others[0].truth) for other in others)
    return scenes


def changes_of(painted, without):
    """Absolute change of the near infrared, with the truth of the scene."""
    for scene, other in zip(painted["both"], painted[without], strict=True):
        yield np.abs(scene.tile.nir.values.astype(float) - other.tile.nir.values), scene.truth


def effect_by_class(painted, without):
    """Mean absolute change of the near infrared by class."""
    found = {name: [] for name in ("slump", *CODES)}
    for change, truth in changes_of(painted, without):
        found["slump"].append(change[truth.slump_mask.values])
        for name, code in CODES.items():
            found[name].append(change[truth.lookalike_class.values == code])
    return {name: float(np.concatenate([*parts, np.zeros(1)]).mean()) for name, parts in found.items()}


def test_stripes_are_on_lookalikes_as_on_slumps(painted):
    effect = effect_by_class(painted, "no stripes")
    bare = np.mean([effect[name] for name in ("drained_basin", "gravel", "cut_bank")])
    assert effect["slump"] > 5
    assert 0.4 < bare / effect["slump"] < 4


def test_dark_scarps_are_on_lookalikes_as_on_slumps(painted):
    effect = effect_by_class(painted, "no scarps")
    others = np.mean([effect[name] for name in ("drained_basin", "vegetated_scar", "cut_bank")])
    assert effect["slump"] > 5
    assert 0.25 < others / effect["slump"] < 4


@pytest.mark.parametrize(("without", "least", "most"), [("no stripes", 0.2, 0.9), ("no scarps", 0.4, 0.98)])
def test_some_slumps_go_without(painted, without, least, most):
    changed = []
    for change, truth in changes_of(painted, without):
        labels = truth.slump_labels.values
        changed += [change[labels == number].max() > 40 for number in np.unique(labels[labels > 0])]
    assert len(changed) > 10
    assert least < np.mean(changed) < most


def test_slumps_have_no_texture_of_their_own(painted):
    """Without stripes and scarps, the middle of slumps is as rough as that of basins."""
    found = {"slump": [], "basin": []}
    for scene in painted["neither"]:
        nir = scene.tile.nir.values.astype(float)
        masks = {
            "slump": scene.truth.slump_mask.values,
            "basin": scene.truth.lookalike_class.values == CODES["drained_basin"],
        }
        for name, mask in masks.items():
            weight = scipy.ndimage.gaussian_filter(mask.astype(float), 2.0)
            smooth = scipy.ndimage.gaussian_filter(nir * mask, 2.0) / np.maximum(weight, 1e-6)
            middle = scipy.ndimage.binary_erosion(mask, iterations=4)
            found[name].append(np.abs(nir - smooth)[middle] / smooth[middle])
    slump, basin = (np.median(np.concatenate(found[name])) for name in ("slump", "basin"))
    assert 0.75 < slump / basin < 1.3


def test_stripes_below_two_pixels_are_not_seen():
    scene = synthetic_scene(2, **MANY)
    plain = synthetic_scene(2, **MANY, stripes=False)
    change = np.abs(scene.tile.nir.values.astype(float) - plain.tile.nir.values)
    labels = scene.truth.slump_labels.values
    elsewhere = scene.truth.lookalike_class.values > 0
    narrow = 0
    for number in np.unique(labels[labels > 0]):
        slump = labels == number
        width_m = 2 * scipy.ndimage.distance_transform_edt(slump).max() * resolution_m(scene.tile)
        alone = not (scipy.ndimage.binary_dilation(slump, iterations=4) & (elsewhere | (labels > 0) & ~slump)).any()
        if width_m < 95 and alone and slump[2:-2, 2:-2].sum() == slump.sum():
            narrow += 1
            assert change[slump].max() <= 1
    assert narrow > 10


@pytest.mark.parametrize("crs", ["EPSG:32608", POLAR])
def test_shadows_fall_away_from_the_sun(crs):
    """The shift that best lays the clouds onto their shadows points away from the sun, counted from true north."""
    errors = []
    size, step_m = 160, 10.0
    for seed in range(16):
        scene = synthetic_scene(
            seed, crs=crs, shape=(size, size), resolution_m=step_m, swath_edge=False, lookalikes=False
        )
        bits = scene.tile.planet_udm2.values
        if not (bits & CLOUD).any():
            continue
        cloud, shadow = ((bits & bit > 0).astype(float) for bit in (CLOUD, SHADOW))
        match = np.fft.ifft2(np.fft.fft2(shadow) * np.conj(np.fft.fft2(cloud))).real
        throw_px = WORLD.sky.cloud_height_m / np.tan(np.radians(scene.tile.attrs["sun_elevation_deg"])) / step_m
        azimuths = np.arange(360)
        away = np.radians(azimuths + true_north_deg(scene))
        rows = np.rint(-np.cos(away) * throw_px).astype(int) % size
        columns = np.rint(np.sin(away) * throw_px).astype(int) % size
        best = azimuths[np.argmax(match[rows, columns])]
        errors.append(abs((best - scene.tile.attrs["sun_azimuth_deg"]) % 360 - 180))
    assert len(errors) > 4
    assert np.median(errors) < 5


@pytest.mark.parametrize("crs", ["EPSG:32608", POLAR])
def test_slopes_towards_the_sun_are_bright(crs):
    scene = synthetic_scene(
        3, crs=crs, shape=(300, 300), resolution_m=10.0, sensor="sentinel2",
        slump_density_per_km2=6.0, **OPEN_SKY,
    )  # fmt: skip
    heights = heights_of(scene) if crs == POLAR else warped_heights(scene)
    nir = scene.tile.nir.values.astype(float)
    down, east = np.gradient(heights, 10.0)
    fit = []
    land = (nir > 1300) & np.isfinite(heights)
    for azimuth in range(0, 360, 5):
        towards = np.radians(azimuth + true_north_deg(scene))
        lit = detail(np.nan_to_num(-(np.sin(towards) * east - np.cos(towards) * down)))
        fit.append(np.corrcoef(detail(nir)[land], lit[land])[0, 1])
    best = 5 * int(np.argmax(fit))
    assert abs((best - scene.tile.attrs["sun_azimuth_deg"] + 180) % 360 - 180) < 25


def detail(values):
    """What changes over a few pixels."""
    return scipy.ndimage.gaussian_filter(values, 1.0) - scipy.ndimage.gaussian_filter(values, 4.0)


def warped_heights(scene):
    """The elevation model, warped onto the scene by GDAL."""
    source, target = geobox_of(scene.dem), geobox_of(scene.tile)
    out = np.full(target.shape, np.nan)
    rasterio.warp.reproject(
        scene.dem.dem.values.astype(float), out, src_transform=source.affine, src_crs=str(source.crs),
        dst_transform=target.affine, dst_crs=str(target.crs), src_nodata=np.nan, dst_nodata=np.nan,
        resampling=rasterio.warp.Resampling.cubic,
    )  # fmt: skip
    return out


def true_north_deg(scene):
    """Direction of true north at the middle of the scene, clockwise from the top of its grid."""
    box = geobox_of(scene.tile).boundingbox
    x, y = (box.left + box.right) / 2, (box.bottom + box.top) / 2
    crs = str(geobox_of(scene.tile).crs)
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    north_x, north_y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat + 1e-4)
    return np.degrees(np.arctan2(north_x - x, north_y - y))
