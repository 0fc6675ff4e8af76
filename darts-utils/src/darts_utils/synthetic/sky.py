"""Between the ground and the sensor: clouds with their shadows, the swath's edge."""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from darts_utils.synthetic.config import SkyConfig
from darts_utils.synthetic.noise import Field, fractal, threshold_for_share

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sky:
    """What hides the ground, all ``(y, x)`` on the scene's grid."""

    cloud: Mask
    """Marked as cloud by the sensor's mask."""
    shadow: Mask
    """Marked as cloud shadow."""
    missing: Mask
    """Outside the swath."""
    cloud_opacity: Field
    """0 to 1."""
    shadow_depth: Field
    """0 to 1."""


def make_sky(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    resolution_m: float,
    sun_azimuth_deg: float,
    sun_elevation_deg: float,
    config: SkyConfig,
    clouds: bool,
    swath_edge: bool,
) -> Sky:
    """Draw a sky; scenes without clouds or swath edge are common too.

    Args:
        rng: Source of randomness. The same numbers are drawn whatever the switches say.
        shape: Shape of the scene.
        resolution_m: Its pixel size.
        sun_azimuth_deg: Where the sun stands, clockwise from north.
        sun_elevation_deg: How high.
        config: Parameters.
        clouds: Allow clouds.
        swath_edge: Allow the swath's edge.
    """
    opacity = np.zeros(shape)
    blobs = fractal(rng, shape, resolution_m=resolution_m, spectral_slope=2.0, largest_m=900.0)
    share = rng.uniform(*config.cloud_share)
    if rng.random() < config.cloud_probability and clouds:
        edge = threshold_for_share(blobs, share)
        opacity = np.clip((blobs - edge) / 0.5 + 0.5, 0, 1) * (blobs > edge - 0.25)
    throw_px = config.cloud_height_m / np.tan(np.radians(sun_elevation_deg)) / resolution_m
    away = np.radians(sun_azimuth_deg + 180.0)
    # Clouds drift over a scene larger than this one: a shadow may come from a cloud that is not in the picture.
    shift = (-np.cos(away) * throw_px, np.sin(away) * throw_px)
    depth = scipy.ndimage.shift(opacity, shift, order=1, mode="grid-wrap")
    cloud, shadow = opacity > 0.05, depth > 0.05
    return Sky(
        cloud=scipy.ndimage.binary_dilation(cloud, iterations=2),
        shadow=scipy.ndimage.binary_dilation(shadow, iterations=2) & ~cloud,
        missing=_beyond_swath(rng, shape, config=config, allowed=swath_edge),
        cloud_opacity=opacity,
        shadow_depth=0.65 * depth,
    )


def _beyond_swath(rng: np.random.Generator, shape: tuple[int, int], *, config: SkyConfig, allowed: bool) -> Mask:
    angle = rng.uniform(0, 2 * np.pi)
    offset = rng.uniform(0.30, 0.48)
    crossed = rng.random() < config.swath_edge_probability
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    along = (columns / shape[1] - 0.5) * np.cos(angle) + (rows / shape[0] - 0.5) * np.sin(angle)
    beyond: Mask = (along > offset) & (crossed and allowed)
    return beyond
