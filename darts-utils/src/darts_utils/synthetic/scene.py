"""The composition: one call makes a scene, what is known about it, its elevation and its trends."""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Proj, Transformer

from darts_utils.dates import parse_date
from darts_utils.grids import coords_of
from darts_utils.synthetic.auxiliary import make_dem, make_tcvis
from darts_utils.synthetic.config import WORLD, WORLD_VERSION, Sensor, WorldConfig
from darts_utils.synthetic.features import (
    paint_banks_and_shores,
    paint_basins,
    paint_gravel,
    paint_ridges_and_burns,
    paint_slumps,
    paint_vegetated_scars,
)
from darts_utils.synthetic.noise import Field
from darts_utils.synthetic.painting import Painting
from darts_utils.synthetic.sensors import make_tile_id, observe
from darts_utils.synthetic.sky import make_sky
from darts_utils.synthetic.surface import undisturbed
from darts_utils.synthetic.terrain import make_terrain
from darts_utils.tiles import DIMS

COVER_MARGIN_M = 300.0
"""Margin around the scene that elevation and trends cover."""
_SOUTHERNMOST_DEG = 50.0
DEM_STEP_M = {"planetscope": 2.0, "sentinel2": 10.0}


@dataclass(frozen=True)
class SyntheticScene:
    """A scene and the truth about it."""

    tile: xr.Dataset
    """Raw tile, as a loader returns it: DN, sensor mask, metadata."""
    truth: xr.Dataset
    """On the same grid: ``slump_mask`` bool, ``slump_labels`` int32 (0: none), ``lookalike_class`` uint8 (see
    `darts_utils.synthetic.LOOKALIKE_CLASSES`; 0: none)."""
    dem: xr.Dataset
    """``dem`` float32 m, EPSG:3413, 2 m (PlanetScope) or 10 m (Sentinel-2); covers the scene and 300 m around."""
    tcvis: xr.Dataset
    """``tc_*`` uint8, EPSG:4326, about 30 m; covers the scene and 300 m around."""


def synthetic_scene(
    seed: int,
    *,
    shape: tuple[int, int] = (512, 512),
    resolution_m: float = 3.0,
    crs: str = "EPSG:32608",
    sensor: Sensor = "planetscope",
    center_lonlat_deg: tuple[float, float] = (-135.67, 68.05),
    date: str = "2021-08-21",
    lookalikes: bool = True,
    clouds: bool = True,
    swath_edge: bool = True,
    stripes: bool = True,
    scarps: bool = True,
    slump_density_per_km2: float = WORLD.slumps.density_per_km2,
) -> SyntheticScene:
    """Make a scene of the synthetic Arctic; the same arguments give the same bytes.

    Terrain and surface are made on one working grid around the scene; image, elevation and trends are samples of it, so
    they agree with each other to a fraction of a pixel.

    Args:
        seed: Seed of everything that is random.
        shape: ``(height, width)`` of the scene in pixels.
        resolution_m: Pixel size, 3 for PlanetScope and 10 for Sentinel-2 as a rule.
        crs: Projected CRS of the scene, in metres.
        sensor: ``"planetscope"`` (with ``planet_udm2``, ``planet_udm1``) or ``"sentinel2"`` (with ``s2_scl``).
        center_lonlat_deg: Where the middle of the scene lies.
        date: Date of the image, ``YYYY-MM-DD``.
        lookalikes: Paint cut banks, ridges, burns, shores, gravel, basins and old scars.
        clouds: Allow clouds with shadows (half of the scenes have them).
        swath_edge: Allow a swath edge beyond which there are no data (two in five scenes have one).
        stripes: Let disturbed ground, slumps and look-alikes alike, bear stripes.
        scarps: Let headwalls and rims, of slumps and look-alikes alike, be dark. With this switch and the one before, all
            else stays as it is: what a model makes of the difference shows what it leans on.
        slump_density_per_km2: Mean number of slumps. Look-alikes are as many as at the default.

    Returns:
        The scene.

    Raises:
        ValueError: `shape` or `resolution_m` is not positive, `sensor` is unknown, `date` is no date, `crs` is not
            projected in metres, or the scene lies south of 50° N.

    Examples:
        >>> scene = synthetic_scene(1, shape=(64, 64), resolution_m=10.0, sensor="sentinel2")
        >>> sorted(scene.tile.data_vars)
        ['blue', 'green', 'nir', 'red', 's2_scl']
    """
    if sensor not in DEM_STEP_M:
        raise ValueError(f"expected the sensor 'planetscope' or 'sentinel2', but got {sensor!r}")
    if min(shape) < 1 or not resolution_m > 0:
        raise ValueError(f"expected a shape and a resolution above 0, but got {shape} px at {resolution_m} m")
    parse_date(date)
    check_place(crs, center_lonlat_deg)
    config = WORLD
    where = (int(shape[0]), int(shape[1]), float(resolution_m), crs, *map(float, center_lonlat_deg))
    options = (*where, lookalikes, clouds, swath_edge, stripes, scarps, float(slump_density_per_km2))
    rng = np.random.default_rng([WORLD_VERSION, seed])
    grid = scene_grid(shape, resolution_m, crs, center_lonlat_deg)
    world = grid.pad(int(np.ceil(config.margin_m / resolution_m)))
    terrain = make_terrain(rng, (world.shape[0], world.shape[1]), resolution_m=resolution_m, config=config.terrain)
    painting = Painting(
        rng=rng,
        terrain=terrain,
        surface=undisturbed(rng, terrain.elevation_m.shape, resolution_m),
        resolution_m=resolution_m,
        config=config,
        slump_density_per_km2=slump_density_per_km2,
        stripes=stripes,
        scarps=scarps,
    )
    paint_slumps(painting)
    if lookalikes:
        paint_lookalikes(painting)
    today, in_dem = (
        sunken(terrain.elevation_m, sinking, resolution_m)
        for sinking in (painting.surface.sinking_m, painting.surface.sinking_in_dem_m)
    )
    core = tuple(slice(pad, pad + size) for pad, size in zip(_pads(world, grid), shape, strict=True))
    tile = image_of(
        rng,
        painting,
        today,
        core,
        grid,
        sensor=sensor,
        date=date,
        tile_id=make_tile_id(sensor, date, seed, options),
        convergence_deg=convergence_deg(crs, center_lonlat_deg),
        config=config,
        clouds=clouds,
        swath_edge=swath_edge,
    )
    trends = 128.0 + painting.surface.trend
    return SyntheticScene(
        tile=tile,
        truth=truth_of(painting, core, grid, seed),
        dem=make_dem(
            rng,
            in_dem,
            world,
            grid,
            step_m=DEM_STEP_M[sensor],
            margin_m=COVER_MARGIN_M,
            noise_m=config.terrain.dem_noise_m,
        ),
        tcvis=make_tcvis(trends, world, grid, margin_m=COVER_MARGIN_M),
    )


