"""Where the real data for tests are."""

import os
from pathlib import Path

import pytest

DATA_VARIABLE = "DARTS_DATA"
"""Environment variable that names the folder of real test data."""


def data_dir() -> Path:
    """Return the folder of real data, or skip the calling test with the reason.

    Looks at the environment variable ``DARTS_DATA``, then for ``../shared/data`` beside the workspace.
    """
    named = os.environ.get(DATA_VARIABLE)
    if named is not None:
        folder = Path(named)
        if not folder.is_dir():
            pytest.fail(f"{DATA_VARIABLE}={named} is not a folder")
        return folder
    for parent in Path.cwd().resolve().parents:
        folder = parent / "shared" / "data"
        if folder.is_dir():
            return folder
    pytest.skip(f"no real data: set {DATA_VARIABLE} to a folder with peel/, dem/, slump_polygons/")
