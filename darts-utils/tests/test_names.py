"""Names that may be those of files, and names that may not."""

import pytest

from darts_utils.errors import TileContractError
from darts_utils.names import safe_name


@pytest.mark.parametrize("name", ["4372514-1234_2021-08-21", "T08WMB", "Größe 1", "a..b", "x" * 160])
def test_names_that_are_safe(name):
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
def test_names_that_are_not(name):
    with pytest.raises(TileContractError, match=r"tile_id must be usable as the name of a folder .* rename it"):
        safe_name(name, what="tile_id")
