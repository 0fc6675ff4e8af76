"""Slumps and look-alikes, painted onto a surface."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from darts_utils.synthetic.config import LOOKALIKE_CLASSES, WorldConfig
from darts_utils.synthetic.noise import Field, fractal, threshold_for_share
from darts_utils.synthetic.outlines import Outline, Placement, round_basin, tongue
from darts_utils.synthetic.surface import Disturbance, Surface
from darts_utils.synthetic.terrain import Terrain

_CODES = {name: code for code, name in LOOKALIKE_CLASSES.items()}
_TRIES = 60

Form = Callable[..., Outline | None]


@dataclass
class Painting:
    """The state while features are painted."""

    rng: np.random.Generator
    terrain: Terrain
    surface: Surface
    resolution_m: float
    config: WorldConfig
    taken: NDArray[np.bool_]
    """Where no further feature may start: water and what is painted already, with some room around."""
    slump_labels: NDArray[np.int32]
    lookalike_class: NDArray[np.uint8]
    ice: Field
    """Share of dark scarp."""

    @property
    def expected_slump_area_m2(self) -> float:
        """Mean area under slumps at the configured density."""
        slumps = self.config.slumps
        mean_ha = slumps.median_area_ha * np.exp(slumps.log_sigma**2 / 2)
        ground_km2 = self.taken.size * self.resolution_m**2 / 1e6
        return float(slumps.density_per_km2 * ground_km2 * mean_ha * 1e4)

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


def paint_slumps(painting: Painting) -> None:
    """Paint thaw slumps: scarp and scar in the relief, a bare wet floor with flow lines, a trend signal."""
    config = painting.config.slumps
    rng = painting.rng
    ground_km2 = painting.taken.size * painting.resolution_m**2 / 1e6
    texture = painting.texture()
    for number in range(1, rng.poisson(config.density_per_km2 * ground_km2) + 1):
        outline = _placed(painting, _draw_area_m2(painting), form=tongue)
        if outline is None:
            continue
        _sink(painting, outline, opening=True)
        local = 0.45 * texture[outline.window] + 0.75 * _flow_lines(rng, outline)
        weight = outline.inside.astype("float64")
        painting.surface.disturb(outline.window, weight, Disturbance.draw(rng), local)
        rim_m = max(6.0, 0.09 * float(outline.edge_distance_m.max() * 2))
        rim = np.exp(-((outline.edge_distance_m / rim_m) ** 2)) * np.clip((0.62 - outline.along) / 0.15, 0, 1) * weight
        _lay(painting.ice, outline.window, rng.uniform(0.7, 0.95) * rim)
        painting.slump_labels[outline.window][outline.inside] = number


def paint_basins(painting: Painting) -> None:
    """Paint drained basins: the surface and the depth of slumps, round, without scarp shadow and flow lines."""
    texture = painting.texture()
    budget = painting.config.lookalikes.basin_area_ratio * painting.expected_slump_area_m2
    while budget > 0:
        area = _draw_area_m2(painting)
        budget -= area
        outline = _placed(painting, area, form=round_basin)
        if outline is None:
            continue
        _sink(painting, outline, opening=False)
        painting.surface.disturb(
            outline.window, outline.inside.astype("float64"), Disturbance.draw(painting.rng), texture[outline.window]
        )
        painting.lookalike_class[outline.window][outline.inside] = _CODES["drained_basin"]


def paint_vegetated_scars(painting: Painting) -> None:
    """Paint old scars: the form of slumps in the relief, under a full cover of plants."""
    budget = painting.config.lookalikes.scar_area_ratio * painting.expected_slump_area_m2
    while budget > 0:
        area = _draw_area_m2(painting)
        budget -= area
        outline = _placed(painting, area, form=tongue)
        if outline is None:
            continue
        _sink(painting, outline, opening=True)
        painting.lookalike_class[outline.window][outline.inside] = _CODES["vegetated_scar"]


def paint_gravel(painting: Painting) -> None:
    """Paint bare patches that do not change the relief."""
    texture = painting.texture()
    budget = painting.config.lookalikes.gravel_area_ratio * painting.expected_slump_area_m2
    while budget > 0:
        area = _draw_area_m2(painting)
        budget -= area
        outline = _placed(painting, area, form=round_basin)
        if outline is None:
            continue
        ragged = outline.inside & (texture[outline.window] > -0.25)
        painting.surface.disturb(
            outline.window, ragged.astype("float64"), Disturbance.draw(painting.rng), texture[outline.window]
        )
        painting.lookalike_class[outline.window][ragged] = _CODES["gravel"]


def paint_banks_and_shores(painting: Painting) -> None:
    """Paint cut banks on outer bends of rivers, and bare shores around some lakes."""
    rng, terrain, config = painting.rng, painting.terrain, painting.config.lookalikes
    texture = painting.texture()
    water_m = painting.config.terrain.river_halfwidth_m
    width_m = rng.uniform(*config.bank_width_m) * (0.5 + np.clip(terrain.river_side, 0, 1))
    from_water = terrain.river_distance_m - water_m
    bank = (terrain.river_side > 0.35) & (from_water > 0) & (from_water < width_m)
    _cover_with(painting, bank, "cut_bank", texture)
    step = np.clip(from_water / 8.0, 0, 1) * np.clip((80.0 - from_water) / 60.0, 0, 1) * (terrain.river_side > 0.35)
    painting.surface.sinking_m -= np.where(terrain.lake | terrain.river, 0.0, 3.0 * step)
    labels, count = scipy.ndimage.label(terrain.lake)
    if count:
        distance, nearest = scipy.ndimage.distance_transform_edt(~terrain.lake, return_indices=True)
        width = np.where(rng.random(count) < 0.7, rng.uniform(*config.shore_width_m, count), 0.0)
        owner = labels[tuple(nearest)]
        shore = ~terrain.lake & (distance * painting.resolution_m < width[owner - 1])
        _cover_with(painting, shore & ~bank, "lake_shore", texture)


def paint_ridges_and_burns(painting: Painting) -> None:
    """Paint bare strips on crests, and burnt ground with ragged edges."""
    rng, config = painting.rng, painting.config.lookalikes
    texture = painting.texture()
    pixels = 45.0 / painting.resolution_m
    crest = -scipy.ndimage.gaussian_laplace(painting.terrain.elevation_m, pixels, mode="nearest")
    _cover_with(painting, crest > threshold_for_share(crest, config.ridge_share), "bare_ridge", texture)
    where = fractal(rng, painting.taken.shape, resolution_m=painting.resolution_m, spectral_slope=1.7, largest_m=500.0)
    burnt = (where > threshold_for_share(where, config.burn_share)) & ~painting.taken
    strength = Disturbance.draw(rng)
    painting.surface.burn[burnt] = np.clip(rng.uniform(0.5, 0.9) + 0.25 * texture[burnt], 0, 1)
    for index, change in enumerate(strength.trend):
        painting.surface.trend[index][burnt] += 1.2 * change
    painting.lookalike_class[burnt] = _CODES["burn"]


def _cover_with(painting: Painting, where: NDArray[np.bool_], name: str, texture: Field) -> None:
    """Disturb a region piece by piece: each connected piece has a surface of its own."""
    labels, _ = scipy.ndimage.label(where & ~painting.taken)
    for number, window in enumerate(scipy.ndimage.find_objects(labels), start=1):
        piece = labels[window] == number
        painting.surface.disturb(window, piece.astype("float64"), Disturbance.draw(painting.rng), texture[window])
        painting.lookalike_class[window][piece] = _CODES[name]


def _draw_area_m2(painting: Painting) -> float:
    config = painting.config.slumps
    while True:
        area_ha = config.median_area_ha * np.exp(painting.rng.normal(0, config.log_sigma))
        if config.smallest_area_ha <= area_ha <= config.largest_area_ha:
            return float(area_ha * 1e4)


def _placed(painting: Painting, area_m2: float, *, form: Form) -> Outline | None:
    """Find a free place on a slope for a form of the given area; None after too many tries."""
    rng, terrain = painting.rng, painting.terrain
    shape = painting.taken.shape
    elongation = rng.uniform(*painting.config.slumps.elongation)
    for _ in range(_TRIES):
        row, column = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
        if painting.taken[row, column] or not 0.03 < terrain.steepness[row, column] < 0.45:
            continue
        direction = (float(terrain.downslope_x[row, column]), float(terrain.downslope_y[row, column]))
        placement = Placement(row, column, direction, area_m2, elongation)
        outline = form(rng, shape, placement, resolution_m=painting.resolution_m)
        if outline is None or painting.taken[outline.window][outline.inside].any():
            continue
        room = max(1, round(18.0 / painting.resolution_m))
        painting.taken[outline.window] |= scipy.ndimage.binary_dilation(outline.inside, iterations=room)
        return outline
    return None


def _sink(painting: Painting, outline: Outline, *, opening: bool) -> None:
    """Lower the ground by the scar: a scarp around the head, open towards the toe; or all around."""
    config = painting.config.slumps
    size = min(1.0, float(outline.edge_distance_m.max()) / 60.0)
    low, high = config.scar_depth_m
    depth_m = (low + (high - low) * size) * painting.rng.uniform(0.6, 1.2)
    fall = 1 - np.exp(-outline.edge_distance_m / config.edge_m)
    shape = np.clip(1.05 - outline.along, 0.05, 1.0) if opening else 0.62
    painting.surface.sinking_m[outline.window] += depth_m * fall * shape


def _flow_lines(rng: np.random.Generator, outline: Outline) -> Field:
    """Stripes along the tongue, as mud flows leave them."""
    width_m = max(float(outline.edge_distance_m.max()) * 2, 1.0)
    stripe_m = max(width_m / rng.uniform(5, 8), 9.0)
    wander = 0.6 * np.sin(2 * np.pi * outline.along * rng.uniform(0.8, 2.0) + rng.uniform(0, 2 * np.pi))
    lines: Field = np.sin(2 * np.pi * outline.across_m / stripe_m + wander + rng.uniform(0, 2 * np.pi))
    return lines


def _lay(target: Field, window: tuple[slice, slice], values: Field) -> None:
    target[window] = np.maximum(target[window], values)
