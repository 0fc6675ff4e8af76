"""A whole scene, from its files to what a model takes, and the warp of the elevation alone."""

import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rioxarray
import scipy.ndimage
import scipy.signal
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.windows import Window

from benchmarks.harness import Row, against, benchmark
from darts_preprocessing import align, load_and_preprocess
from darts_preprocessing.alignment import kernel_scale
from darts_preprocessing.loading import load_arcticdem
from darts_utils.grids import geobox_of

_PLACE = (-135.67, 68.05)
_RADIUS_M = 100.0
_MARGIN_M = 400.0
_THREADS = 2


@benchmark("warp")
def warp() -> Sequence[Row]:
    """Reading, warping and writing elevation, against gdalwarp; both with two threads. No rows without gdalwarp."""
    if shutil.which("gdalwarp") is None:
        return []
    with _folder() as folder:
        rows = []
        for size_px, step_m, source_m in ((4096, 3.0, 2.0), (8192, 3.0, 10.0), (2048, 10.0, 2.0)):
            grid = _scene_grid(size_px, step_m)
            dem = _write_dem(folder / f"dem_{source_m:g}_{size_px}.tif", grid, step_m=source_m)
            rows.append(
                _warp_row(dem, grid, folder / "warped.tif", what=f"{source_m:g} m to {size_px}² px of {step_m:g} m")
            )
        return rows


def _warp_row(dem: Path, grid: GeoBox, out: Path, *, what: str) -> Row:
    scale = kernel_scale(geobox_of(load_arcticdem(dem, grid=grid)), grid)
    bounds = grid.boundingbox
    command = [
        "gdalwarp",
        "-q",
        "-overwrite",
        "-et",
        "0",
        "-r",
        "cubic",
        "-wo",
        f"XSCALE={scale}",
        "-wo",
        f"YSCALE={scale}",
    ]
    command += [
        "-multi",
        "-wo",
        f"NUM_THREADS={_THREADS}",
        "-wm",
        "1024",
        "--config",
        "GDAL_NUM_THREADS",
        f"{_THREADS}",
    ]
    command += ["-t_srs", str(grid.crs), "-te", *map(repr, (bounds.left, bounds.bottom, bounds.right, bounds.top))]
    command += ["-ts", str(grid.shape[1]), str(grid.shape[0]), "-dstnodata", "nan", str(dem), str(out)]

    ours_out = out.with_name("ours.tif")

    def ours() -> Path:
        heights = align(load_arcticdem(dem, grid=grid), grid=grid).dem.values
        options = {"height": grid.shape[0], "width": grid.shape[1], "count": 1, "dtype": "float32", "nodata": np.nan}
        with rasterio.open(ours_out, "w", "GTiff", crs=str(grid.crs), transform=grid.affine, **options) as raster:
            raster.write(heights, 1)
        return ours_out

    def theirs() -> Path:
        subprocess.run(command, check=True)
        return out

    return against(
        f"cubic warp of elevation, {what}, file to file",
        ours=ours,
        peer="gdalwarp -et 0 -multi, 2 threads",
        theirs=theirs,
        limit=1.0,
        agree=_same_heights,
    )


def _same_heights(our_path: Path, their_path: Path) -> str:
    ours, theirs = _heights_in(our_path), _heights_in(their_path)
    if not np.array_equal(np.isnan(ours), np.isnan(theirs)):
        raise ValueError("the two do not miss the same pixels")
    off_m = float(np.nanmax(np.abs(ours - theirs)))
    if off_m > 1e-3:
        raise ValueError(f"the two are {off_m} m apart")
    return f"the same NaN, heights within {off_m:.1e} m; both write an uncompressed file"


def _heights_in(path: Path) -> NDArray[np.float32]:
    with rasterio.open(path) as raster:
        heights: NDArray[np.float32] = raster.read(1)
    return heights


@benchmark("scene")
def scene() -> Sequence[Row]:
    """A PlanetScope scene with elevation and trends from files, against rioxarray and plain expressions."""
    with _folder() as folder:
        return [_scene_row(folder, size_px=8192, dem_m=dem_m) for dem_m in (10.0, 2.0)]


