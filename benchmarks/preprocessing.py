"""Features of a scene: relative elevation, slope, NDVI, and what preprocessing needs of memory."""

import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import scipy.fft
import scipy.signal
import xarray as xr
import xrspatial
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from xrspatial.convolution import convolution_2d

from benchmarks.harness import Row, Timer, against, as_megabytes, as_seconds, benchmark
from benchmarks.memory import peak_bytes
from darts_preprocessing import calculate_ndvi, calculate_relative_elevation, calculate_slope, preprocess
from darts_utils.grids import coords_of
from darts_utils.variables import OPTICAL_BANDS

SIDE_PX, SCENE_PX, LARGE_PX = 4096, 8192, 10_000
STEP_M = 3.0
RADIUS_M, WIDE_RADIUS_M = 34 * STEP_M, 340 * STEP_M
GIGABYTE = 1e9


def grid_of(side_px: int, *, step_m: float = STEP_M) -> GeoBox:
    return GeoBox((side_px, side_px), Affine(step_m, 0, 500_000, 0, -step_m, 7_600_000), "EPSG:32608")


def heights(side_px: int) -> NDArray[np.float32]:
    """Hills with small relief on top; a strip without data along one side and holes here and there."""
    rng = np.random.default_rng(0)
    rows, columns = np.ogrid[:side_px, :side_px]
    values = (300 + 90 * np.sin(columns / 700) + 70 * np.cos(rows / 450) + 9 * np.sin((rows + columns) / 37)).astype(
        "float32"
    )
    values += rng.random(values.shape, dtype="float32") * np.float32(0.3)
    values[:, : side_px // 10] = np.nan
    for row, column in rng.integers(0, side_px - 40, (30, 2)):
        values[row : row + 30, column : column + 40] = np.nan
    return values


@cache
def tile_of(side_px: int, *, optical: bool = False) -> xr.Dataset:
    tile = xr.Dataset(coords=coords_of(grid_of(side_px)), attrs={"tile_id": "benchmark"})
    tile = tile.assign(dem=(("y", "x"), heights(side_px)))
    if not optical:
        return tile
    rng = np.random.default_rng(1)
    valid = np.isfinite(tile.dem.values)
    scaling = {"reflectance_scale": 1e-4, "reflectance_offset": 0.0}
    for name in OPTICAL_BANDS:
        values = rng.integers(200, 6000, valid.shape, dtype="uint16")
        values[~valid] = 0
        tile[name] = ("y", "x"), values, scaling
    tile["valid_data_mask"] = ("y", "x"), valid
    return tile


def footprint(radius_px: int) -> NDArray[np.float32]:
    offsets = np.arange(-radius_px, radius_px + 1)
    return (offsets[:, None] ** 2 + offsets[None] ** 2 <= radius_px**2).astype("float32")


def relative(tile: xr.Dataset, radius_m: float = RADIUS_M) -> NDArray[np.float32]:
    values: NDArray[np.float32] = calculate_relative_elevation(tile, outer_radius_m=radius_m).relative_elevation.values
    return values


def relative_by_convolution(dem: NDArray[np.float32], radius_px: int = 34) -> NDArray[np.float32]:
    """As people use xarray-spatial: NaN wherever the disc meets one."""
    disc = footprint(radius_px)
    return dem - np.asarray(convolution_2d(xr.DataArray(dem, dims=("y", "x")), disc / disc.sum()).values)


def relative_by_fft(dem: NDArray[np.float32], radius_px: int = 34) -> NDArray[np.float32]:
    """NaN-aware: one convolution of the heights, one of what is known, in float32 on all CPUs."""
    disc, known = footprint(radius_px), np.isfinite(dem)
    level = np.float32(np.nanmean(dem))
    with scipy.fft.set_workers(2):
        sums = scipy.signal.fftconvolve(np.where(known, dem - level, np.float32(0)), disc, mode="same")
        counts = scipy.signal.fftconvolve(known.astype("float32"), disc, mode="same")
    result: NDArray[np.float32] = np.where(known, dem - level - sums / np.maximum(counts, 1), np.float32(np.nan))
    return result


def once(run: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = run()
    return result, time.perf_counter() - started


def differ(ours: NDArray[Any], theirs: NDArray[Any], *, tolerance: float, unit: str) -> str:
    both = np.isfinite(ours) & np.isfinite(theirs)
    largest = float(np.abs(ours[both] - theirs[both]).max())
    if not (both.mean() > 0.5 and largest <= tolerance):
        raise AssertionError(f"the results differ by {largest} {unit} in {both.mean():.0%} of the pixels")
    return f"results agree within {largest:.1g} {unit} where both know one ({both.mean():.0%} of the pixels)"


@benchmark("relative_elevation")
def relative_elevation() -> list[Row]:
    tile = tile_of(SIDE_PX)
    dem = tile.dem.values
    what = f"relative elevation, radius 34 px, {SIDE_PX}², with NaN"
    relative_by_convolution(dem[:100, :100])  # compiles
    ours = relative(tile)
    theirs, slow_s = once(partial(relative_by_convolution, dem))
    note = differ(ours, theirs, tolerance=2e-3, unit="m") + "; peer run once"
    fft = against(
        what,
        ours=partial(relative, tile),
        peer="scipy fftconvolve of heights and mask, float32, two workers",
        theirs=partial(relative_by_fft, dem),
        limit=3,
        agree=partial(differ, tolerance=2e-2, unit="m"),
    )
    medians = Timer().compare({"near": partial(relative, tile), "far": partial(relative, tile, WIDE_RADIUS_M)})
    near_s, far_s = medians["near"], medians["far"]
    return [
        Row(
            what,
            "xarray-spatial convolution_2d",
            as_seconds(near_s),
            as_seconds(slow_s),
            slow_s / near_s,
            150,
            note=note,
        ),
        fft,
        Row(
            f"relative elevation, radius 340 px, {SIDE_PX}²",
            "the same at 34 px",
            as_seconds(far_s),
            as_seconds(near_s),
            far_s / near_s,
            10,
            at_most=True,
        ),
    ]


@benchmark("slope")
def slope() -> Row:
    tile = tile_of(SIDE_PX)
    plain = tile.dem.drop_vars("spatial_ref")
    return against(
        f"slope, {SIDE_PX}²",
        ours=lambda: calculate_slope(tile).slope.values,
        peer="xarray-spatial slope",
        theirs=lambda: xrspatial.slope(plain).values,
        limit=10,
        agree=partial(differ, tolerance=1e-3, unit="degrees"),
    )


def plain_ndvi(tile: xr.Dataset) -> xr.DataArray:
    """The expression of an xarray user."""
    red = (tile["red"].astype("float32") / 10_000).clip(0, 1)
    nir = (tile["nir"].astype("float32") / 10_000).clip(0, 1)
    ndvi: xr.DataArray = ((nir - red) / (nir + red)).clip(-1, 1).where(tile["valid_data_mask"])
    return ndvi


def small_first(work: Callable[[xr.Dataset], Any]) -> Callable[[], Any]:
    work(tile_of(256, optical=True))
    tile = tile_of(SCENE_PX, optical=True)
    return partial(work, tile)


def our_ndvi() -> Callable[[], Any]:
    return small_first(calculate_ndvi)


def their_ndvi() -> Callable[[], Any]:
    return small_first(plain_ndvi)


@benchmark("ndvi")
def ndvi() -> list[Row]:
    tile = tile_of(SCENE_PX, optical=True)
    speed = against(
        f"NDVI, {SCENE_PX}², from uint16",
        ours=lambda: calculate_ndvi(tile).ndvi.values,
        peer="the xarray expression",
        theirs=lambda: plain_ndvi(tile).values,
        limit=5,
        agree=partial(differ, tolerance=1e-6, unit=""),
    )
    ours, theirs = (peak_bytes("preprocessing", name) for name in ("our_ndvi", "their_ndvi"))
    what, peer = f"memory of NDVI, {SCENE_PX}², result included", "the xarray expression"
    return [speed, Row(what, peer, as_megabytes(ours), as_megabytes(theirs), ours / theirs, 0.25, at_most=True)]


@benchmark("features")
def features() -> Row:
    """NDVI, relative elevation (disc of 34 px) and slope: what the models of DARTS need beside bands and trends."""
    tile = tile_of(SCENE_PX, optical=True)
    plain = tile.dem.drop_vars("spatial_ref")
    relative_by_convolution(plain.values[:100, :100])
    xrspatial.slope(plain[:100, :100])

    def ours() -> xr.Dataset:
        return calculate_slope(calculate_relative_elevation(calculate_ndvi(tile), outer_radius_m=RADIUS_M))

    def theirs() -> dict[str, NDArray[np.float32]]:
        return {
            "ndvi": plain_ndvi(tile).values,
            "relative_elevation": relative_by_convolution(plain.values),
            "slope": xrspatial.slope(plain).values,
        }

    made = ours()
    expected, peers_s = once(theirs)
    tolerances = {"ndvi": 1e-6, "relative_elevation": 2e-3, "slope": 1e-3}
    for name, tolerance in tolerances.items():
        differ(made[name].values, expected[name], tolerance=tolerance, unit="")
    ours_s = Timer().compare({"ours": ours})["ours"]
    return Row(
        f"NDVI, relative elevation (34 px) and slope, {SCENE_PX}², from aligned arrays",
        "the xarray expression, xarray-spatial convolution_2d and slope",
        as_seconds(ours_s),
        as_seconds(peers_s),
        peers_s / ours_s,
        50,
        note="results agree as in the single rows; peers run once",
    )


def scene_and_elevation(side_px: int) -> tuple[xr.Dataset, xr.Dataset]:
    """A raw PlanetScope tile, and heights of 10 m in a polar projection around it."""
    tile = tile_of.__wrapped__(side_px, optical=True).drop_vars(["dem", "valid_data_mask"])
    for name in ("planet_udm2", "planet_udm1"):
        tile[name] = ("y", "x"), np.zeros((side_px, side_px), "uint8")
    around = grid_of(side_px).pad(100).to_crs("EPSG:3413", resolution=10)
    rows, columns = np.ogrid[: around.shape[0], : around.shape[1]]
    dem = (300 + 90 * np.sin(columns / 70) + 70 * np.cos(rows / 45)).astype("float32")
    return tile, xr.Dataset(coords=coords_of(around), attrs={"tile_id": "heights"}).assign(dem=(("y", "x"), dem))


def preprocessing_of_a_large_scene() -> Callable[[], Any]:
    small, its_dem = scene_and_elevation(256)
    preprocess(small, dem=its_dem)
    tile, dem = scene_and_elevation(LARGE_PX)
    return partial(preprocess, tile, dem=dem)


@benchmark("preprocess_memory")
def preprocess_memory() -> Row:
    peak = peak_bytes("preprocessing", "preprocessing_of_a_large_scene")
    results = LARGE_PX**2 * (4 * 2 + 2 * 1 + 3 * 4)  # bands, masks, features
    return Row(
        f"memory of preprocess, {LARGE_PX}², beside inputs and results",
        f"{as_megabytes(1.5 * GIGABYTE)}",
        as_megabytes(peak - results),
        as_megabytes(1.5 * GIGABYTE),
        (peak - results) / (1.5 * GIGABYTE),
        1,
        at_most=True,
        note=f"results are {as_megabytes(results)}: bands, masks, NDVI, relative elevation, slope",
    )
