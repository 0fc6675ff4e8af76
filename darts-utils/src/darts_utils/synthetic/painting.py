"""The canvas on which features are painted, and where on it they find a place."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from darts_utils.synthetic.config import WorldConfig
from darts_utils.synthetic.noise import Field, fractal
from darts_utils.synthetic.outlines import Outline, Placement
from darts_utils.synthetic.surface import Surface
from darts_utils.synthetic.terrain import Terrain

_TRIES = 150
_SIZINGS = 4
_ROOM_M = 18.0
"""Room that a feature keeps around itself."""

Form = Callable[..., Outline | None]


@dataclass
class Painting:
    """The state while features are painted."""

    rng: np.random.Generator
    terrain: Terrain
    surface: Surface
    resolution_m: float
    config: WorldConfig
    slump_density_per_km2: float
    """Mean number of slumps; look-alikes are as many as the configuration's density asks for."""
    stripes: bool
    """Paint stripes; the random numbers are drawn in any case."""
    scarps: bool
    """Paint dark rims; likewise."""
    taken: NDArray[np.bool_] = field(init=False)
    """Where no further feature may lie: water and what is painted already, with some room around."""
    slump_labels: NDArray[np.int32] = field(init=False)
    lookalike_class: NDArray[np.uint8] = field(init=False)
    ice: Field = field(init=False)
    """Share of dark scarp."""

    def __post_init__(self) -> None:
        shape = self.terrain.elevation_m.shape
        self.taken = self.terrain.lake | self.terrain.river
        self.slump_labels = np.zeros(shape, "int32")
        self.lookalike_class = np.zeros(shape, "uint8")
        self.ice = np.zeros(shape)

    @property
    def ground_km2(self) -> float:
        """Area of the working grid."""
        return self.taken.size * self.resolution_m**2 / 1e6

    @property
    def usual_slump_area_m2(self) -> float:
        """Mean area under slumps at the configured density: what the area of look-alikes goes by."""
        slumps = self.config.slumps
        mean_ha = slumps.median_area_ha * np.exp(slumps.log_sigma**2 / 2)
        return float(slumps.density_per_km2 * self.ground_km2 * mean_ha * 1e4)

    def texture(self, *, largest_m: float = 60.0) -> Field:
        """A field of patches for the whole grid, about −1 to 1."""
        return (
            np.clip(
                fractal(
                    self.rng, self.taken.shape, resolution_m=self.resolution_m, spectral_slope=1.3, largest_m=largest_m
                ),
                -2,
                2,
            )
            / 2
        )


def draw_area_m2(painting: Painting) -> float:
    """Draw an area from the distribution that slumps and look-alikes share."""
    config = painting.config.slumps
    while True:
        area_ha = config.median_area_ha * np.exp(painting.rng.normal(0, config.log_sigma))
        if config.smallest_area_ha <= area_ha <= config.largest_area_ha:
            return float(area_ha * 1e4)


def placed_up_to(painting: Painting, ratio: float, *, form: Form, across_slope: bool = False) -> Iterator[Outline]:
    """Place forms until their areas add up to a ratio of the usual area of slumps."""
    budget = ratio * painting.usual_slump_area_m2
    while budget > 0:
        area = draw_area_m2(painting)
        budget -= area
        outline = placed(painting, area, form=form, across_slope=across_slope)
        if outline is not None:
            yield outline


def placed(painting: Painting, area_m2: float, *, form: Form, across_slope: bool = False) -> Outline | None:
    """Find a free place on a slope for a form of the given area; None after too many tries."""
    rng, terrain = painting.rng, painting.terrain
    shape = painting.taken.shape
    elongation = rng.uniform(*painting.config.slumps.elongation)
    gentlest, steepest = painting.config.slumps.steepness
    for _ in range(_TRIES):
        row, column = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
        if painting.taken[row, column] or not gentlest < terrain.steepness[row, column] < steepest:
            continue
        direction = (float(terrain.downslope_x[row, column]), float(terrain.downslope_y[row, column]))
        if across_slope:
            direction = (-direction[1], direction[0])
        placement = Placement(row, column, direction, area_m2, elongation)
        outline = _sized(painting, placement, form=form)
        if outline is None or painting.taken[outline.window][outline.inside].any():
            continue
        room = max(1, round(_ROOM_M / painting.resolution_m))
        painting.taken[outline.window] |= scipy.ndimage.binary_dilation(outline.inside, iterations=room)
        return outline
    return None


def _sized(painting: Painting, placement: Placement, *, form: Form) -> Outline | None:
    """Draw a form and scale it until its pixels have the area asked for; None where the area stays out of range."""
    rng, config = painting.rng, painting.config.slumps
    state = rng.bit_generator.state
    asked_m2 = placement.area_m2
    for _ in range(_SIZINGS):
        rng.bit_generator.state = state
        outline = form(rng, painting.taken.shape, placement, resolution_m=painting.resolution_m)
        if outline is None:
            return None
        got_m2 = float(outline.inside.sum()) * painting.resolution_m**2
        if abs(got_m2 / asked_m2 - 1) < 0.03:
            break
        placement = replace(placement, area_m2=placement.area_m2 * asked_m2 / got_m2)
    in_range = config.smallest_area_ha * 1e4 <= got_m2 <= config.largest_area_ha * 1e4
    return outline if in_range else None
