"""The numbers that say how much of everything there is in the synthetic Arctic, and how strong it is.

These parameters decide how hard the world is. Spectra of materials stand in `darts_utils.synthetic.surface`, the curves of
outlines in `darts_utils.synthetic.outlines`, courses of rivers in `darts_utils.synthetic.terrain`. Models are trained and
scored on this world, so a change of any of them is a change of `WORLD_VERSION`, and the shipped models must be trained and
scored anew.
"""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

WORLD_VERSION: Final = 2
"""Version of the world; part of the training record of every model."""

Sensor = Literal["planetscope", "sentinel2"]

LOOKALIKE_CLASSES: Final = MappingProxyType(
    {1: "cut_bank", 2: "bare_ridge", 3: "burn", 4: "lake_shore", 5: "gravel", 6: "drained_basin", 7: "vegetated_scar"}
)
"""Codes of ``truth.lookalike_class``; 0 is none of them."""


@dataclass(frozen=True)
class TerrainConfig:
    """Relief."""

    relief_m: float = 9.5
    """Standard deviation of the fractal relief over the largest wavelength; smaller scenes see less of it."""
    largest_wavelength_m: float = 4000.0
    """Wavelength above which the relief is flat."""
    spectral_slope: float = 2.35
    """Exponent of the amplitude spectrum: larger is smoother."""
    roughness_m: float = 0.12
    """Standard deviation of hummocks and tussocks, 6 to 40 m across, on land."""
    river_spacing_m: float = 2600.0
    """Mean distance between rivers."""
    valley_depth_m: float = 10.0
    """How deep a river cuts."""
    valley_halfwidth_m: float = 200.0
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
    """Smaller ones are drawn again, and so are outlines that come out smaller."""
    largest_area_ha: float = 40.0
    """Larger ones are drawn again, and so are outlines that come out larger."""
    elongation: tuple[float, float] = (1.5, 2.8)
    """Range of length over width."""
    scar_depth_m: tuple[float, float] = (2.5, 9.0)
    """Range of the headwall's height."""
    edge_m: float = 6.0
    """Distance over which the scarp falls."""
    steepness: tuple[float, float] = (0.02, 0.45)
    """Range of the slope (rise over run) of the ground on which slumps and their look-alikes start."""
    stale_dem_probability: float = 0.4
    """Share of the slumps that have grown since the elevation model was made."""
    headwall_retreat_m: tuple[float, float] = (2.0, 8.0)
    """Range of the distance by which the headwall of those has moved since."""


@dataclass(frozen=True)
class MarksConfig:
    """What the surface of disturbed ground bears: slumps and look-alikes draw it from the same distributions."""

    stripe_probability: float = 0.6
    """Share of the disturbed places with stripes: mud flows, solifluction, patterned ground."""
    stripe_amplitude: tuple[float, float] = (0.15, 0.9)
    """Range of the strength of stripes, where there are some."""
    stripes_across: tuple[float, float] = (5.0, 8.0)
    """Range of the number of stripes across the place."""
    smallest_stripe_m: float = 9.0
    """Least wavelength of stripes."""
    point_spread_px: float = 0.6
    """Standard deviation of the sensor's point spread; it damps stripes, and those below two pixels are gone."""
    slump_scarp_probability: float = 0.75
    """Share of the slumps with a dark headwall."""
    lookalike_scarp_probability: float = 0.4
    """Share of the basins, cut banks and old scars with a dark rim."""
    scarp_darkness: tuple[float, float] = (0.4, 0.95)
    """Range of the share of dark material in such a rim."""
    fade_px: tuple[float, float] = (1.0, 3.0)
    """Range of the width over which a disturbed surface fades into its surroundings, at the toe; less at the head."""
    green_toe_probability: float = 0.5
    """Share of the disturbed places whose lower end is partly overgrown."""
    scar_bare_share: tuple[float, float] = (0.0, 0.3)
    """Range of the share of an old scar that is still bare."""


@dataclass(frozen=True)
class LookalikeConfig:
    """What is bare, wet or sunken, and is no slump."""

    basin_area_ratio: float = 1.35
    """Area of drained basins over the expected area of slumps: same surface, same depth, other form."""
    scar_area_ratio: float = 0.5
    """Area of vegetated scars over the expected area of slumps: same form, other surface."""
    gravel_area_ratio: float = 0.5
    """Area of bare patches without relief over the expected area of slumps."""
    gravel_tongue_share: float = 0.3
    """Share of these patches that are tongues across the slope; the others are round."""
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
    marks: MarksConfig = field(default_factory=MarksConfig)
    lookalikes: LookalikeConfig = field(default_factory=LookalikeConfig)
    sky: SkyConfig = field(default_factory=SkyConfig)
    margin_m: float = 400.0
    """How far terrain and surface go on beyond the scene, on each side; elevation and trends cover that too."""


WORLD: Final = WorldConfig()
"""The world that the shipped models know."""