def check_place(crs: str, center_lonlat_deg: tuple[float, float]) -> None:
    """Refuse what is no place for a scene.

    Raises:
        ValueError: `crs` is not projected in metres, or the place lies south of 50° N.
    """
    parsed = CRS.from_user_input(crs)
    if not parsed.is_projected or any(axis.unit_name != "metre" for axis in parsed.axis_info):
        raise ValueError(f"expected a CRS projected in metres, but got {crs!r}: take a UTM zone, for example")
    if not _SOUTHERNMOST_DEG <= center_lonlat_deg[1] < 90.0:
        raise ValueError(
            f"expected the middle of the scene at {_SOUTHERNMOST_DEG:g}° N or farther north, but got "
            f"{center_lonlat_deg[1]}° N: the world is an Arctic one"
        )


def convergence_deg(crs: str, center_lonlat_deg: tuple[float, float]) -> float:
    """Angle from true north to the top of the grid at the middle of the scene."""
    return float(Proj(crs).get_factors(*center_lonlat_deg).meridian_convergence)


def scene_grid(shape: tuple[int, int], resolution_m: float, crs: str, center_lonlat_deg: tuple[float, float]) -> GeoBox:
    """The grid of a scene around a place; its pixels lie on multiples of their size, or of half of it."""
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*center_lonlat_deg)
    left = np.round(x / resolution_m - shape[1] / 2) * resolution_m
    top = np.round(y / resolution_m + shape[0] / 2) * resolution_m
    return GeoBox(shape, Affine(resolution_m, 0, float(left), 0, -resolution_m, float(top)), crs)


def sunken(elevation_m: Field, sinking_m: Field, resolution_m: float) -> Field:
    """Lower the ground by what sank, whose edges are softened a little."""
    lowered: Field = elevation_m - scipy.ndimage.gaussian_filter(sinking_m, 1.5 / resolution_m)
    return lowered


def _pads(world: GeoBox, grid: GeoBox) -> tuple[int, int]:
    return (world.shape[0] - grid.shape[0]) // 2, (world.shape[1] - grid.shape[1]) // 2


