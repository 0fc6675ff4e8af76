"""What a tile is: an ``xr.Dataset`` on one projected, north-up grid; how to check one and how to build its variables.

A tile has dims ``(y, x)`` and the coordinates ``x``, ``y`` (pixel centres) and ``spatial_ref`` (CRS and affine
transform, as rioxarray writes them). Its grid is an :class:`odc.geo.geobox.GeoBox`.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from darts_utils.errors import GridMismatchError, MissingVariableError, TileContractError
from darts_utils.variables import VARIABLES

DIMS = ("y", "x")
"""Dims of every tile variable, in order."""

_GRID_TOLERANCE_PX = 0.01
"""How far coordinates may stand off the transform, in pixels, before the grid counts as shifted."""


def tile_id(tile: xr.Dataset) -> str:
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
    transform = _checked_transform(grid.affine, "the grid")
    if grid.crs is None:
        raise TileContractError("a tile's grid needs a CRS, but got none: name it, e.g. crs='EPSG:32608'")
    height, width = grid.shape
    y = transform.f + transform.e * (np.arange(height) + 0.5)
    x = transform.c + transform.a * (np.arange(width) + 0.5)
    units = "degree" if grid.crs.geographic else "m"
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
        The grid: shape ``(y, x)``, affine transform (pixel corners) and CRS.

    Raises:
        TileContractError: A coordinate or the CRS is missing, the grid is rotated, south-up or irregular, or the
            coordinates are off the transform by more than a hundredth of a pixel (a tile cut without its coordinates).
    """
    missing = [name for name in ("y", "x", "spatial_ref") if name not in tile.coords]
    if missing:
        raise TileContractError(
            f"a tile needs the coordinates y, x and spatial_ref, but {', '.join(missing)} missing: "
            "open it with rioxarray or darts_utils.tile_io, and write the CRS with .rio.write_crs"
        )
    reference = tile.coords["spatial_ref"].attrs
    wkt = reference.get("crs_wkt", reference.get("spatial_ref"))
    if not wkt:
        raise TileContractError(
            "a tile's spatial_ref needs a CRS (crs_wkt), but got none: write it with .rio.write_crs"
        )
    y = np.asarray(tile.coords["y"].values, dtype="float64")
    x = np.asarray(tile.coords["x"].values, dtype="float64")
    if y.size == 0 or x.size == 0:
        raise TileContractError(f"a tile needs at least one pixel, but got shape {(y.size, x.size)}: check the window")
    stored = reference.get("GeoTransform")
    if stored is not None:
        # The step comes from the stored transform, the position from the coordinates, so that a tile that was sliced
        # with .isel (which keeps spatial_ref as it was) is still where its pixels are.
        origin_x, step_x, skew_x, origin_y, skew_y, step_y = (float(number) for number in str(stored).split())
    else:
        if y.size < 2 or x.size < 2:
            raise TileContractError(
                "a tile of one row or column needs spatial_ref.GeoTransform, because its resolution cannot be read off "
                "its coordinates: write it with .rio.write_transform"
            )
        skew_x = skew_y = 0.0
        step_x, step_y = (x[-1] - x[0]) / (x.size - 1), (y[-1] - y[0]) / (y.size - 1)
        origin_x, origin_y = x[0] - step_x / 2, y[0] - step_y / 2
    origin_x = _unless_moved(origin_x, x[0] - step_x / 2, step_x)
    origin_y = _unless_moved(origin_y, y[0] - step_y / 2, step_y)
    transform = Affine(step_x, skew_x, origin_x, skew_y, step_y, origin_y)
    _checked_transform(transform, f"tile {tile.attrs.get('tile_id', 'unknown')!r}")
    for name, values, first, step in (("x", x, x[0], step_x), ("y", y, y[0], step_y)):
        off_px = np.max(np.abs(values - (first + step * np.arange(values.size)))) / abs(step)
        if not off_px <= _GRID_TOLERANCE_PX:  # NaN counts as off
            raise TileContractError(
                f"coordinate {name} must be evenly spaced by {step!r} as spatial_ref.GeoTransform says, but it is off by "
                f"{off_px:.3g} px: the tile was cut or resampled without its coordinates; load it anew"
            )
    return GeoBox((y.size, x.size), transform, str(wkt))


def _unless_moved(stored: float, seen: float, step: float) -> float:
    """The stored origin, to the last digit, unless the coordinates start somewhere else."""
    return stored if abs(stored - seen) <= 1e-6 * abs(step) else seen


