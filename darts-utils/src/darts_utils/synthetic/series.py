"""The same ground over some years, seen by overlapping scenes: slumps grow, one splits, two merge, and clouds hide some."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from darts_utils.synthetic.auxiliary import make_dem, make_tcvis
from darts_utils.synthetic.config import WORLD, WORLD_VERSION
from darts_utils.synthetic.features import paint_slump
from darts_utils.synthetic.outlines import Mask, Outline, part_of, tongue
from darts_utils.synthetic.painting import Painting, draw_area_m2, placed
from darts_utils.synthetic.scene import (
    COVER_MARGIN_M,
    DEM_STEP_M,
    SyntheticScene,
    check_place,
    convergence_deg,
    image_of,
    paint_lookalikes,
    scene_grid,
    sunken,
    truth_of,
)
from darts_utils.synthetic.sensors import make_tile_id
from darts_utils.synthetic.surface import undisturbed
from darts_utils.synthetic.terrain import make_terrain

RESOLUTION_M = 10.0
"""Pixel size of the scenes, which are Sentinel-2's."""

_LARGE_AREA_M2 = 90_000.0
_LARGE_ONES = 6
_GAP_M = 45.0
_RETREAT_M_PER_YEAR = (4.0, 18.0)
_RESTING_SHARE = 0.3
_GROUND, _SURFACE, _SLUMPS, _HEIGHTS, _IMAGES = range(5)
"""Which random numbers are for what: the same ones every year, whatever the slumps do."""


@dataclass(frozen=True)
class SyntheticSeries:
    """Scenes of some years over one area, and the truth about it."""

    scenes: tuple[SyntheticScene, ...]
    """The scenes of all years, each with a day of its own; ``slump_labels`` are numbers of `truth`."""
    truth: dict[int, xr.Dataset]
    """By year, on the grid of the whole area: the ``truth`` of a scene without anything in front. A slump has the same number
    in all years, and look-alikes are where they were."""
    split: tuple[int, int]
    """Numbers of a slump that splits in the last year: the larger part, which bears the number of the whole, and the other."""
    merger: tuple[int, int]
    """Numbers of two slumps that merge in the last year: the larger one, whose number the whole bears, and the other."""


@dataclass(frozen=True)
class _Slump:
    outline: Outline
    """As it is in the last year, if nothing divides it."""
    retreat_m_per_year: float
    divided: tuple[bool, ...]
    """By year: whether a strip of unbroken ground runs through it."""
    numbers: tuple[int, int]
    """Of the whole and the larger part, and of the other part."""


