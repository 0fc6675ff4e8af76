"""Whether a tile's inputs were made as those that a model was trained on; imports no torch.

A variable of the right name may still hold other numbers: counts of the sensor instead of reflectance, or an elevation
relative to other surroundings. Tiles say so in the attributes of their variables, models in their config:

==================================  ================================================================================
``relative_elevation_radius_m``       radius of the surroundings in ``relative_elevation``
``relative_elevation_inner_radius_m`` inner radius, where they were an annulus
==================================  ================================================================================
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from darts_utils.errors import CheckpointError, DartsWarning, TileContractError
from darts_utils.grids import tile_id
from darts_utils.tiles import require_reflectance
from darts_utils.variables import OPTICAL_BANDS, USUAL_SURROUNDINGS_M

_ELEVATION = "relative_elevation"
_OUTER, _INNER = "relative_elevation_radius_m", "relative_elevation_inner_radius_m"
_TOLERANCE_M = 1e-6


@dataclass(frozen=True)
class Surroundings:
    """What relative elevation is relative to: the mean within a radius, and beyond another one."""

    outer_m: float
    """Radius in metres."""
    inner_m: float = 0.0
    """Inner radius in metres; 0 is a disc."""

    def __str__(self) -> str:
        return f"within {self.outer_m:g} m" + (f" and beyond {self.inner_m:g} m" if self.inner_m else "")

    def matches(self, other: "Surroundings") -> bool:
        """Whether both are the same, but for rounding."""
        return max(abs(self.outer_m - other.outer_m), abs(self.inner_m - other.inner_m)) <= _TOLERANCE_M


USUAL_SURROUNDINGS = Surroundings(USUAL_SURROUNDINGS_M)
"""What preprocessing takes unless it is told otherwise."""


def trained_surroundings(config: Mapping[str, Any]) -> Surroundings | None:
    """Read which surroundings the ``relative_elevation`` of a model had.

    Args:
        config: The checkpoint's ``config``.

    Returns:
        The surroundings; None where the model does not say, or has no such input.

    Raises:
        CheckpointError: The radii make no sense.

    Examples:
        >>> print(trained_surroundings({"input_combination": ["relative_elevation"], "relative_elevation_radius_m": 300.0}))
        within 300 m
    """
    if _ELEVATION not in config["input_combination"]:
        return None
    outer, inner = config.get(_OUTER), config.get(_INNER)
    if outer is None and inner is None:
        return None
    found = Surroundings(*(_length(each) for each in (outer, 0.0 if inner is None else inner)))
    if not 0 <= found.inner_m < found.outer_m < math.inf:
        raise CheckpointError(
            f"expected {_OUTER} to be metres above 0, and {_INNER} to be less if there is one, but got {outer!r} and {inner!r}: "
            "correct the config"
        )
    return found


def check_agreement(tile: xr.Dataset, *, config: Mapping[str, Any], consumer: str) -> None:
    """Raise if an input of a tile was made in another way than those that a model was trained on.

    Args:
        tile: Tile with the model's input variables.
        config: The checkpoint's ``config``.
        consumer: The model, for messages: ``"model 'full'"``.

    Raises:
        TileContractError: A band holds something else than reflectance × 10 000, or ``relative_elevation`` is relative to
            other surroundings than the model says.
        CheckpointError: What the model says makes no sense.

    Warns:
        DartsWarning: One of the two does not say which surroundings it means, and the other names unusual ones.

    Notes:
        Bands that do not say their scale are taken for what the contract says. Looks at attributes only.
    """
    inputs = config["input_combination"]
    require_reflectance(tile, [name for name in inputs if name in OPTICAL_BANDS], consumer=consumer)
    if _ELEVATION in inputs:
        _check_surroundings(tile, trained_surroundings(config), consumer=consumer)


def _check_surroundings(tile: xr.Dataset, trained: Surroundings | None, *, consumer: str) -> None:
    attrs = tile[_ELEVATION].attrs
    made = (
        Surroundings(_length(attrs["outer_radius_m"]), _length(attrs.get("inner_radius_m", 0.0)))
        if "outer_radius_m" in attrs
        else None
    )
    advice = "make the tile with the same --tpi-outer-radius-m and --tpi-inner-radius-m, or choose another model"
    if trained is not None and made is not None and not trained.matches(made):
        raise TileContractError(
            f"{consumer} was trained with an elevation relative to the mean {trained}; that of tile {tile_id(tile)!r} is "
            f"relative to the mean {made}: {advice}"
        )
    known = trained or made
    if known is None or (trained is not None and made is not None) or known.matches(USUAL_SURROUNDINGS):
        return
    silent = f"tile {tile_id(tile)!r}" if made is None else consumer
    named = consumer if made is None else f"tile {tile_id(tile)!r}"
    warnings.warn(
        DartsWarning(
            f"{_ELEVATION} of {named} is relative to the mean {known}, and {silent} does not say which one it means: see that "
            "it is the same",
            tile_id=tile_id(tile),
        ),
        stacklevel=3,
    )


def _length(value: object) -> float:
    """A number as it is; what is none becomes NaN, which agrees with nothing."""
    try:
        return float("nan") if isinstance(value, bool | str) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return float("nan")
