"""Relief: fractal hills, valleys with meandering rivers, lakes."""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from darts_utils.synthetic.config import TerrainConfig
from darts_utils.synthetic.noise import Field, fractal, threshold_for_share

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Terrain:
    """The land before anything collapses, on the working grid; all fields ``(y, x)``."""

    elevation_m: Field
    """Height above the ellipsoid."""
    downslope_x: Field
    """Component to the east of the unit vector that points down the smoothed relief."""
    downslope_y: Field
    """Component to the south (with growing rows) of the same vector."""
    steepness: Field
    """Rise over run of the smoothed relief."""
    river: Mask
    """Water of rivers."""
    river_distance_m: Field
    """Distance to the nearest river's middle, ``inf`` without rivers."""
    river_side: Field
    """Sine-like field along the rivers, positive on outer bends of one side: where banks are cut."""
    lake: Mask
    """Water of lakes."""


def make_terrain(
    rng: np.random.Generator, shape: tuple[int, int], *, resolution_m: float, config: TerrainConfig
) -> Terrain:
    """Draw a terrain.

    Args:
        rng: Source of randomness.
        shape: Shape of the working grid.
        resolution_m: Its pixel size.
        config: Parameters.
    """
    options = dict(
        resolution_m=resolution_m, spectral_slope=config.spectral_slope, largest_m=config.largest_wavelength_m
    )
    elevation = config.relief_m * fractal(rng, shape, **options)
    extent_m = max(shape) * resolution_m
    # A scene smaller than the largest wavelength sees only a part of the relief: its slopes are those of a larger one.
    elevation *= min(1.0, extent_m / config.largest_wavelength_m)
    river_distance, side = _rivers(rng, shape, resolution_m=resolution_m, config=config)
    elevation -= config.valley_depth_m * np.exp(-((river_distance / config.valley_halfwidth_m) ** 2))
    river = river_distance < config.river_halfwidth_m
    smooth = scipy.ndimage.gaussian_filter(elevation, 30.0 / resolution_m, mode="nearest")
    gradient_y, gradient_x = np.gradient(smooth, resolution_m)
    steepness = np.hypot(gradient_x, gradient_y)
    lake = _lakes(rng, steepness, river_distance, resolution_m=resolution_m, share=config.lake_share)
    elevation = _flatten_water(elevation, lake, resolution_m)
    hummocks = fractal(rng, shape, resolution_m=resolution_m, spectral_slope=1.0, largest_m=40.0, smallest_m=6.0)
    elevation += config.roughness_m * np.where(lake | river, 0.0, hummocks)
    safe = np.maximum(steepness, 1e-9)
    return Terrain(
        elevation_m=elevation + config.base_elevation_m,
        downslope_x=-gradient_x / safe,
        downslope_y=-gradient_y / safe,
        steepness=steepness,
        river=river & ~lake,
        river_distance_m=river_distance,
        river_side=side,
        lake=lake,
    )


def _rivers(
    rng: np.random.Generator, shape: tuple[int, int], *, resolution_m: float, config: TerrainConfig
) -> tuple[Field, Field]:
    """Distance to the nearest of some meandering rivers, and the side that they cut."""
    height_m, width_m = shape[0] * resolution_m, shape[1] * resolution_m
    middle_line = np.zeros(shape, dtype=bool)
    side = np.zeros(shape)
    nearest_m = np.full(shape, np.inf)
    y_m, x_m = np.mgrid[: shape[0], : shape[1]] * resolution_m
    count = max(1, round(max(height_m, width_m) / config.river_spacing_m))
    angle = rng.uniform(0, np.pi)
    along = (x_m - width_m / 2) * np.cos(angle) + (y_m - height_m / 2) * np.sin(angle)
    across = -(x_m - width_m / 2) * np.sin(angle) + (y_m - height_m / 2) * np.cos(angle)
    for number in range(count):
        course = (number - (count - 1) / 2 + rng.uniform(-0.3, 0.3)) * config.river_spacing_m
        phases = rng.uniform(0, 2 * np.pi, 3)
        drift = rng.uniform(80, 220) * np.sin(2 * np.pi * along / rng.uniform(1800, 3200) + phases[1])
        bend = 2 * np.pi * (along + 120 * np.sin(along / 410 + phases[2])) / rng.uniform(350, 700) + phases[0]
        swing_m = rng.uniform(40, 110) * (0.65 + 0.35 * np.sin(along / 530 + phases[1]))
        beside = across - (course + drift + swing_m * np.sin(bend))
        middle_line |= _sign_changes(beside)
        # The river swings towards +sin: it undercuts the bank on that side.
        nearer = np.abs(beside) < nearest_m
        nearest_m = np.where(nearer, np.abs(beside), nearest_m)
        side = np.where(nearer, np.sin(bend) * np.sign(beside), side)
    if not middle_line.any():
        return np.full(shape, np.inf), side
    distance: Field = scipy.ndimage.distance_transform_edt(~middle_line) * resolution_m
    return scipy.ndimage.gaussian_filter(distance, 1.0), side


def _sign_changes(values: Field) -> Mask:
    positive = values > 0
    changes = np.zeros(values.shape, dtype=bool)
    changes[1:] |= positive[1:] != positive[:-1]
    changes[:, 1:] |= positive[:, 1:] != positive[:, :-1]
    return changes


def _lakes(
    rng: np.random.Generator, steepness: Field, river_distance_m: Field, *, resolution_m: float, share: float
) -> Mask:
    """Roundish lakes on flat ground, away from rivers."""
    blobs = fractal(
        rng, steepness.shape, resolution_m=resolution_m, spectral_slope=2.5, largest_m=350.0, smallest_m=60.0
    )
    flat = blobs - 6.0 * steepness / max(float(np.median(steepness)), 1e-6) / 4.0
    flat[river_distance_m < 120.0] = -np.inf
    low = flat > threshold_for_share(flat, share)
    lake: Mask = scipy.ndimage.binary_opening(low, iterations=max(1, round(12.0 / resolution_m)))
    return lake


def _flatten_water(elevation: Field, lake: Mask, resolution_m: float) -> Field:
    """Each lake gets one level, a little below its lowest shore, and a rounded basin edge."""
    labels, count = scipy.ndimage.label(lake)
    if count == 0:
        return elevation
    levels = scipy.ndimage.minimum(elevation, labels, np.arange(1, count + 1))
    flooded = elevation.copy()
    flooded[lake] = np.asarray(levels)[labels[lake] - 1]
    shore = np.clip(scipy.ndimage.distance_transform_edt(~lake) * resolution_m / 40.0, 0, 1)
    nearest = scipy.ndimage.distance_transform_edt(~lake, return_distances=False, return_indices=True)
    level_around = flooded[tuple(nearest)]
    blend: Field = np.where(lake, flooded, level_around + (elevation - level_around) * shore)
    return blend
