"""What is worth knowing about a table without reading it: how many rows, where, and when."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from darts_export.dataset.publishing.columns import Table

_BIN_DEG = 0.1


@dataclass(frozen=True)
class Facts:
    """Extent of a table."""

    rows: int
    """Number of rows."""
    box: tuple[float, float, float, float] | None
    """West, south, east, north in degrees, west > east where it crosses the antimeridian; None where nothing is."""
    days: tuple[str, str] | None
    """First and last day, YYYY-MM-DD; None without rows."""


def facts_of(path: Path, table: Table) -> Facts:
    """Measure a table in EPSG:4326 that `write_rows` has written; geometries are read only where they need it.

    Raises:
        OSError: The file cannot be read.
    """
    occupied = _Circle()
    south, north, rows = np.inf, -np.inf, 0
    days: list[str] = []
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            found = file.read_row_group(group, columns=["bbox", *dict.fromkeys(table.dates)]).combine_chunks()
            box = {side: np.asarray(pc.struct_field(found["bbox"], side)) for side in ("xmin", "ymin", "xmax", "ymax")}
            west, east = box["xmin"], box["xmax"]
            whole = (west == -180) & (east == 180)
            occupied.add(west[~whole], east[~whole])
            if whole.any():
                outlines = shapely.from_wkb(
                    file.read_row_group(group, columns=["geometry"])["geometry"].to_numpy()[whole]
                )
                bounds = shapely.bounds(shapely.get_parts(outlines))
                occupied.add(bounds[:, 0], bounds[:, 2])
            south, north = np.fmin.reduce([south, *box["ymin"]]), np.fmax.reduce([north, *box["ymax"]])
            days += _days(found, table.dates)
            rows += found.num_rows
    span = occupied.span()
    extent = None if span is None else (span[0], float(south), span[1], float(north))
    return Facts(rows, extent, (min(days), max(days)) if days else None)


def joined(facts: list[Facts]) -> Facts:
    """The facts of several tables together."""
    boxes = [each.box for each in facts if each.box is not None]
    days = [day for each in facts if each.days is not None for day in each.days]
    occupied = _Circle()
    for west, _, east, _ in boxes:
        pieces = np.array([(west, east)] if west <= east else [(west, 180.0), (-180.0, east)])
        occupied.add(pieces[:, 0], pieces[:, 1])
    span = occupied.span()
    box = None if span is None else (span[0], min(each[1] for each in boxes), span[1], max(each[3] for each in boxes))
    return Facts(sum(each.rows for each in facts), box, (min(days), max(days)) if days else None)


def _days(found: pa.Table, names: tuple[str, str]) -> list[str]:
    if found.num_rows == 0:
        return []
    first, last = pc.min(found[names[0]]).as_py(), pc.max(found[names[1]]).as_py()
    if isinstance(first, int):
        return [f"{first:04d}-01-01", f"{last:04d}-12-31"]
    return [first, last]


class _Circle:
    """Which longitudes are occupied, in bins whose edges are kept exactly."""

    def __init__(self) -> None:
        count = round(360 / _BIN_DEG)
        self._full = np.zeros(count + 1, dtype="int64")
        self._west, self._east = np.full(count, np.inf), np.full(count, -np.inf)

    def add(self, west: NDArray[np.float64], east: NDArray[np.float64]) -> None:
        """Occupy intervals, west ≤ east; NaN occupies nothing."""
        known = np.isfinite(west)
        west, east = west[known], east[known]
        last = len(self._west) - 1
        first_bin, last_bin = (np.clip(((each + 180) / _BIN_DEG).astype("int64"), 0, last) for each in (west, east))
        np.add.at(self._full, first_bin, 1)
        np.add.at(self._full, last_bin + 1, -1)
        np.minimum.at(self._west, first_bin, west)
        np.maximum.at(self._east, last_bin, east)

    def span(self) -> tuple[float, float] | None:
        """The shortest way around all that is occupied: west and east, west > east across the antimeridian."""
        bins = np.flatnonzero(np.cumsum(self._full[:-1]) > 0)
        if len(bins) == 0:
            return None
        gaps = np.diff(bins, append=bins[0] + len(self._west))
        widest = int(np.argmax(gaps))
        if gaps[widest] <= 1:
            return -180.0, 180.0
        after, before = bins[(widest + 1) % len(bins)], bins[widest]
        return float(self._west[after]), float(self._east[before])
