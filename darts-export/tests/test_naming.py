import pytest
import xarray as xr

from darts_export.naming import safe_tile_id
from darts_utils.errors import TileContractError


@pytest.mark.parametrize("attrs", [{}, {"tile_id": 4372514}])
def test_tile_without_a_name(attrs: dict[str, object]) -> None:
    with pytest.raises(
        TileContractError, match=r"export needs attrs\['tile_id'\] \(str\), .* but got (None|4372514): set"
    ):
        safe_tile_id(xr.Dataset(attrs=attrs))
