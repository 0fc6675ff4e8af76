"""Options that make no sense are refused by name."""

from typing import Any

import pytest

from darts_export import ExportConfig
from darts_export.config import COMPRESSIONS
from darts_utils.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compression": "JPEG"}, "expected a compression of ZSTD, DEFLATE, LZW, LERC, but got 'JPEG'"),
        ({"simplify_tolerance_m": -1.0}, r"simplify_tolerance_m to be a finite number of at least 0, but got -1\.0"),
        (
            {"simplify_tolerance_m": float("nan")},
            "simplify_tolerance_m to be a finite number of at least 0, but got nan",
        ),
        (
            {"lerc_max_error": float("inf"), "compression": "LERC"},
            "expected lerc_max_error to be a finite number of at",
        ),
        (
            {"lerc_max_error": 0.1},
            r"lerc_max_error to be 0 with ZSTD, which keeps every value, but got 0\.1: leave it out",
        ),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ExportConfig(**options)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_options_that_do(compression: str) -> None:
    assert ExportConfig(compression=compression).compression == compression