def _scene_row(folder: Path, *, size_px: int, dem_m: float) -> Row:
    grid = _scene_grid(size_px, 3.0)
    image = _write_scene(folder / "20210821_210019_24c9", grid)
    dem = _write_dem(folder / f"dem_{dem_m:g}.tif", grid, step_m=dem_m)
    tcvis = _write_tcvis(folder / "tcvis.tif", grid)
    features = ["ndvi", "relative_elevation", "slope", "tc_brightness", "tc_greenness", "tc_wetness"]
    return against(
        f"PlanetScope scene {size_px}² px, elevation of {dem_m:g} m and trends, files to features",
        ours=lambda: load_and_preprocess(image.parent, dem=dem, tcvis=tcvis, features=features),
        peer="rioxarray reproject_match, plain expressions, scipy's FFT",
        theirs=lambda: _plain_scene(image, dem=dem, tcvis=tcvis),
        limit=5.0,
        agree=_alike,
    )


def _plain_scene(image: Path, *, dem: Path, tcvis: Path) -> dict[str, NDArray[Any]]:
    """What people write: arrays of floats, NaN-aware means of FFT, gradients of the aligned elevation."""
    with rioxarray.open_rasterio(image, masked=True) as opened:
        optical = opened.load() / 10_000
    with rioxarray.open_rasterio(next(image.parent.glob("*_udm2.tif"))) as opened:
        mask = opened.load()
    valid = (mask[7] & 1 == 0) & optical.notnull().all("band")
    quality = valid & (mask[7] & 126 == 0) & (mask[1:6] == 0).all("band")
    red, nir = optical[2].clip(0, 1), optical[3].clip(0, 1)
    ndvi = ((nir - red) / (nir + red)).clip(-1, 1).astype("float32")
    with rioxarray.open_rasterio(dem, masked=True) as opened:
        height = opened.squeeze("band").rio.reproject_match(optical, resampling=Resampling.cubic).values
    with rioxarray.open_rasterio(tcvis) as opened:
        trends = opened.rio.reproject_match(optical, resampling=Resampling.cubic).values
    step_m = abs(float(optical.rio.resolution()[0]))
    radius_px = int(np.ceil(_RADIUS_M / step_m))
    offsets = np.arange(-radius_px, radius_px + 1)
    disc = (offsets[:, None] ** 2 + offsets**2 <= radius_px**2).astype("float32")
    known = np.isfinite(height)
    total = scipy.signal.fftconvolve(np.where(known, height, 0), disc, mode="same")
    count = scipy.signal.fftconvolve(known.astype("float32"), disc, mode="same")
    east = scipy.ndimage.sobel(height, axis=1) / (8 * step_m)
    north = scipy.ndimage.sobel(height, axis=0) / (8 * step_m)
    return {
        "valid_data_mask": valid.values,
        "quality_data_mask": quality.values,
        "ndvi": ndvi.values,
        "relative_elevation": height - total / count,
        "slope": np.degrees(np.arctan(np.hypot(east, north))),
        "tc_brightness": trends[0],
        "tc_greenness": trends[1],
        "tc_wetness": trends[2],
    }


def _alike(ours: xr.Dataset, theirs: dict[str, NDArray[Any]]) -> str:
    """Away from the border; the peer's warp is an approximation, which is why heights are compared loosely."""
    core = (slice(100, -100),) * 2
    for name, values in theirs.items():
        mine, other = ours[name].values[core], values[core]
        if mine.dtype == bool:
            off = float((mine != other).mean())
        elif name == "ndvi":
            valid = ours.valid_data_mask.values[core]
            off = float(np.nanpercentile(np.abs(mine - other)[valid], 99))
        else:
            off = float(np.nanpercentile(np.abs(mine.astype("float32") - other), 99))
        limit = {"relative_elevation": 0.5, "slope": 3.0, "ndvi": 1e-5}.get(name, 3.0)
        if off > (0 if mine.dtype == bool else limit):
            raise ValueError(f"{name} is {off} apart")
    return "masks equal, 99 % of the features alike"


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Path(name)


def _scene_grid(size_px: int, step_m: float) -> GeoBox:
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32608", always_xy=True).transform(*_PLACE)
    left, top = (round(value / step_m) * step_m for value in (x - size_px * step_m / 2, y + size_px * step_m / 2))
    return GeoBox((size_px, size_px), Affine(step_m, 0, left, 0, -step_m, top), "EPSG:32608")