def synthetic_series(
    seed: int,
    *,
    years: tuple[int, ...] = (2019, 2020, 2021),
    layout: tuple[int, int] = (2, 3),
    shape: tuple[int, int] = (320, 320),
    overlap_px: int = 120,
    crs: str = "EPSG:32608",
    center_lonlat_deg: tuple[float, float] = (-135.67, 68.05),
    clouds: bool = True,
) -> SyntheticSeries:
    """Make Sentinel-2 scenes of some years over one area of the synthetic Arctic; the same arguments give the same bytes.

    Terrain, surface and look-alikes stay as they are. Headwalls move back at rates of their own, three in ten slumps rest; in
    the last year one slump is divided by a strip of unbroken ground, and the strip between two others is gone. Sun, sky,
    haze and noise are those of each scene. Elevation is that of the middle year.

    Args:
        seed: Seed of everything that is random.
        years: Ascending years, at least two.
        layout: Rows and columns of scenes; their windows are the same every year.
        shape: ``(height, width)`` of a scene in pixels of 10 m.
        overlap_px: How far neighbouring scenes overlap.
        crs: Projected CRS, in metres.
        center_lonlat_deg: Where the middle of the area lies.
        clouds: Allow clouds with shadows.

    Returns:
        The scenes and the truth.

    Raises:
        ValueError: There are fewer than two ascending years, scenes do not go on beyond their overlap, there is no room for
            the slumps that split and merge, or the place is none for a scene.
    """
    if len(years) < 2 or list(years) != sorted(set(years)):
        raise ValueError(f"expected at least two ascending years, but got {years}")
    if not 0 <= overlap_px < min(shape):
        raise ValueError(
            f"expected an overlap of 0 to {min(shape) - 1} px in scenes of {shape} px, but got {overlap_px}"
        )
    check_place(crs, center_lonlat_deg)
    steps = (shape[0] - overlap_px, shape[1] - overlap_px)
    height, width = (overlap_px + count * step for count, step in zip(layout, steps, strict=True))
    area = scene_grid((height, width), RESOLUTION_M, crs, center_lonlat_deg)
    pad = int(np.ceil(WORLD.margin_m / RESOLUTION_M))
    world = area.pad(pad)
    drawn = _blank(seed, world)
    slumps = _draw(drawn, years, pad)
    paintings = [
        _painted(seed, world, drawn.taken, [_parts(slump, index, years) for slump in slumps])
        for index in range(len(years))
    ]
    middle = paintings[len(years) // 2]
    dem = make_dem(
        np.random.default_rng([WORLD_VERSION, seed, _HEIGHTS]),
        sunken(middle.terrain.elevation_m, middle.surface.sinking_m, RESOLUTION_M),
        world,
        area,
        step_m=DEM_STEP_M["sentinel2"],
        margin_m=COVER_MARGIN_M,
        noise_m=WORLD.terrain.dem_noise_m,
    )
    tcvis = make_tcvis(128.0 + middle.surface.trend, world, area, margin_m=COVER_MARGIN_M)
    options = (layout, shape, overlap_px, crs, center_lonlat_deg, clouds)
    scenes = []
    for painting, year in zip(paintings, years, strict=True):
        today = sunken(painting.terrain.elevation_m, painting.surface.sinking_m, RESOLUTION_M)
        for index, (row, column) in enumerate(np.ndindex(layout)):
            top, left = row * steps[0], column * steps[1]
            grid = GeoBox(shape, area.affine * Affine.translation(left, top), crs)
            core = (slice(pad + top, pad + top + shape[0]), slice(pad + left, pad + left + shape[1]))
            date = str(np.datetime64(f"{year}-07-01") + 4 * index)
            tile = image_of(
                np.random.default_rng([WORLD_VERSION, seed, _IMAGES, year, index]),
                painting,
                today,
                core,
                grid,
                sensor="sentinel2",
                date=date,
                tile_id=make_tile_id("sentinel2", date, seed, options),
                convergence_deg=convergence_deg(crs, center_lonlat_deg),
                config=WORLD,
                clouds=clouds,
                swath_edge=clouds,
            )
            scenes.append(SyntheticScene(tile, truth_of(painting, core, grid, seed), dem, tcvis))
    inner = (slice(pad, pad + height), slice(pad, pad + width))
    truth = {year: truth_of(painting, inner, area, seed) for painting, year in zip(paintings, years, strict=True)}
    return SyntheticSeries(tuple(scenes), truth, split=slumps[0].numbers, merger=slumps[1].numbers)


def _blank(seed: int, world: GeoBox) -> Painting:
    """The ground before anything collapses; the same for the same seed."""
    rng = np.random.default_rng([WORLD_VERSION, seed, _GROUND])
    terrain = make_terrain(rng, (world.shape[0], world.shape[1]), resolution_m=RESOLUTION_M, config=WORLD.terrain)
    return Painting(
        rng=rng,
        terrain=terrain,
        surface=undisturbed(rng, terrain.elevation_m.shape, RESOLUTION_M),
        resolution_m=RESOLUTION_M,
        config=WORLD,
        slump_density_per_km2=WORLD.slumps.density_per_km2,
        stripes=True,
        scarps=True,
    )


def _draw(painting: Painting, years: tuple[int, ...], pad: int) -> list[_Slump]:
    """Draw the slumps as they are in the last year, first the one that splits and the one that is a merger."""
    rng = painting.rng
    inner = np.zeros(painting.taken.shape, dtype=bool)
    inner[pad:-pad, pad:-pad] = True
    outlines = [placed(painting, _LARGE_AREA_M2, form=tongue) for _ in range(_LARGE_ONES)]
    large = [outline for outline in outlines if outline is not None and inner[outline.window][outline.inside].all()]
    if len(large) < 2:
        raise ValueError(
            f"expected room for two slumps of {_LARGE_AREA_M2:g} m² in {inner.sum() * RESOLUTION_M**2 / 1e6:.1f} km², but found "
            f"it for {len(large)}: make a larger area, or take another seed"
        )
    count = int(rng.poisson(painting.slump_density_per_km2 * painting.ground_km2))
    others = [placed(painting, draw_area_m2(painting), form=tongue) for _ in range(count)]
    ordinary = [*large[2:], *(outline for outline in others if outline is not None)]
    last = len(years) - 1
    whole = [False] * len(years)
    patterns = [[index == last for index in range(len(years))], [index < last for index in range(len(years))]]
    slumps = []
    for number, outline in enumerate([*large[:2], *ordinary]):
        rests = rng.random() < _RESTING_SHARE
        rate = rng.uniform(*_RETREAT_M_PER_YEAR)
        divided = tuple(patterns[number] if number < len(patterns) else whole)
        slumps.append(_Slump(outline, 0.0 if rests else rate, divided, (2 * number + 1, 2 * number + 2)))
    return slumps


def _parts(slump: _Slump, index: int, years: tuple[int, ...]) -> list[tuple[int, Outline]]:
    """What is bare of a slump in a year: numbers and outlines."""
    outline = slump.outline
    back_m = slump.retreat_m_per_year * (years[-1] - years[index])
    back_m = min(back_m, 0.4 * float(outline.edge_distance_m.max()))
    inside = outline.inside & (outline.edge_distance_m > back_m * np.clip((0.7 - outline.along) / 0.3, 0, 1))
    masks = [inside]
    if slump.divided[index]:
        middle_m = float(np.quantile(outline.across_m[outline.inside], 0.58))
        masks = [
            inside & (outline.across_m < middle_m - _GAP_M / 2),
            inside & (outline.across_m > middle_m + _GAP_M / 2),
        ]
        masks.sort(key=lambda mask: -int(mask.sum()))
    parts = [part_of(outline, mask, resolution_m=RESOLUTION_M) for mask in masks]
    return [(number, part) for number, part in zip(slump.numbers, parts, strict=False) if part is not None]


def _painted(seed: int, world: GeoBox, taken: Mask, slumps: list[list[tuple[int, Outline]]]) -> Painting:
    """The ground of a year: all but the outlines of the slumps is the same every year."""
    painting = _blank(seed, world)
    painting.rng = np.random.default_rng([WORLD_VERSION, seed, _SURFACE])
    painting.taken = taken.copy()
    texture = painting.texture()
    lookalikes = painting.rng
    for number, outline in (part for parts in slumps for part in parts):
        painting.rng = np.random.default_rng([WORLD_VERSION, seed, _SLUMPS, number])
        paint_slump(painting, outline, texture, number=number)
    labels, painting.slump_labels = painting.slump_labels, taken.astype("int32")
    painting.rng = lookalikes
    paint_lookalikes(painting)
    painting.slump_labels = labels
    return painting
