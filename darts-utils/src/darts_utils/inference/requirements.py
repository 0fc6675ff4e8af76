"""What a model needs of a tile, and what to do where the tile lacks it; imports no torch."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import xarray as xr

from darts_utils.tiles import check_tile, require_variables
from darts_utils.variables import VARIABLES, Origin

_ADVICE: Mapping[Origin, str] = MappingProxyType(
    {
        "tcvis": "give preprocessing the trends (tcvis=)",
        "dem": "give preprocessing an elevation model (dem=)",
        "optical": "run preprocessing first",
        "sensor": "run preprocessing first",
        "model": "run the model that makes it first",
    }
)
"""What to do about a variable that is missing, by what it is made from; in the order in which the advice is given."""

_OTHER: Origin = "optical"
"""Where variables that the registry does not know are looked for: among the features of preprocessing."""


def require_model_inputs(tile: xr.Dataset, names: Iterable[str], *, consumer: str) -> None:
    """Raise if a tile is none, or lacks a variable that a model needs.

    Args:
        tile: The tile.
        names: The model's ``required_variables``.
        consumer: The model, for the message: ``"model 'full'"``.

    Raises:
        TileContractError: `tile` is no tile.
        MissingVariableError: Names everything that is missing, and which input of preprocessing it comes from.
    """
    check_tile(tile)
    missing = [name for name in names if name not in tile.data_vars]
    origins = {VARIABLES[name].origin if name in VARIABLES else _OTHER for name in missing}
    steps = dict.fromkeys(step for origin, step in _ADVICE.items() if origin in origins)
    require_variables(
        tile, missing, consumer=consumer, hint=f"{' and '.join(steps)}, or choose a model that needs less"
    )
