"""Tables of polygons: the objects that were found, and the area in which the result is trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import geopandas
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_export.arrays import numpy_values
from darts_export.config import ExportConfig
from darts_export.ellipsoid import areas_and_perimeters_m
from darts_export.members import agreement_of, check_members, member_variable
from darts_export.naming import safe_tile_id
from darts_export.polygons import polygonise
from darts_export.simplification import map_units_per_metre, simplify_outlines
from darts_export.statistics import statistics_of
from darts_export.text import stated
from darts_utils.grids import geobox_of
from darts_utils.runs import ObjectRuns, find_runs, runs_of_labels
from darts_utils.tiles import require_variables

_EDGE_PX = 100
"""Edges are measured on the ellipsoid in pieces of at most this many pixels."""

_HINT = "run postprocess first"


@dataclass(frozen=True)
class Objects:
    """The objects of a tile, from which tables and pictures are made."""

    runs: ObjectRuns
    """Their pixels."""
    outlines: NDArray[np.object_]
    """``(N,)`` shapely geometries along the edges of the pixels, in the CRS of the tile, the first object first."""


def objects_of(tile: xr.Dataset, *, model: str | None = None) -> Objects:
    """Find the objects of ``binarized_segmentation``, or of that of a member of the ensemble."""
    name = member_variable("binarized_segmentation", model)
    require_variables(tile, [name], consumer="objects_of", hint=_HINT)
    runs = find_runs(numpy_values(tile, name))
    return Objects(runs, polygonise(runs, geobox_of(tile).affine))


def segments_of(
    tile: xr.Dataset,
    *,
    model: str | None = None,
    objects: Objects | None = None,
    simplify_tolerance_m: float = ExportConfig.simplify_tolerance_m,
) -> geopandas.GeoDataFrame:
    """Make the table of the objects of a tile.

    Args:
        tile: Tile after `postprocess`, with
            ``binarized_segmentation``  (y, x) uint8: 1 object, 0 not;
            ``probabilities``  (y, x) float32: 0 … 1;
            ``extent``  (y, x) bool: True where the result is trusted.
        model: Name of a member of an ensemble: use its ``…-<model>`` variables instead.
        objects: The objects, if they have been found already.
        simplify_tolerance_m: Size of the details that the outlines may lose, metres; 0 keeps the edges of the pixels.
            Numbers are those of the pixels, whatever the outlines.

    Returns:
        One row per 8-connected object, in the order of their first pixels, in the CRS of the tile:
            ``segment_id``  int64: 1, 2, … within the tile;
            ``tile_id`` ``date`` ``sensor``  str: of the tile, ``"unknown"`` where it does not say;
            ``area_m2`` ``perimeter_m``  float64: on the ellipsoid; the perimeter includes that of holes;
            ``npixel``  int64;
            ``probability_min`` ``_max`` ``_mean`` ``_median`` ``_std``  float64, 0 … 1: of the float probabilities;
            ``touches_edge``  bool: a pixel of the object is outside the extent or 8-adjacent to one outside;
            ``member_agreement``  float64, 0 … 1: only where the tile holds ``binarized_segmentation-<model>``: the mean
            share of members that see an object where this one is;
            ``geometry``: Polygon, or MultiPolygon where parts touch only by a corner; valid.

    Raises:
        MissingVariableError: A variable is absent.
        TileContractError: The tile has no usable ``tile_id``, its CRS has no ellipsoid, a variable has other dims or another
            dtype than the contract says, or the members' objects were found with other options.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["probabilities", "binarized_segmentation", "extent"], shape=(4, 5))
        >>> tile.binarized_segmentation[:], tile.extent[:], tile.probabilities[:] = 0, True, 0.75
        >>> tile.binarized_segmentation[1:3, 1:4] = 1
        >>> segments_of(tile)[["segment_id", "npixel", "probability_median", "touches_edge"]]
           segment_id  npixel  probability_median  touches_edge
        0           1       6                0.75         False
    """
    names = [member_variable(name, model) for name in ("probabilities", "binarized_segmentation")]
    require_variables(tile, [*names, "extent"], consumer="segments_of", hint=_HINT)
    check_members(tile, model=model)
    found = objects if objects is not None else objects_of(tile, model=model)
    area_m2, perimeter_m = _measured(tile, found.outlines)
    statistics = statistics_of(found.runs, numpy_values(tile, names[0]))
    agreement = agreement_of(tile, found.runs)
    columns = {
        "segment_id": np.arange(1, found.runs.count + 1, dtype="int64"),
        **_tile_columns(tile, found.runs.count),
        "area_m2": area_m2,
        "perimeter_m": perimeter_m,
        "npixel": found.runs.sizes_px(),
        **{f"probability_{name}": values for name, values in statistics.items()},
        "touches_edge": found.runs.touching_outside(numpy_values(tile, "extent")),
        **({} if agreement is None else {"member_agreement": agreement}),
    }
    return _table(tile, columns, _simplified(tile, found.outlines, simplify_tolerance_m))


def extent_of(
    tile: xr.Dataset, *, simplify_tolerance_m: float = ExportConfig.simplify_tolerance_m
) -> geopandas.GeoDataFrame:
    """Make the table of the area in which the result of a tile is trusted.

    Args:
        tile: Tile with ``extent``  (y, x) bool.
        simplify_tolerance_m: As in `segments_of`.

    Returns:
        One row in the CRS of the tile, none where nothing is trusted: ``tile_id``, ``date``, ``sensor``,
        ``area_m2`` and ``perimeter_m`` on the ellipsoid, ``npixel``, ``geometry``.

    Raises:
        MissingVariableError: `tile` has no ``extent``.
        TileContractError: The tile has no usable ``tile_id``, its CRS has no ellipsoid, or ``extent`` has other dims or
            another dtype.
    """
    require_variables(tile, ["extent"], consumer="extent_of", hint=_HINT)
    extent = numpy_values(tile, "extent")
    count = int(extent.any())
    runs = runs_of_labels(extent.view("uint8"), count=count)
    outlines = polygonise(runs, geobox_of(tile).affine)
    area_m2, perimeter_m = _measured(tile, outlines)
    columns = {
        **_tile_columns(tile, count),
        "area_m2": area_m2,
        "perimeter_m": perimeter_m,
        "npixel": runs.sizes_px(),
    }
    return _table(tile, columns, _simplified(tile, outlines, simplify_tolerance_m))


def _measured(tile: xr.Dataset, outlines: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    grid = geobox_of(tile)
    return areas_and_perimeters_m(outlines, str(grid.crs), longest_edge=_EDGE_PX * abs(grid.affine.a))


def _tile_columns(tile: xr.Dataset, count: int) -> dict[str, Any]:
    values = {"tile_id": safe_tile_id(tile), "date": stated(tile, "date"), "sensor": stated(tile, "sensor")}
    return {name: np.full(count, value, dtype=object) for name, value in values.items()}


def _simplified(tile: xr.Dataset, outlines: NDArray[np.object_], tolerance_m: float) -> NDArray[np.object_]:
    if tolerance_m == 0:
        return outlines
    return simplify_outlines(outlines, tolerance=tolerance_m * map_units_per_metre(str(geobox_of(tile).crs)))


def _table(tile: xr.Dataset, columns: Mapping[str, Any], outlines: NDArray[np.object_]) -> geopandas.GeoDataFrame:
    crs = geobox_of(tile).crs
    table = geopandas.GeoDataFrame(dict(columns), geometry=outlines, crs=None if crs is None else crs.to_wkt())
    # The dtype is stated so that a table without rows has the same schema.
    return table.astype(dict.fromkeys(("tile_id", "date", "sensor"), "string"))
