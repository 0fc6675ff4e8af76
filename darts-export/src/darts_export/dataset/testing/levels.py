"""What a build has left, in memory."""

import hashlib
from collections.abc import Mapping

import geopandas
import pandas as pd

from darts_export.dataset.levels import LEVELS, Levels
from darts_export.dataset.tracking import Tracks
from darts_export.fingerprints import sha256_of

_LEVEL_3_KEYS = {
    "level3": ["slump_id"],
    "level3_years": ["slump_id", "year"],
    "level3_events": ["kind", "year", "parents", "children"],
}


def rows_of(levels: Levels) -> dict[str, pd.DataFrame]:
    """The tables of a build, in memory, geometries as bytes."""
    return {name: pd.concat([_plain(table) for table in levels[name].tables()], ignore_index=True) for name in LEVELS}


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    return table.to_wkb() if isinstance(table, geopandas.GeoDataFrame) else table


def assert_level3(found: Mapping[str, pd.DataFrame], expected: Mapping[str, geopandas.GeoDataFrame]) -> None:
    """Check that the tables of Level 3 have the same columns and rows, to the last digit, in whatever order the rows are.

    Args:
        found: Tables of `rows_of`.
        expected: The same tables as `darts_export.dataset.tracking.track` makes them.

    Raises:
        AssertionError: They differ.
    """
    for name, key in _LEVEL_3_KEYS.items():
        pd.testing.assert_frame_equal(
            found[name].sort_values(key, ignore_index=True),
            expected[name].to_wkb().sort_values(key, ignore_index=True),
            check_exact=True,
        )


def digest(levels: Levels) -> str:
    """Fingerprint of all that a build has left."""
    noted = "".join(
        f"{name}{part.rows}{part.first}{sha256_of(part.path)}" for name in LEVELS for part in levels[name].parts
    )
    return hashlib.sha256(f"{noted}{levels.tiles}{levels.models}".encode()).hexdigest()


def tracks_of(levels: Levels) -> Tracks:
    """Level 3 of a build, in memory."""
    return Tracks(*(pd.concat(list(levels[name].tables()), ignore_index=True) for name in _LEVEL_3_KEYS))