def paint_lookalikes(painting: Painting) -> None:
    """Paint everything that is bare, wet or sunken around the slumps and is none."""
    paint_basins(painting)
    paint_vegetated_scars(painting)
    paint_gravel(painting)
    water = painting.terrain.lake | painting.terrain.river
    reserved, painting.taken = painting.taken, water | (painting.slump_labels > 0) | (painting.lookalike_class > 0)
    paint_ridges_and_burns(painting)
    paint_banks_and_shores(painting)
    painting.taken = reserved


def image_of(
    rng: np.random.Generator,
    painting: Painting,
    elevation_m: Field,
    core: tuple[slice, ...],
    grid: GeoBox,
    *,
    sensor: Sensor,
    date: str,
    tile_id: str,
    convergence_deg: float,
    config: WorldConfig,
    clouds: bool,
    swath_edge: bool,
) -> xr.Dataset:
    """Make the image of a part of the painting.

    Args:
        rng: Source of the sun, the sky and the noise.
        painting: The ground.
        elevation_m: ``(y, x)`` its height, on the painting's grid.
        core: The part.
        grid: The grid of the part.
        sensor: Which sensor's image.
        date: ``YYYY-MM-DD``.
        tile_id: Goes into the metadata.
        convergence_deg: Angle from true north to the top of the grid.
        config: The world.
        clouds: Allow clouds.
        swath_edge: Allow the swath's edge.

    Returns:
        Raw tile.
    """
    sun_azimuth_deg, sun_elevation_deg = float(rng.uniform(140, 205)), float(rng.uniform(26, 40))
    sun_on_grid_deg = sun_azimuth_deg - convergence_deg
    terrain = painting.terrain
    shading = _shading(elevation_m, painting.resolution_m, sun_on_grid_deg, sun_elevation_deg)
    water = (terrain.lake | terrain.river).astype("float64")
    reflectance = painting.surface.reflectance(water=water, shading=shading, ice=painting.ice)
    # Optics mix neighbouring pixels a little.
    reflectance = scipy.ndimage.gaussian_filter(reflectance, (0, 0.35, 0.35))[(slice(None), *core)]
    sky = make_sky(
        rng,
        (grid.shape[0], grid.shape[1]),
        resolution_m=painting.resolution_m,
        sun_azimuth_deg=sun_on_grid_deg,
        sun_elevation_deg=sun_elevation_deg,
        config=config.sky,
        clouds=clouds,
        swath_edge=swath_edge,
    )
    return observe(
        rng,
        reflectance,
        sky,
        grid,
        sensor=sensor,
        date=date,
        tile_id=tile_id,
        sun_azimuth_deg=sun_azimuth_deg,
        sun_elevation_deg=sun_elevation_deg,
        config=config.sky,
    )


def _shading(elevation_m: Field, resolution_m: float, azimuth_deg: float, elevation_deg: float) -> Field:
    """Illumination of the terrain over that of flat ground, softened by the light of the sky; azimuth from the grid's top."""
    down_y, east_x = np.gradient(elevation_m, resolution_m)
    azimuth, zenith = np.radians(azimuth_deg), np.radians(90 - elevation_deg)
    normal = np.sqrt(1 + east_x**2 + down_y**2)
    incidence = (np.cos(zenith) - np.sin(zenith) * (np.sin(azimuth) * east_x - np.cos(azimuth) * down_y)) / normal
    shaded: Field = 0.45 + 0.55 * np.clip(incidence / np.cos(zenith), 0.0, 2.0)
    return shaded


def truth_of(painting: Painting, core: tuple[slice, ...], grid: GeoBox, seed: int) -> xr.Dataset:
    """Tell what is painted on a part of the painting: the ``truth`` of a `SyntheticScene`."""
    labels: NDArray[np.int32] = painting.slump_labels[core]
    lookalike = np.where(labels > 0, 0, painting.lookalike_class[core]).astype("uint8")
    return xr.Dataset(
        {
            "slump_mask": (DIMS, labels > 0, {"long_name": "thaw slump", "units": "1", "source": "synthetic truth"}),
            "slump_labels": (
                DIMS,
                labels,
                {"long_name": "number of the slump", "units": "1", "source": "synthetic truth"},
            ),
            "lookalike_class": (
                DIMS,
                lookalike,
                {"long_name": "class of look-alike", "units": "1", "source": "synthetic truth"},
            ),
        },
        coords=coords_of(grid),
        attrs={"tile_id": f"synthetic-{seed}", "world_version": WORLD_VERSION},
    )
