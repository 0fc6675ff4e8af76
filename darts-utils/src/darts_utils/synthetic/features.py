"""Slumps and look-alikes, painted onto a surface."""

import itertools

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from darts_utils.synthetic.config import LOOKALIKE_CLASSES
from darts_utils.synthetic.marks import darken_rim, lay_bare, lay_dark, sink, stripes_of
from darts_utils.synthetic.noise import Field, fractal, threshold_for_share
from darts_utils.synthetic.outlines import Outline, round_basin, tongue
from darts_utils.synthetic.painting import Painting, draw_area_m2, placed, placed_up_to
from darts_utils.synthetic.surface import Disturbance

_CODES = {name: code for code, name in LOOKALIKE_CLASSES.items()}


def paint_slumps(painting: Painting) -> None:
    """Paint thaw slumps: headwall and scar in the relief, open at the toe; a bare wet floor; a trend signal."""
    rng = painting.rng
    texture = painting.texture()
    for number in range(1, rng.poisson(painting.slump_density_per_km2 * painting.ground_km2) + 1):
        outline = placed(painting, draw_area_m2(painting), form=tongue)
        if outline is None:
            continue
        retreat_m = rng.uniform(*painting.config.slumps.headwall_retreat_m)
        stale = rng.random() < painting.config.slumps.stale_dem_probability
        paint_slump(painting, outline, texture, number=number, retreat_m=retreat_m if stale else 0.0)


def paint_slump(painting: Painting, outline: Outline, texture: Field, *, number: int, retreat_m: float = 0.0) -> None:
    """Paint one thaw slump.

    Args:
        painting: The canvas.
        outline: Where.
        texture: Patches, about −1 to 1, for the whole grid.
        number: Its number among the labels.
        retreat_m: How far its head has moved back since the elevation model was made.
    """
    sink(painting, outline, opening=True, retreat_m=retreat_m)
    lay_bare(painting, outline, texture[outline.window], along_only=True)
    darken_rim(painting, outline, outline.along, probability=painting.config.marks.slump_scarp_probability)
    painting.slump_labels[outline.window][outline.inside] = number


def paint_basins(painting: Painting) -> None:
    """Paint drained basins: the surface and the depth of slumps, round and closed."""
    rng, marks = painting.rng, painting.config.marks
    texture = painting.texture()
    for outline in placed_up_to(painting, painting.config.lookalikes.basin_area_ratio, form=round_basin):
        sink(painting, outline, opening=False)
        lay_bare(painting, outline, texture[outline.window])
        angle = rng.uniform(0, 2 * np.pi)
        around = 0.5 + (outline.along - 0.5) * np.cos(angle) + outline.across_m / outline.length_m * np.sin(angle)
        darken_rim(painting, outline, around, probability=marks.lookalike_scarp_probability)
        painting.lookalike_class[outline.window][outline.inside] = _CODES["drained_basin"]


def paint_vegetated_scars(painting: Painting) -> None:
    """Paint old scars: the form of slumps in the relief, under plants that leave a bare patch here and there."""
    rng, marks = painting.rng, painting.config.marks
    texture = painting.texture()
    for outline in placed_up_to(painting, painting.config.lookalikes.scar_area_ratio, form=tongue):
        sink(painting, outline, opening=True)
        here = texture[outline.window]
        bare = outline.inside & (here > np.quantile(here[outline.inside], 1 - rng.uniform(*marks.scar_bare_share)))
        lay_bare(painting, outline, here, where=bare)
        darken_rim(painting, outline, outline.along, probability=marks.lookalike_scarp_probability)
        painting.lookalike_class[outline.window][outline.inside] = _CODES["vegetated_scar"]


def paint_gravel(painting: Painting) -> None:
    """Paint bare patches that do not change the relief: round ones, and tongues that lie across the slope."""
    texture = painting.texture()
    config = painting.config.lookalikes
    round_ones = placed_up_to(painting, config.gravel_area_ratio * (1 - config.gravel_tongue_share), form=round_basin)
    tongues = placed_up_to(
        painting, config.gravel_area_ratio * config.gravel_tongue_share, form=tongue, across_slope=True
    )
    for outline in itertools.chain(round_ones, tongues):
        ragged = outline.inside & (texture[outline.window] > -0.25)
        lay_bare(painting, outline, texture[outline.window], where=ragged)
        painting.lookalike_class[outline.window][ragged] = _CODES["gravel"]


def paint_banks_and_shores(painting: Painting) -> None:
    """Paint cut banks on outer bends of rivers, and bare shores around some lakes."""
    rng, terrain, config = painting.rng, painting.terrain, painting.config.lookalikes
    texture = painting.texture()
    water_m = painting.config.terrain.river_halfwidth_m
    width_m = rng.uniform(*config.bank_width_m) * (0.5 + np.clip(terrain.river_side, 0, 1))
    from_water = terrain.river_distance_m - water_m
    bank = (terrain.river_side > 0.35) & (from_water > 0) & (from_water < width_m)
    rim = np.exp(-(((np.minimum(from_water, 1e6) - width_m) / 6.0) ** 2))
    _cover_with(painting, bank, "cut_bank", texture, rim=rim)
    outer = np.clip((terrain.river_side - 0.35) / 0.3, 0, 1)
    step = np.clip(from_water / 8.0, 0, 1) * np.clip((80.0 - from_water) / 60.0, 0, 1) * outer
    sinking = np.where(terrain.lake | terrain.river, 0.0, 3.0 * step)
    painting.surface.sinking_m -= sinking
    painting.surface.sinking_in_dem_m -= sinking
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


def _cover_with(
    painting: Painting, where: NDArray[np.bool_], name: str, texture: Field, *, rim: Field | None = None
) -> None:
    """Disturb a region piece by piece: each connected piece has a surface, stripes and a rim of its own."""
    rng, marks = painting.rng, painting.config.marks
    labels, _ = scipy.ndimage.label(where & ~painting.taken)
    for number, window in enumerate(scipy.ndimage.find_objects(labels), start=1):
        piece = labels[window] == number
        rows, columns = np.mgrid[: piece.shape[0], : piece.shape[1]] * painting.resolution_m
        angle = rng.uniform(0, np.pi)
        size_m = float(np.sqrt(piece.sum())) * painting.resolution_m
        local = 0.6 * texture[window] + stripes_of(
            painting, rows * np.cos(angle) + columns * np.sin(angle), rows / max(size_m, 1.0), width_m=size_m
        )
        painting.surface.disturb(window, piece.astype("float64"), Disturbance.draw(rng), local)
        painting.lookalike_class[window][piece] = _CODES[name]
        if rim is not None:
            dark = rng.random() < marks.lookalike_scarp_probability
            lay_dark(painting, window, rng.uniform(*marks.scarp_darkness) * rim[window] * piece * dark)
