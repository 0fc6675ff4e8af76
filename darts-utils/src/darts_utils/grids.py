"""The grid of a tile: an :class:`odc.geo.geobox.GeoBox`, and the coordinates that carry it.

A tile has the coordinates ``y``, ``x`` (pixel centres) and ``spatial_ref`` (CRS and affine transform, as rioxarray writes
them). Both must tell the same story; where they do not, the tile is refused, because one of them is wrong.
"""

import math
from functools import lru_cache

import numpy as np
import pyproj
import pyproj.exceptions
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from darts_utils.errors import GridMismatchError, TileContractError

_TOLERANCE_PX = 0.01
"""How far coordinates may stand off the transform, in pixels, before the grid counts as shifted."""
_STRETCH = 0.15
"""How far a metre of a projection may be off a metre on the ground, as a share. Those for the Arctic stay below 0.07 from 60° N
on, and UTM below 0.01; Mercator, whose metres are 2.8 times too long at 69° N, does not."""


def tile_id(tile: xr.Dataset | xr.DataArray) -> str:
    """Return the tile's ``tile_id`` attribute, or ``"unknown"``: for messages and logs."""
    return str(tile.attrs.get("tile_id", "unknown"))


def coords_of(grid: GeoBox) -> dict[str, xr.DataArray]:
    """Build the coordinates ``y``, ``x`` and ``spatial_ref`` of a grid.

    Args:
        grid: North-up grid with a CRS.

    Returns:
        ``y``, ``x`` float64 pixel centres in CRS units, and ``spatial_ref`` with ``crs_wkt`` and ``GeoTransform``.

    Raises:
        TileContractError: The grid is rotated, south-up or has no CRS.
    """
    if grid.crs is None:
        raise TileContractError("a tile's grid needs a CRS, but got none: name it, e.g. crs='EPSG:32608'")
    transform = Affine(*(float(number) for number in tuple(grid.affine)[:6]))
    _check_north_up(transform, "the grid")
    height, width = grid.shape
    y = transform.f + transform.e * (np.arange(height) + 0.5)
    x = transform.c + transform.a * (np.arange(width) + 0.5)
    unit = grid.crs.proj.axis_info[0].unit_name
    units = {"metre": "m"}.get(unit, unit)
    reference = xr.DataArray(
        np.int32(0), attrs={"crs_wkt": grid.crs.to_wkt(), "GeoTransform": " ".join(map(repr, transform.to_gdal()))}
    )
    return {
        "y": xr.DataArray(y, dims="y", attrs={"axis": "Y", "units": units}),
        "x": xr.DataArray(x, dims="x", attrs={"axis": "X", "units": units}),
        "spatial_ref": reference,
    }


def geobox_of(tile: xr.Dataset | xr.DataArray) -> GeoBox:
    """Read the grid of a tile and verify that coordinates and transform tell the same story.

    Args:
        tile: Dataset with coordinates ``x``, ``y`` and ``spatial_ref``.

    Returns:
        The grid: shape ``(y, x)``, affine transform (pixel corners) and CRS. A tile that was sliced with ``.isel``, which
        keeps ``spatial_ref`` as it was, is where its pixels are: the stored transform moved by whole pixels.

    Raises:
        TileContractError: A coordinate or the CRS is missing or malformed, the grid is rotated, south-up or irregular, or
            the coordinates are off the transform by a hundredth of a pixel or more, whole pixels apart (corners given as
            centres, a tile that was moved or resampled without its transform).
    """
    missing = [name for name in ("y", "x", "spatial_ref") if name not in tile.coords]
    if missing:
        raise TileContractError(
            f"a tile needs the coordinates y, x and spatial_ref, but {', '.join(missing)} missing: "
            "open it with rioxarray or darts_utils.tile_io, and write the CRS with .rio.write_crs"
        )
    crs = _stored_crs(tile)
    y, x = _coordinate(tile, "y"), _coordinate(tile, "x")
    transform = _stored_transform(tile)
    if transform is None:
        transform = _seen_transform(y, x)
    _check_north_up(transform, f"tile {tile_id(tile)!r}")
    left = _origin(x, transform.c, transform.a, name="x")
    top = _origin(y, transform.f, transform.e, name="y")
    return GeoBox((y.size, x.size), Affine(transform.a, 0, left, 0, transform.e, top), crs)