def _around(grid: GeoBox, *, crs: str, step: float, margin_m: float) -> GeoBox:
    bounds = grid.boundingbox
    transformer = Transformer.from_crs(str(grid.crs), crs, always_xy=True)
    left, bottom, right, top = transformer.transform_bounds(
        bounds.left - margin_m, bounds.bottom - margin_m, bounds.right + margin_m, bounds.top + margin_m
    )
    left, top = np.floor(left / step) * step, np.ceil(top / step) * step
    shape = int(np.ceil((top - bottom) / step)), int(np.ceil((right - left) / step))
    return GeoBox(shape, Affine(step, 0, float(left), 0, -step, float(top)), crs)


def _write_dem(path: Path, grid: GeoBox, *, step_m: float) -> Path:
    """Relief with holes, as ArcticDEM mosaics have them, written strip by strip."""
    if path.is_file():
        return path
    around = _around(grid, crs="EPSG:3413", step=step_m, margin_m=_MARGIN_M)
    height, width = around.shape
    rng = np.random.default_rng(1)
    x = around.affine.c + step_m * np.arange(width)
    profile = _profile(around, count=1, dtype="float32", nodata=-9999, predictor=3)
    with rasterio.open(path, "w", **profile) as raster:
        for first in range(0, height, 1024):
            last = min(first + 1024, height)
            y = around.affine.f - step_m * np.arange(first, last)[:, None]
            relief = 300 + 60 * np.sin(x / 900 + y / 2100) + 25 * np.cos(y / 310) * np.sin(x / 270)
            relief += rng.normal(scale=0.05, size=relief.shape)
            relief = relief.astype("float32")
            for row, column in rng.integers(0, relief.shape, (3, 2)):
                relief[row : row + 40, column : column + 60] = -9999
            raster.write(relief, 1, window=Window(0, first, width, last - first))
    return path


def _write_tcvis(path: Path, grid: GeoBox) -> Path:
    if not path.is_file():
        around = _around(grid, crs="EPSG:4326", step=0.000269494585235856472, margin_m=_MARGIN_M)
        rng = np.random.default_rng(2)
        smooth = scipy.ndimage.gaussian_filter(rng.normal(size=(3, *around.shape)), (0, 2, 2))
        values = np.clip(128 + 300 * smooth, 1, 255).astype("uint8")
        with rasterio.open(path, "w", **_profile(around, count=3, dtype="uint8", nodata=None, predictor=2)) as raster:
            raster.write(values)
    return path


def _write_scene(folder: Path, grid: GeoBox) -> Path:
    """A scene of which a corner is nodata, with clouds of the mask; returns the image."""
    image = folder / f"{folder.name}_3B_AnalyticMS_SR.tif"
    if image.is_file():
        return image
    folder.mkdir()
    height, width = grid.shape
    rng = np.random.default_rng(3)
    columns = np.arange(width)
    mask = folder / f"{folder.name}_3B_udm2.tif"
    with (
        rasterio.open(image, "w", **_profile(grid, count=4, dtype="uint16", nodata=0, predictor=2)) as raster,
        rasterio.open(mask, "w", **_profile(grid, count=8, dtype="uint8", nodata=None, predictor=1)) as bits,
    ):
        for first in range(0, height, 1024):
            rows = np.arange(first, min(first + 1024, height))[:, None]
            ground = 900 + 500 * np.sin(columns / 300 + rows / 170)
            bands = np.stack(
                [ground * factor + rng.normal(scale=40, size=ground.shape) for factor in (0.4, 0.6, 0.7, 2)]
            )
            outside = columns + rows < width // 3
            cloud = (np.sin(columns / 777) * np.sin(rows / 555) > 0.9) & ~outside
            window = Window(0, first, width, len(rows))
            raster.write(np.where(outside, 0, np.clip(bands, 1, 10_000)).astype("uint16"), window=window)
            nothing = np.zeros_like(cloud)
            flags = [~cloud & ~outside, nothing, nothing, nothing, nothing, cloud, np.where(outside, 0, 90), outside]
            bits.write(np.stack(flags).astype("uint8"), window=window)
    return image


def _profile(grid: GeoBox, *, count: int, dtype: str, nodata: float | None, predictor: int) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "height": grid.shape[0],
        "width": grid.shape[1],
        "count": count,
        "dtype": dtype,
        "nodata": nodata,
        "crs": str(grid.crs),
        "transform": grid.affine,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "zlevel": 6,
        "predictor": predictor,
        "bigtiff": "if_safer",
        "num_threads": _THREADS,
    }
