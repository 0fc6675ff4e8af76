"""What a model needs of a tile, and what to do where the tile lacks it; imports no torch."""

from collections.abc import Iterable

import xarray as xr

from darts_utils.tiles import check_tile, require_variables
from darts_utils.variables import TCVIS_BANDS

_FROM_DEM = ("relative_elevation", "slope", "hillshade", "aspect", "curvature", "dem")


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
    steps = []
    if any(name in TCVIS_BANDS for name in missing):
        steps.append("give preprocessing the trends (tcvis=)")
    if any(name in _FROM_DEM for name in missing):
        steps.append("give preprocessing an elevation model (dem=)")
    if any(name not in TCVIS_BANDS and name not in _FROM_DEM for name in missing):
        steps.append("run preprocessing first")
    require_variables(
        tile, missing, consumer=consumer, hint=f"{' and '.join(steps)}, or choose a model that needs less"
    )
