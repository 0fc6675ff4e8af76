"""The files that a user has: scene folders, an elevation mosaic tile, a trend raster, reference polygons."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.features
import shapely.geometry
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_utils.files import atomic_path
from darts_utils.grids import geobox_of, tile_id
from darts_utils.synthetic.scene import SyntheticScene
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS

_DEM_NODATA = -9999.0
_UDM2_BANDS = ("clear", "snow", "shadow", "light_haze", "heavy_haze", "cloud", "confidence", "unusable")


@dataclass(frozen=True)
class ScenePaths:
    """Where `write_scene` put things."""

    scene: Path
    """Scene folder."""
    dem: Path
    """ArcticDEM mosaic tile, GeoTIFF in EPSG:3413."""
    tcvis: Path
    """Trend raster, GeoTIFF in EPSG:4326."""
    truth: Path
    """GeoPackage with one polygon for each slump."""


def write_scene(scene: SyntheticScene, out_dir: str | os.PathLike[str]) -> ScenePaths:
    """Write everything about a scene.

    Args:
        scene: The scene.
        out_dir: Folder; receives the scene folder, ``arcticdem.tif``, ``tcvis.tif`` and ``slumps.gpkg``.

    Returns:
        The paths.

    Raises:
        OutputError: The folder cannot be written.
    """
    out = Path(out_dir)
    writer = {"planetscope": write_planetscope_scene, "sentinel2": write_sentinel2_scene}[scene.tile.attrs["sensor"]]
    return ScenePaths(
        scene=writer(scene, out),
        dem=write_arcticdem(scene, out / "arcticdem.tif"),
        tcvis=write_tcvis(scene, out / "tcvis.tif"),
        truth=write_truth(scene, out / "slumps.gpkg"),
    )


def write_planetscope_scene(scene: SyntheticScene, out_dir: str | os.PathLike[str]) -> Path:
    """Write a PlanetScope scene folder: surface reflectance, usable data mask, metadata.

    Returns:
        The folder, ``<out_dir>/<tile_id>``.

    Raises:
        OutputError: The folder cannot be written.
    """
    tile = scene.tile
    name = tile_id(tile)
    folder = Path(out_dir) / name
    grid = geobox_of(tile)
    _write_raster(folder / f"{name}_3B_udm2.tif", _udm2(tile), grid, names=_UDM2_BANDS)
    _write_raster(
        folder / f"{name}_3B_AnalyticMS_SR.tif", _stack(tile, OPTICAL_BANDS), grid, names=OPTICAL_BANDS, nodata=0
    )
    metadata = {
        "id": name,
        "properties": {
            "acquired": f"{tile.attrs['date']}T21:00:00Z",
            "item_type": "PSScene",
            "sun_azimuth": tile.attrs["sun_azimuth_deg"],
            "sun_elevation": tile.attrs["sun_elevation_deg"],
        },
    }
    with atomic_path(folder / f"{name}_metadata.json") as temporary:
        temporary.write_text(json.dumps(metadata, indent=1))
    return folder


def write_sentinel2_scene(scene: SyntheticScene, out_dir: str | os.PathLike[str]) -> Path:
    """Write a Sentinel-2 folder in the historic layout: ``<id>_SR_clip.tif`` at 10 m, ``<id>_SCL_clip.tif`` at 20 m.

    Returns:
        The folder, ``<out_dir>/<tile_id>``.

    Raises:
        OutputError: The folder cannot be written.
    """
    tile = scene.tile
    name = tile_id(tile)
    folder = Path(out_dir) / name
    grid = geobox_of(tile)
    classes = tile.s2_scl.values[None, ::2, ::2]
    coarse = GeoBox(classes.shape[1:], grid.affine * grid.affine.scale(2), grid.crs)
    _write_raster(folder / f"{name}_SCL_clip.tif", classes, coarse, names=("SCL",))
    _write_raster(folder / f"{name}_SR_clip.tif", _stack(tile, OPTICAL_BANDS), grid, names=OPTICAL_BANDS, nodata=0)
    return folder


def write_arcticdem(scene: SyntheticScene, path: str | os.PathLike[str]) -> Path:
    """Write the elevation as an ArcticDEM mosaic tile: float32, nodata −9999.

    Raises:
        OutputError: The file cannot be written.
    """
    heights = scene.dem.dem.values[None]
    filled = np.where(np.isnan(heights), np.float32(_DEM_NODATA), heights)
    _write_raster(Path(path), filled, geobox_of(scene.dem), names=("dem",), nodata=_DEM_NODATA)
    return Path(path)


def write_tcvis(scene: SyntheticScene, path: str | os.PathLike[str]) -> Path:
    """Write the trends: three uint8 bands TCB_slope, TCG_slope, TCW_slope.

    Raises:
        OutputError: The file cannot be written.
    """
    names = ("TCB_slope", "TCG_slope", "TCW_slope")
    _write_raster(Path(path), _stack(scene.tcvis, TCVIS_BANDS), geobox_of(scene.tcvis), names=names)
    return Path(path)


def write_truth(scene: SyntheticScene, path: str | os.PathLike[str]) -> Path:
    """Write the outlines of the slumps as a GeoPackage with the column ``slump``.

    Raises:
        OutputError: The file cannot be written.
    """
    grid = geobox_of(scene.truth)
    labels = scene.truth.slump_labels.values
    shapes = rasterio.features.shapes(labels, mask=labels > 0, transform=grid.affine, connectivity=4)
    rows = [{"slump": int(value), "geometry": shapely.geometry.shape(geometry)} for geometry, value in shapes]
    frame = gpd.GeoDataFrame(rows, columns=["slump", "geometry"], geometry="geometry", crs=str(grid.crs))
    with atomic_path(path) as temporary:
        frame.dissolve(by="slump", as_index=False).to_file(temporary, driver="GPKG", layer="slumps")
    return Path(path)


def _stack(tile: xr.Dataset, names: tuple[str, ...]) -> NDArray[Any]:
    return np.stack([tile[name].values for name in names])


def _udm2(tile: xr.Dataset) -> NDArray[np.uint8]:
    bits = tile.planet_udm2.values
    bands = [(bits >> bit) & 1 for bit in range(6)]
    confidence = np.where(tile.planet_udm1.values & 1, 0, 90).astype("uint8")
    return np.stack([*bands, confidence, tile.planet_udm1.values]).astype("uint8")


def _write_raster(
    path: Path, values: NDArray[Any], grid: GeoBox, *, names: tuple[str, ...], nodata: float | None = None
) -> None:
    options = dict(driver="GTiff", compress="deflate", predictor=3 if values.dtype.kind == "f" else 2, zlevel=1)
    if min(values.shape[1:]) >= 256:
        options.update(tiled=True, blockxsize=256, blockysize=256)
    count, height, width = values.shape
    with (
        atomic_path(path) as temporary,
        rasterio.open(
            temporary,
            "w",
            count=count,
            height=height,
            width=width,
            dtype=values.dtype,
            crs=grid.crs.to_wkt() if grid.crs is not None else None,
            transform=grid.affine,
            nodata=nodata,
            **options,
        ) as raster,
    ):
        raster.write(values)
        raster.descriptions = names
