"""Tables of polygons: the objects that were found, and the area in which the result is trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import geopandas
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_export.ellipsoid import areas_and_perimeters_m
from darts_export.naming import safe_tile_id
from darts_export.polygons import polygonise
from darts_export.statistics import statistics_of
from darts_export.text import stated
from darts_utils.device import computed, to_numpy
from darts_utils.errors import TileContractError
from darts_utils.grids import geobox_of, tile_id
from darts_utils.objects import label_objects, object_sizes_px, touching_outside
from darts_utils.tiles import require_variables

_EDGE_PX = 100
"""Edges are measured on the ellipsoid in pieces of at most this many pixels."""

_HINT = "run postprocess first"

_MEMBER_PREFIX = "binarized_segmentation-"

_OBJECT_OPTIONS = ("threshold", "min_object_px", "edge_objects")
"""Attributes of ``binarized_segmentation`` that say how its objects were found."""


@dataclass(frozen=True)
class Objects:
    """The objects of a tile, from which tables and pictures are made."""

    labels: NDArray[np.int32]
    """``(y, x)``: 0 outside, 1 … N inside."""
    outlines: NDArray[np.object_]
    """``(N,)`` shapely geometries in the CRS of the tile, label 1 first."""

    @property
    def count(self) -> int:
        """Number of objects."""
        return len(self.outlines)


def objects_of(tile: xr.Dataset, *, model: str | None = None) -> Objects:
    """Find the objects of ``binarized_segmentation``, or of that of a member of the ensemble."""
    name = member_variable("binarized_segmentation", model)
    require_variables(tile, [name], consumer="objects_of", hint=_HINT)
    labels, count = label_objects(numpy_values(tile, name))
    return Objects(labels, polygonise(labels, count, geobox_of(tile).affine))


def segments_of(
    tile: xr.Dataset, *, model: str | None = None, objects: Objects | None = None
) -> geopandas.GeoDataFrame:
    """Make the table of the objects of a tile.

    Args:
        tile: Tile after `postprocess`, with
            ``binarized_segmentation``  (y, x) uint8: 1 object, 0 not;
            ``probabilities``  (y, x) float32: 0 … 1;
            ``extent``  (y, x) bool: True where the result is trusted.
        model: Name of a member of an ensemble: use its ``…-<model>`` variables instead.
        objects: The objects, if they have been found already.

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
    statistics = statistics_of(found.labels, found.count, numpy_values(tile, names[0]))
    columns = {
        "segment_id": np.arange(1, found.count + 1, dtype="int64"),
        **_tile_columns(tile, found.count),
        "area_m2": area_m2,
        "perimeter_m": perimeter_m,
        "npixel": object_sizes_px(found.labels, found.count),
        **{f"probability_{name}": values for name, values in statistics.items()},
        "touches_edge": touching_outside(found.labels, found.count, numpy_values(tile, "extent")),
        **_agreement(tile, found),
    }
    return _table(tile, columns, found.outlines)


def extent_of(tile: xr.Dataset) -> geopandas.GeoDataFrame:
    """Make the table of the area in which the result of a tile is trusted.

    Args:
        tile: Tile with ``extent``  (y, x) bool.

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
    found = Objects(extent.astype("int32"), polygonise(extent.astype("int32"), count, geobox_of(tile).affine))
    area_m2, perimeter_m = _measured(tile, found.outlines)
    columns = {
        **_tile_columns(tile, count),
        "area_m2": area_m2,
        "perimeter_m": perimeter_m,
        "npixel": object_sizes_px(found.labels, found.count),
    }
    return _table(tile, columns, found.outlines)


def member_variable(name: str, model: str | None) -> str:
    """Return the name of a variable of one member of an ensemble, or of the ensemble (None)."""
    return name if model is None else f"{name}-{model}"


def members_of(tile: xr.Dataset) -> tuple[str, ...]:
    """Return the names of the variables with the objects of each member of an ensemble."""
    return tuple(str(name) for name in tile.data_vars if str(name).startswith(_MEMBER_PREFIX))


def check_members(tile: xr.Dataset, *, model: str | None = None) -> None:
    """Raise unless the members' objects can be compared with those of the tile, or of one member.

    Raises:
        TileContractError: They were found with other options, or have other dims or another dtype.
    """
    name, members = member_variable("binarized_segmentation", model), members_of(tile)
    require_variables(tile, members, consumer="member_agreement", hint=_HINT)
    for member in members:
        for option in _OBJECT_OPTIONS:
            ours, theirs = tile[name].attrs.get(option), tile[member].attrs.get(option)
            if ours != theirs:
                raise TileContractError(
                    f"member_agreement needs members whose objects were found as those of {name!r} ({option} {ours!r}), but "
                    f"{member!r} of tile {tile_id(tile)!r} has {theirs!r}: run postprocess(keep_members=True) again, or drop "
                    "the members"
                )


def numpy_values(tile: xr.Dataset, name: str) -> NDArray[Any]:
    """Return the values of a variable in host memory, wherever they live."""
    return to_numpy(computed(tile[name].data))


def _measured(tile: xr.Dataset, outlines: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    grid = geobox_of(tile)
    return areas_and_perimeters_m(outlines, str(grid.crs), longest_edge=_EDGE_PX * abs(grid.affine.a))


def _tile_columns(tile: xr.Dataset, count: int) -> dict[str, Any]:
    values = {"tile_id": safe_tile_id(tile), "date": stated(tile, "date"), "sensor": stated(tile, "sensor")}
    return {name: np.full(count, value, dtype=object) for name, value in values.items()}


def _agreement(tile: xr.Dataset, objects: Objects) -> dict[str, NDArray[np.float64]]:
    members = members_of(tile)
    if not members:
        return {}
    votes = np.zeros(objects.labels.shape, dtype="float64")
    for name in members:
        votes += numpy_values(tile, name)
    total = np.bincount(objects.labels.ravel(), weights=votes.ravel(), minlength=objects.count + 1)[1:]
    return {"member_agreement": total / (len(members) * object_sizes_px(objects.labels, objects.count))}


def _table(tile: xr.Dataset, columns: Mapping[str, Any], outlines: NDArray[np.object_]) -> geopandas.GeoDataFrame:
    crs = geobox_of(tile).crs
    table = geopandas.GeoDataFrame(dict(columns), geometry=outlines, crs=None if crs is None else crs.to_wkt())
    # The dtype is stated so that a table without rows has the same schema.
    return table.astype(dict.fromkeys(("tile_id", "date", "sensor"), "string"))
