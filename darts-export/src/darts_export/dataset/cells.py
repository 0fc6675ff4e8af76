"""Where and how often was looked: cells of a grid on the map, per year."""

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from darts_export.dataset.config import CRS, DatasetConfig
from darts_export.dataset.grouping import groups_of
from darts_export.dataset.images import IMAGE, codes_of, years_of
from darts_export.dataset.measuring import measured
from darts_export.dataset.places import morton_codes
from darts_export.dataset.uniting import intersect, unite


def coverage_cells(
    coverage: geopandas.GeoDataFrame,
    *,
    cell_m: float = DatasetConfig.cell_m,
    chosen: NDArray[np.int64] | None = None,
) -> geopandas.GeoDataFrame:
    """Count, in the cells of a grid, the images of each year and the area that they saw.

    Args:
        coverage: The trusted areas of `read_archive`, in EPSG:3413.
        cell_m: Edge length of the cells, metres on the map; a corner of the grid is at the pole.
        chosen: ``(C, 2)`` columns and rows of the cells that are asked for; None: all.

    Returns:
        One row per year, models and cell that was looked at, neighbours near each other:
            ``year``  int64; ``models``  str;
            ``column`` ``row``  int64: x and y of the cell's lower left corner, in cells;
            ``n_observations``  int64: images whose trusted area overlaps the cell;
            ``valid_area_m2``  float64: what at least one of them saw of the cell, on the ellipsoid;
            ``geometry``  Polygon or MultiPolygon in EPSG:3413: that area.
    """
    coverage = coverage.sort_values([*IMAGE, "tile_id"], kind="stable", ignore_index=True)
    whose, cells = cells_of(shapely.bounds(coverage.geometry.to_numpy()), cell_m=cell_m)
    if chosen is not None:
        asked = np.isin(cell_codes(cells), cell_codes(chosen))
        whose, cells = whose[asked], cells[asked]
    corners = cells * cell_m
    windows = shapely.box(*corners.T, *((cells + 1) * cell_m).T)
    areas = coverage.geometry.to_numpy()
    shapely.prepare(areas)
    near = shapely.intersects(areas[whose], windows)
    whose, cells, windows = whose[near], cells[near], windows[near]
    pieces = intersect(areas[whose], windows)
    looked = shapely.area(pieces) > 0
    whose, cells, pieces = whose[looked], cells[looked], pieces[looked]
    dated = coverage[list(IMAGE)].assign(year=years_of(coverage))
    row_keys = np.column_stack([cell_codes(cells), codes_of(dated, ("year", "models"))[whose]])
    key = np.unique(row_keys, axis=0, return_inverse=True)[1].ravel()
    groups = groups_of(key)
    images = codes_of(dated, IMAGE)[whose]
    different = np.unique(np.column_stack([key, images]), axis=0)[:, 0]
    outlines = unite(pieces, groups)
    first = whose[groups.firsts]
    columns = {
        "year": dated["year"].to_numpy(dtype="int64")[first],
        "models": pd.array(dated["models"].to_numpy(dtype=object)[first], dtype="string"),
        "column": cells[groups.firsts, 0],
        "row": cells[groups.firsts, 1],
        "n_observations": np.bincount(different, minlength=len(outlines)),
        "valid_area_m2": measured(outlines)[0],
    }
    return geopandas.GeoDataFrame(columns, geometry=outlines, crs=CRS)


def cells_of(bounds: NDArray[np.float64], *, cell_m: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List the cells that boxes reach.

    Args:
        bounds: ``(N, 4)`` minimal x and y, maximal x and y on the map.
        cell_m: Edge length of the cells.

    Returns:
        ``(K,)`` boxes; ``(K, 2)`` column and row of a cell that each reaches.

    Examples:
        >>> whose, cells = cells_of(np.array([[0.5, 0.5, 1.5, 0.7]]), cell_m=1)
        >>> whose.tolist(), cells.tolist()
        ([0, 0], [[0, 0], [1, 0]])
    """
    low = np.floor(bounds[:, :2] / cell_m).astype("int64")
    counts = np.floor(bounds[:, 2:] / cell_m).astype("int64") - low + 1
    sizes = counts.prod(axis=1)
    whose = np.repeat(np.arange(len(bounds)), sizes)
    number = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return whose, low[whose] + np.column_stack([number % counts[whose, 0], number // counts[whose, 0]])


def cell_codes(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order of cells in which neighbours are near each other.

    Args:
        cells: ``(K, 2)`` columns and rows.
    """
    return morton_codes(cells.astype("float64"))
