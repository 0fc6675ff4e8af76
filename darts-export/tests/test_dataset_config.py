"""Options and public names of the data set."""

import pytest

import darts_export.dataset
from darts_export.dataset import DatasetConfig
from darts_utils.errors import ConfigError


def test_public_names() -> None:
    assert darts_export.dataset.__all__ == [
        "Archive",
        "DatasetConfig",
        "Level",
        "Levels",
        "Part",
        "Tracks",
        "Unused",
        "UsedTile",
        "build_levels",
        "coverage_cells",
        "merge_years",
        "observe",
        "read_archive",
        "track",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixed_models": "perhaps"}, "expected mixed_models to be 'apart' or 'refuse'"),
        ({"edge_tolerance_m": -1}, "expected edge_tolerance_m to be a finite number of at least 0"),
        ({"reach_m": 5}, "expected reach_m to be a finite number of at least edge_tolerance_m"),
        ({"cell_m": float("nan")}, "expected cell_m to be a finite number above 0"),
        ({"workers": 0}, "expected workers to be at least 1"),
        ({"partition_objects": 0}, "expected partition_objects to be at least 1"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DatasetConfig(**options)  # type: ignore[arg-type]