def _stored_crs(tile: xr.Dataset | xr.DataArray) -> CRS:
    reference = tile.coords["spatial_ref"].attrs
    wkt = reference.get("crs_wkt", reference.get("spatial_ref"))
    if not wkt:
        raise TileContractError(
            "a tile's spatial_ref needs a CRS (crs_wkt), but got none: write it with .rio.write_crs"
        )
    try:
        return CRS(str(wkt))
    except (pyproj.exceptions.CRSError, ValueError, UnicodeError) as error:
        raise TileContractError(
            f"a tile's spatial_ref needs a CRS as WKT, but got {str(wkt)[:60]!r}: write it with .rio.write_crs"
        ) from error


def _coordinate(tile: xr.Dataset | xr.DataArray, name: str) -> NDArray[np.float64]:
    coordinate = tile.coords[name]
    if coordinate.dims != (name,) or coordinate.dtype.kind not in "iuf":
        raise TileContractError(
            f"a tile's coordinate {name} must be numbers on dim ({name!r},), but got {coordinate.dtype} on "
            f"{coordinate.dims}: keep the dim when selecting, e.g. .isel({name}=[0])"
        )
    if coordinate.size == 0:
        raise TileContractError(f"a tile needs at least one pixel, but {name} has none: check the window")
    return np.asarray(coordinate.values, dtype="float64")


def _stored_transform(tile: xr.Dataset | xr.DataArray) -> Affine | None:
    stored = tile.coords["spatial_ref"].attrs.get("GeoTransform")
    if stored is None:
        return None
    try:
        return Affine.from_gdal(*(float(number) for number in str(stored).split()))
    except (ValueError, TypeError) as error:
        raise TileContractError(
            f"a tile's spatial_ref.GeoTransform must be six numbers as GDAL writes them, but got {stored!r}: write it with "
            ".rio.write_transform"
        ) from error


def _seen_transform(y: NDArray[np.float64], x: NDArray[np.float64]) -> Affine:
    if y.size < 2 or x.size < 2:
        raise TileContractError(
            "a tile of one row or column needs spatial_ref.GeoTransform, because its resolution cannot be read off "
            "its coordinates: write it with .rio.write_transform"
        )
    step_x, step_y = (x[-1] - x[0]) / (x.size - 1), (y[-1] - y[0]) / (y.size - 1)
    return Affine(float(step_x), 0, float(x[0] - step_x / 2), 0, float(step_y), float(y[0] - step_y / 2))


def _origin(values: NDArray[np.float64], stored: float, step: float, *, name: str) -> float:
    """The outer edge of the first pixel: the stored one, moved by the whole pixels that a slice took away."""
    off_px = np.max(np.abs(values - (values[0] + step * np.arange(values.size)))) / abs(step)
    if not off_px <= _TOLERANCE_PX:  # NaN counts as off
        raise TileContractError(
            f"coordinate {name} must be evenly spaced by {step!r} as spatial_ref.GeoTransform says, but it is off by "
            f"{off_px:.3g} px: the tile was cut or resampled without its coordinates; load it anew"
        )
    moved_px = (values[0] - step / 2 - stored) / step
    whole_px = round(moved_px)
    if abs(moved_px - whole_px) > _TOLERANCE_PX:
        raise TileContractError(
            f"coordinate {name} must hold pixel centres on the grid of spatial_ref.GeoTransform, but it is off by "
            f"{moved_px - whole_px:.3g} px: are these pixel corners, or was the tile moved without its transform?"
        )
    return float(stored + whole_px * step)


def _check_north_up(transform: Affine, owner: str) -> None:
    if transform.b != 0 or transform.d != 0:
        raise TileContractError(
            f"{owner} must be north-up, but got a rotated transform {tuple(transform)[:6]}: warp it onto a north-up grid first"
        )
    if not (transform.a > 0 and transform.e < 0):
        raise TileContractError(
            f"{owner} must be north-up (x step > 0, y step < 0), but got steps {transform.a!r}, {transform.e!r}: "
            "flip it (gdalwarp does) first"
        )


