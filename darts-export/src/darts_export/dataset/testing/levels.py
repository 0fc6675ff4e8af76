"""What a build has left, in memory."""

import hashlib

import geopandas
import pandas as pd

from darts_export.dataset.levels import LEVELS, Levels
from darts_export.dataset.tracking import Tracks
from darts_export.fingerprints import sha256_of


def rows_of(levels: Levels) -> dict[str, pd.DataFrame]:
    """The tables of a build, in memory, geometries as bytes."""
    return {name: pd.concat([_plain(table) for table in levels[name].tables()], ignore_index=True) for name in LEVELS}


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    return table.to_wkb() if isinstance(table, geopandas.GeoDataFrame) else table


def digest(levels: Levels) -> str:
    """Fingerprint of all that a build has left."""
    noted = "".join(
        f"{name}{part.rows}{part.first}{sha256_of(part.path)}" for name in LEVELS for part in levels[name].parts
    )
    return hashlib.sha256(f"{noted}{levels.tiles}{levels.models}".encode()).hexdigest()


def tracks_of(levels: Levels) -> Tracks:
    """Level 3 of a build, in memory."""
    names = ("level3", "level3_years", "level3_events")
    return Tracks(*(pd.concat(list(levels[name].tables()), ignore_index=True) for name in names))
