"""Where and how often was looked: cells of a grid on the map, per year."""

import geopandas
import numpy as np
import pandas as pd
import shapely

from darts_export.dataset.config import CRS, DatasetConfig
from darts_export.dataset.observations import IMAGE, images_of, measured, union, years_of

_SCHEMA = {"year": "int64", "models": "string", "column": "int64", "row": "int64", "n_observations": "int64"}


def coverage_cells(coverage: geopandas.GeoDataFrame, *, cell_m: float = DatasetConfig.cell_m) -> geopandas.GeoDataFrame:
    """Count, in the cells of a grid, the images of each year and the area that they saw.

    Args:
        coverage: The trusted areas of `read_archive`, in EPSG:3413.
        cell_m: Edge length of the cells, metres on the map; a corner of the grid is at the pole.

    Returns:
        One row per year, models and cell that was looked at:
            ``year``  int64; ``models``  str;
            ``column`` ``row``  int64: x and y of the cell's lower left corner, in cells;
            ``n_observations``  int64: images whose trusted area overlaps the cell;
            ``valid_area_m2``  float64: what at least one of them saw of the cell, on the ellipsoid;
            ``geometry``  Polygon or MultiPolygon in EPSG:3413: that area.
    """
    coverage = coverage.sort_values([*IMAGE, "tile_id"], kind="stable", ignore_index=True)
    rows: list[dict[str, object]] = []
    for (year, models), table in coverage.groupby([years_of(coverage), coverage["models"]], sort=True):
        pieces = _pieces(table, cell_m=cell_m)
        for (column, row), inside in pieces.groupby(["column", "row"], sort=True):
            rows.append(
                {"year": year, "models": models, "column": column, "row": row}
                | {"n_observations": inside["image"].nunique(), "geometry": union(inside["piece"].to_numpy())}
            )
    outlines = np.array([each["geometry"] for each in rows], dtype=object)
    columns = {name: pd.array([each[name] for each in rows], dtype=dtype) for name, dtype in _SCHEMA.items()}
    return geopandas.GeoDataFrame({**columns, "valid_area_m2": measured(outlines)[0]}, geometry=outlines, crs=CRS)


def _pieces(table: pd.DataFrame, *, cell_m: float) -> pd.DataFrame:
    found = []
    for image, area in zip(images_of(table), table.geometry, strict=True):
        west, south, east, north = np.floor(np.array(area.bounds) / cell_m).astype("int64")
        column, row = (axis.ravel() for axis in np.meshgrid(np.arange(west, east + 1), np.arange(south, north + 1)))
        cells = shapely.box(column * cell_m, row * cell_m, (column + 1) * cell_m, (row + 1) * cell_m)
        pieces = shapely.intersection(area, cells)
        found += [
            (image, each_column, each_row, piece)
            for each_column, each_row, piece in zip(column.tolist(), row.tolist(), pieces, strict=True)
            if piece.area > 0
        ]
    return pd.DataFrame(found, columns=["image", "column", "row", "piece"])