def _checked_transform(transform: Affine, owner: str) -> Affine:
    if transform.b != 0 or transform.d != 0:
        raise TileContractError(
            f"{owner} must be north-up, but got a rotated transform {tuple(transform)[:6]}: warp it onto a north-up grid first"
        )
    if not (transform.a > 0 and transform.e < 0):
        raise TileContractError(
            f"{owner} must be north-up (x step > 0, y step < 0), but got steps {transform.a!r}, {transform.e!r}: "
            "flip it (gdalwarp does) first"
        )
    return transform


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
        TileContractError: The CRS is not projected in metres, or pixels are not square (to one part in a thousand).
    """
    grid = geobox_of(tile)
    crs = grid.crs
    # pyproj names the unit of every axis; odc-geo's `units` does not where both axes point south, as in EPSG:3413
    if crs is None or crs.geographic or {axis.unit_name for axis in crs.proj.axis_info} != {"metre"}:
        raise TileContractError(
            f"tile {tile_id(tile)!r} must have a projected CRS in metres, but got {crs_name(crs)}: warp it to UTM or "
            "EPSG:3413 first"
        )
    step_x, step_y = grid.affine.a, -grid.affine.e
    if abs(step_x - step_y) > 1e-3 * step_x:
        raise TileContractError(
            f"tile {tile_id(tile)!r} must have square pixels, but got {step_x} m × {step_y} m: resample it first"
        )
    return float(step_x)


def require_variables(tile: xr.Dataset, names: Iterable[str], *, consumer: str, hint: str) -> None:
    """Raise if the tile lacks a variable.

    Args:
        tile: Any dataset.
        names: Variables that `consumer` needs.
        consumer: Who needs them, for the message.
        hint: What the user should do, for the message.

    Raises:
        MissingVariableError: Names everything that is missing, at once.
    """
    missing = [name for name in names if name not in tile.data_vars]
    if missing:
        raise MissingVariableError(
            consumer, missing, tile_id=tile_id(tile), present=map(str, tile.data_vars), hint=hint
        )


def check_tile(tile: xr.Dataset, *, requires: Iterable[str] = ()) -> GeoBox:
    """Verify that a dataset keeps the tile contract.

    Args:
        tile: The dataset.
        requires: Variables that must be there.

    Returns:
        The grid of the tile.

    Raises:
        TileContractError: Wrong type, dims, dtype or coordinates.
        MissingVariableError: A variable of `requires` is absent.

    Notes:
        Looks at metadata only, never at pixels: it costs microseconds on a tile of any size. Variables that the
        registry does not know are free in dtype, not in dims.
    """
    if not isinstance(tile, xr.Dataset):
        raise TileContractError(
            f"a tile must be an xarray.Dataset, but got {type(tile).__name__}: one variable per band"
        )
    grid = geobox_of(tile)
    require_variables(tile, requires, consumer="the tile check", hint="run the step that makes them first")
    for name, variable in tile.data_vars.items():
        if variable.dims != DIMS:
            raise TileContractError(
                f"variable {name!r} of tile {tile_id(tile)!r} must have dims ('y', 'x'), but got {variable.dims}: "
                "transpose it, or give each band a variable of its own"
            )
        if name in VARIABLES and variable.dtype != np.dtype(VARIABLES[str(name)].dtype):
            raise TileContractError(
                f"variable {name!r} of tile {tile_id(tile)!r} must be {VARIABLES[str(name)].dtype}, but got "
                f"{variable.dtype}: convert it with its scale in mind"
            )
    return grid


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
        height, width = first.shape
        corners = [(0, 0), (width, height)]
        off_px = max(
            max(
                abs(a - b) / abs(first.affine.a)
                for a, b in zip(first.affine * corner, second.affine * corner, strict=True)
            )
            for corner in corners
        )
        if off_px <= _GRID_TOLERANCE_PX:
            return
        difference = f"an offset of {off_px:.3g} px"
    raise GridMismatchError(
        f"{first_name} and {second_name} must share one grid, but they differ: {difference}; warp one onto the other first"
    )


def variable(name: str, values: Any, *, source: str, **attrs: object) -> tuple[tuple[str, str], Any, dict[str, object]]:
    """Build a tile variable for ``tile.assign`` with its attributes from the registry.

    Args:
        name: Name in the registry.
        values: ``(y, x)`` array of the registry's dtype (NumPy, CuPy or dask).
        source: Where the values come from, e.g. ``"ArcticDEM v4.1 2 m"``.
        **attrs: Further attributes, such as ``reflectance_scale``.

    Returns:
        The ``(dims, values, attrs)`` triple that xarray turns into a variable.

    Raises:
        TileContractError: `values` has another dtype than the registry says, or is not two-dimensional.

    Examples:
        >>> import numpy as np
        >>> dims, values, attrs = variable("ndvi", np.zeros((2, 3), "float32"), source="red, nir")
        >>> attrs
        {'long_name': 'normalised difference vegetation index', 'units': '1', 'source': 'red, nir'}
    """
    row = VARIABLES[name]
    if values.ndim != 2 or values.dtype != np.dtype(row.dtype):
        raise TileContractError(
            f"variable {name!r} must be a (y, x) array of {row.dtype}, but got shape {tuple(values.shape)} of {values.dtype}"
        )
    return DIMS, values, {**row.attrs, "source": source, **attrs}
