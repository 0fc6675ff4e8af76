"""Which members can run on a tile, and which are left out; imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import xarray as xr

from darts_ensemble.weighting import relative_weights
from darts_utils.errors import ConfigError, MissingVariableError
from darts_utils.grids import tile_id
from darts_utils.inference.requirements import require_model_inputs

Missing = Literal["raise", "skip"]
"""What becomes of a member that needs a variable which a tile lacks: an error, or it is left out for the whole tile."""


@dataclass(frozen=True)
class Membership:
    """The members that speak about one tile."""

    weights: Mapping[str, float]
    """Name → weight, as given to the ensemble, of those that can run; in order."""
    left_out: Mapping[str, tuple[str, ...]]
    """Name → the variables that the tile lacks, of those that cannot."""

    @property
    def relative_weights(self) -> dict[str, float]:
        """Name → weight divided by the largest of them, so that no sum overflows."""
        return relative_weights(self.weights)

    @property
    def source(self) -> str:
        """Who was averaged, with the weights where these differ; the ``source`` of the result."""
        if len(set(self.weights.values())) == 1:
            return f"mean of {', '.join(self.weights)}"
        return f"weighted mean of {', '.join(f'{member} ({weight:g})' for member, weight in self.weights.items())}"

    @property
    def attrs(self) -> dict[str, Any]:
        """``members``, ``member_weights`` (their sum is 1) and, where there are some, ``members_left_out`` (name: reason)."""
        relative = self.relative_weights
        total = sum(relative.values())
        record: dict[str, Any] = {
            "members": list(relative),
            "member_weights": [weight / total for weight in relative.values()],
        }
        if self.left_out:
            record["members_left_out"] = {member: _reason(names) for member, names in self.left_out.items()}
        return record

    def notice(self, tile: xr.Dataset, *, ensemble: str) -> str | None:
        """Say which members are left out; None where none is."""
        if not self.left_out:
            return None
        each = "; ".join(f"model {member!r} ({_reason(names)})" for member, names in self.left_out.items())
        return (
            f"tile {tile_id(tile)!r}: ensemble {ensemble!r} does without {each}; the mean is that of "
            f"{', '.join(self.weights)}"
        )


def _reason(names: Sequence[str]) -> str:
    return f"needs {', '.join(names)}, which the tile lacks"


def members_for(
    tile: xr.Dataset,
    *,
    needs: Mapping[str, Sequence[str]],
    weights: Mapping[str, float],
    missing: Missing,
    ensemble: str,
) -> Membership:
    """Decide which members speak about a tile.

    Args:
        tile: The tile.
        needs: Name of each member → its ``required_variables``.
        weights: Name of each member → its weight.
        missing: ``"raise"`` or ``"skip"``.
        ensemble: Name of the ensemble, for messages.

    Raises:
        TileContractError: `tile` is no tile, or a variable has another form than the contract says.
        MissingVariableError: With ``"raise"`` a variable of any member is missing; with ``"skip"`` no member can run.
    """
    left_out = {}
    for member, names in needs.items():
        try:
            require_model_inputs(tile, names, consumer=f"model {member!r} of ensemble {ensemble!r}")
        except MissingVariableError as error:
            if missing == "raise":
                raise
            left_out[member] = error.missing
    if len(left_out) == len(needs):
        each = "; ".join(f"{member!r} needs {', '.join(names)}" for member, names in left_out.items())
        raise MissingVariableError(
            f"ensemble {ensemble!r}",
            dict.fromkeys(name for names in left_out.values() for name in names),
            tile_id=tile_id(tile),
            present=map(str, tile.data_vars),
            hint=f"no member can run ({each}), so none can be left out: give preprocessing what they need",
        )
    return Membership({member: weights[member] for member in needs if member not in left_out}, left_out)


def check_missing(missing: str) -> None:
    """Raise if `missing` is not one of its two words.

    Raises:
        ConfigError: Says which there are.
    """
    if missing not in get_args(Missing):
        raise ConfigError(f"expected missing to be one of {', '.join(get_args(Missing))}, but got {missing!r}")
