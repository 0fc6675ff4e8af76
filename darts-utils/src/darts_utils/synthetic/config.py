"""Every number that shapes the synthetic Arctic, in one place.

These parameters decide how hard the world is. Models are trained and scored on it, so a change of any of them is a change
of `WORLD_VERSION`, and the shipped models must be trained and scored anew.
"""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

WORLD_VERSION: Final = 1
"""Version of the world; part of the training record of every model."""

Sensor = Literal["planetscope", "sentinel2"]

LOOKALIKE_CLASSES: Final = MappingProxyType(
    {1: "cut_bank", 2: "bare_ridge", 3: "burn", 4: "lake_shore", 5: "gravel", 6: "drained_basin", 7: "vegetated_scar"}
)
"""Codes of ``truth.lookalike_class``; 0 is none of them."""


@dataclass(frozen=True)
class TerrainConfig:
    """Relief."""

    relief_m: float = 38.0
    """Standard deviation of the fractal relief."""
    largest_wavelength_m: float = 4000.0
    """Wavelength above which the relief is flat."""
    spectral_slope: float = 2.35
    """Exponent of the amplitude spectrum: larger is smoother."""
    roughness_m: float = 0.12
    """Standard deviation of hummocks and tussocks, 6 to 40 m across."""
    river_spacing_m: float = 2600.0
    """Mean distance between rivers."""
    valley_depth_m: float = 45.0
    """How deep a river cuts."""
    valley_halfwidth_m: float = 420.0
    """Gaussian half-width of a valley."""
    river_halfwidth_m: float = 14.0
    """Half the width of the water."""
    lake_share: float = 0.025
    """Share of the land under lakes."""
    base_elevation_m: float = 180.0
    """Mean height above the ellipsoid."""
    dem_noise_m: float = 0.15
    """Standard deviation of the elevation model's errors."""


@dataclass(frozen=True)
class SlumpConfig:
    """Thaw slumps."""

    density_per_km2: float = 1.7
    """Mean number of slumps."""
    median_area_ha: float = 1.3
    """Median of the log-normal areas."""
    log_sigma: float = 0.95
    """Standard deviation of the logarithm of the areas."""
    smallest_area_ha: float = 0.1
    """Smaller ones are drawn again."""
    largest_area_ha: float = 40.0
    """Larger ones are drawn again."""
    elongation: tuple[float, float] = (1.5, 2.8)
    """Range of length over width."""
    scar_depth_m: tuple[float, float] = (2.5, 9.0)
    """Range of the headwall's height."""
    edge_m: float = 6.0
    """Distance over which the scarp falls."""


@dataclass(frozen=True)
class LookalikeConfig:
    """What is bare, wet or sunken, and is no slump."""

    basin_area_ratio: float = 1.35
    """Area of drained basins over the expected area of slumps: same surface, same depth, other form."""
    scar_area_ratio: float = 0.5
    """Area of vegetated scars over the expected area of slumps: same form, other surface."""
    gravel_area_ratio: float = 0.5
    """Area of bare patches without relief over the expected area of slumps."""
    burn_share: float = 0.02
    """Share of the land that burnt."""
    ridge_share: float = 0.012
    """Share of the land that is bare ridge."""
    shore_width_m: tuple[float, float] = (6.0, 24.0)
    """Range of the width of bare lake shores."""
    bank_width_m: tuple[float, float] = (10.0, 26.0)
    """Range of the width of cut banks."""


@dataclass(frozen=True)
class SkyConfig:
    """What stands between the sensor and the ground."""

    cloud_probability: float = 0.5
    """Share of the scenes with clouds."""
    cloud_share: tuple[float, float] = (0.02, 0.12)
    """Range of the share of a cloudy scene under clouds."""
    cloud_height_m: float = 600.0
    """Height of the clouds; decides where their shadows fall."""
    swath_edge_probability: float = 0.4
    """Share of the scenes that the swath's edge crosses."""
    noise: float = 0.035
    """Standard deviation of the multiplicative noise of each pixel and band."""
    gain: tuple[float, float] = (0.85, 1.15)
    """Range of a scene's illumination."""


@dataclass(frozen=True)
class WorldConfig:
    """The whole world."""

    terrain: TerrainConfig = field(default_factory=TerrainConfig)
    slumps: SlumpConfig = field(default_factory=SlumpConfig)
    lookalikes: LookalikeConfig = field(default_factory=LookalikeConfig)
    sky: SkyConfig = field(default_factory=SkyConfig)
    margin_m: float = 400.0
    """How far terrain and surface go on beyond the scene, on each side; elevation and trends cover that too."""


WORLD: Final = WorldConfig()
"""The world that the shipped models know."""