def crs_name(crs: CRS | None) -> str:
    """Name a CRS in a few words, for messages.

    Examples:
        >>> crs_name(CRS("EPSG:32608"))
        'EPSG:32608 (WGS 84 / UTM zone 8N)'
    """
    if crs is None:
        return "none"
    return f"EPSG:{crs.epsg} ({crs.proj.name})" if crs.epsg is not None else str(crs.proj.name)


def resolution_m(tile: xr.Dataset) -> float:
    """Return the edge length of a pixel in metres.

    Raises:
        TileContractError: The CRS is not projected in metres, or its metres are off those on the ground by more than 15 % in the
            tile's middle, as those of Web Mercator are; or pixels are not square (to one part in a thousand).
    """
    grid = geobox_of(tile)
    crs = grid.crs
    # pyproj names the unit of every axis; odc-geo's `units` does not where both axes point south, as in EPSG:3413
    if crs is None or crs.geographic or {axis.unit_name for axis in crs.proj.axis_info} != {"metre"}:
        raise TileContractError(
            f"tile {tile_id(tile)!r} must have a projected CRS in metres, but got {crs_name(crs)}: warp it to UTM or "
            "EPSG:3413 first"
        )
    height, width = grid.shape
    middle = grid.affine.c + grid.affine.a * width / 2, grid.affine.f + grid.affine.e * height / 2
    shortest, longest = _metre_on_the_ground(crs, *map(float, middle))
    if shortest < 1 - _STRETCH or longest > 1 + _STRETCH:
        worst = longest if longest > 1 + _STRETCH else shortest
        raise TileContractError(
            f"tile {tile_id(tile)!r} must have a projected CRS whose metres are metres on the ground, but got {crs_name(crs)}, "
            f"which draws 1 m as {worst:.3g} m there: warp it to UTM or EPSG:3413 first"
        )
    step_x, step_y = grid.affine.a, -grid.affine.e
    if abs(step_x - step_y) > 1e-3 * step_x:
        raise TileContractError(
            f"tile {tile_id(tile)!r} must have square pixels, but got {step_x} m × {step_y} m: resample it first"
        )
    return float(step_x)


@lru_cache(maxsize=256)
def _metre_on_the_ground(crs: CRS, x: float, y: float) -> tuple[float, float]:
    """How long a metre on the ground is at a place of a projection, in its shortest and its longest direction.

    Both are 1 where that cannot be known: local coordinates, places that the projection does not have.
    """
    try:
        projection = pyproj.Proj(crs.proj)
        factors = projection.get_factors(*projection(x, y, inverse=True))
    except pyproj.exceptions.ProjError:
        return 1.0, 1.0
    shortest, longest = float(factors.tissot_semiminor), float(factors.tissot_semimajor)
    return (shortest, longest) if math.isfinite(shortest) and math.isfinite(longest) else (1.0, 1.0)


def check_same_grid(first: GeoBox, second: GeoBox, *, first_name: str, second_name: str) -> None:
    """Raise if two grids differ in shape, CRS or by more than a hundredth of a pixel in position.

    Raises:
        GridMismatchError: Says how they differ.
    """
    if first.crs != second.crs:
        difference = f"CRS {crs_name(first.crs)} against {crs_name(second.crs)}"
    elif first.shape != second.shape:
        difference = f"shape {tuple(first.shape)} against {tuple(second.shape)}"
    else:
        off_px = _largest_offset_px(first, second)
        if off_px <= _TOLERANCE_PX:
            return
        difference = f"an offset of {off_px:.3g} px"
    raise GridMismatchError(
        f"{first_name} and {second_name} must share one grid, but they differ: {difference}; warp one onto the other first"
    )


def _largest_offset_px(first: GeoBox, second: GeoBox) -> float:
    """Distance between the upper left and between the lower right corners, along the axes of the first grid."""
    height, width = first.shape
    to_pixels = ~first.affine * second.affine
    corners = [(0, 0), (width, height)]
    offsets = np.array([np.subtract(to_pixels * corner, corner) for corner in corners])
    return float(np.abs(offsets).max())
