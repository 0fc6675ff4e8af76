"""The members of an ensemble: their variables, and how far they agree."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_export.arrays import numpy_values
from darts_utils.errors import TileContractError
from darts_utils.grids import tile_id
from darts_utils.runs import ObjectRuns
from darts_utils.tiles import require_variables

_PREFIX = "binarized_segmentation-"

_DESCRIPTION = ("long_name", "units", "source")
"""Attributes of ``binarized_segmentation`` that say what it is; all others say how its objects were found."""


def member_variable(name: str, model: str | None) -> str:
    """Return the name of a variable of one member of an ensemble, or of the ensemble (None)."""
    return name if model is None else f"{name}-{model}"


def members_of(tile: xr.Dataset) -> tuple[str, ...]:
    """Return the names of the variables with the objects of each member of an ensemble."""
    return tuple(str(name) for name in tile.data_vars if str(name).startswith(_PREFIX))


def check_members(tile: xr.Dataset, *, model: str | None = None) -> None:
    """Raise unless the members' objects can be compared with those of the tile, or of one member.

    Raises:
        TileContractError: They were found with other options, or have other dims or another dtype.
    """
    name, members = member_variable("binarized_segmentation", model), members_of(tile)
    require_variables(tile, members, consumer="member_agreement", hint="run postprocess first")
    for member in members:
        for option in _options_of(tile, name, member):
            ours, theirs = tile[name].attrs.get(option), tile[member].attrs.get(option)
            if not np.array_equal(np.asarray(ours), np.asarray(theirs)):  # an attribute may be a list
                raise TileContractError(
                    f"member_agreement needs members whose objects were found as those of {name!r} ({option} {ours!r}), but "
                    f"{member!r} of tile {tile_id(tile)!r} has {theirs!r}: run postprocess(keep_members=True) again, or drop "
                    "the members"
                )


def _options_of(tile: xr.Dataset, *names: str) -> tuple[str, ...]:
    """Names of all options with which the objects of one of the variables were found; one that is off is not recorded."""
    recorded = dict.fromkeys(str(option) for name in names for option in tile[name].attrs)
    return tuple(option for option in recorded if option not in _DESCRIPTION)


def agreement_of(tile: xr.Dataset, runs: ObjectRuns) -> NDArray[np.float64] | None:
    """Say how far the members agree on each object.

    Args:
        tile: Tile with ``binarized_segmentation-<model>``  (y, x) uint8 for each member.
        runs: The objects.

    Returns:
        ``(count,)`` float64, 0 … 1: the mean share of members that see an object where this one is; None without members.
    """
    members = members_of(tile)
    if not members:
        return None
    votes = np.zeros(runs.count, dtype="int64")
    for name in members:
        votes += runs.counts(runs.pixels(numpy_values(tile, name)) > 0)
    return votes / (len(members) * runs.sizes_px())
