"""What a build leaves in its work folder: per level, part files in order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import geopandas
import pandas as pd
import pyarrow.parquet as pq

from darts_export.dataset.archive import Unused

LEVELS = ("level1", "level2", "level3", "level3_years", "level3_events", "coverage")
"""Names of the tables of a data set, in the order in which they are made."""

NUMBERED_BY: Mapping[str, Mapping[str, str]] = {
    "level1": {"object_id": "level1"},
    "level2": {"object_id": "level2"},
    "level3_years": {"object_id": "level2"},
}
"""Table → its columns of numbers that count from 1 in each part file → the table whose rows they count."""


@dataclass(frozen=True)
class Part:
    """One part file of a level: Parquet, with the final columns; GeoParquet in EPSG:3413 where there is a geometry."""

    path: Path
    """The file; its name is a fingerprint of everything that it was made from."""
    rows: int
    """Number of rows; may be 0, but the columns are always there."""
    first: Mapping[str, int] = field(default_factory=dict)
    """Column → what is to be added to its numbers, which count from 1 in each file."""


@dataclass(frozen=True)
class Level:
    """A table that may be larger than memory."""

    name: str
    """One of `LEVELS`."""
    parts: tuple[Part, ...]
    """Its files, in the order of the rows; at least one."""

    @property
    def rows(self) -> int:
        """Number of rows of all parts."""
        return sum(part.rows for part in self.parts)

    def tables(self) -> Iterator[geopandas.GeoDataFrame | pd.DataFrame]:
        """Read the table part by part, with its final numbers.

        Yields:
            At least one table; all have the same columns. Those without geometry are plain tables. How the rows are shared
            among the tables depends on the size of partitions, the rows and their order do not.
        """
        for part in self.parts:
            yield read_part(part)


@dataclass(frozen=True)
class UsedTile:
    """A tile that is in the data set."""

    tile_id: str
    date: str
    sensor: str
    models: str
    """Names and hashes of the models, as in `darts_export.dataset.archive.models_of`."""
    objects: int
    """Number of its objects that hold an area."""
    sha256: str
    """Hash of what was read of it."""


@dataclass(frozen=True)
class Levels:
    """What `build_levels` made."""

    levels: Mapping[str, Level]
    """Name → table, in the order of `LEVELS`."""
    tiles: tuple[UsedTile, ...]
    """The tiles that are in the data set, sorted by sensor, date, models and name."""
    unused: tuple[Unused, ...]
    """Folders that were not used, with the reasons."""
    repaired: int
    """Number of geometries, of objects and of trusted areas, that were invalid and have been made valid."""
    dropped: int
    """Number of geometries that hold no area, even when made valid, and are left out."""
    models: tuple[str, ...]
    """The sets of models, each once."""

    def __getitem__(self, name: str) -> Level:
        """The table of a name."""
        return self.levels[name]


def read_part(part: Part) -> geopandas.GeoDataFrame | pd.DataFrame:
    """Read a part file, with its final numbers."""
    has_geometry = b"geo" in (pq.read_schema(part.path).metadata or {})
    table = geopandas.read_parquet(part.path) if has_geometry else pd.read_parquet(part.path)
    return table.assign(**{name: table[name] + offset for name, offset in part.first.items()})
