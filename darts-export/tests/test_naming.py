import pytest
import xarray as xr

from darts_export.naming import safe_name, safe_tile_id
from darts_utils.errors import TileContractError


@pytest.mark.parametrize("name", ["4372514-1234_2021-08-21", "T08WMB", "Größe 1", "a..b", "x" * 160])
def test_names_that_are_safe(name: str) -> None:
    assert safe_name(name, what="tile_id") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        ".",
        "..",
        "../up",
        "a/b",
        "/etc",
        "a\\b",
        ".hidden",
        "a\0b",
        "line\nbreak",
        "x" * 161,
        "ø" * 81,
        "\ud800",
    ],
)
def test_names_that_are_not(name: str) -> None:
    with pytest.raises(TileContractError, match=r"tile_id must be usable as the name of a folder .* rename it"):
        safe_name(name, what="tile_id")


@pytest.mark.parametrize("attrs", [{}, {"tile_id": 4372514}])
def test_tile_without_a_name(attrs: dict[str, object]) -> None:
    with pytest.raises(
        TileContractError, match=r"export needs attrs\['tile_id'\] \(str\), .* but got (None|4372514): set"
    ):
        safe_tile_id(xr.Dataset(attrs=attrs))
