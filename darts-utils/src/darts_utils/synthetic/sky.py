"""Between the ground and the sensor: clouds with their shadows, the swath's edge."""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from darts_utils.synthetic.config import SkyConfig
from darts_utils.synthetic.noise import Field, fractal

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
        sun_azimuth_deg: Where the sun stands, clockwise from the top of the grid.
        sun_elevation_deg: How high.
        config: Parameters.
        clouds: Allow clouds.
        swath_edge: Allow the swath's edge.
    """
    opacity = np.zeros(shape)
    blobs = fractal(rng, shape, resolution_m=resolution_m, spectral_slope=2.0, largest_m=900.0)
    share = rng.uniform(*config.cloud_share)
    if rng.random() < config.cloud_probability and clouds:
        edge = _cloud_edge(blobs, share)
        opacity = np.clip((blobs - edge) / 0.5 + 0.1, 0, 1) * (blobs > edge)
    throw_px = config.cloud_height_m / np.tan(np.radians(sun_elevation_deg)) / resolution_m
    away = np.radians(sun_azimuth_deg + 180.0)
    # Clouds drift over a scene larger than this one: a shadow may come from a cloud that is not in the picture.
    shift = (-np.cos(away) * throw_px, np.sin(away) * throw_px)
    depth = scipy.ndimage.shift(opacity, shift, order=1, mode="grid-wrap")
    cloud, shadow = _marked(opacity > 0), _marked(depth > 0.02)
    return Sky(
        cloud=cloud,
        shadow=shadow & ~cloud,
        missing=_beyond_swath(rng, shape, config=config, allowed=swath_edge),
        cloud_opacity=opacity,
        shadow_depth=0.65 * depth,
    )


def _marked(mask: Mask) -> Mask:
    """Sensors mark a little more than there is."""
    marked: Mask = scipy.ndimage.binary_dilation(mask, iterations=2)
    return marked


def _cloud_edge(blobs: Field, share: float) -> float:
    """The value above which blobs are clouds, so that the marked pixels are that share of the scene."""
    low, high = float(blobs.min()), float(blobs.max())
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if _marked(blobs > middle).mean() > share else (low, middle)
    return high


def _beyond_swath(rng: np.random.Generator, shape: tuple[int, int], *, config: SkyConfig, allowed: bool) -> Mask:
    angle = rng.uniform(0, 2 * np.pi)
    offset = rng.uniform(0.30, 0.48)
    crossed = rng.random() < config.swath_edge_probability
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    along = (columns / shape[1] - 0.5) * np.cos(angle) + (rows / shape[0] - 0.5) * np.sin(angle)
    beyond: Mask = (along > offset) & (crossed and allowed)
    return beyond
