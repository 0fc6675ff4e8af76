"""Fixtures for every package of the workspace."""

import pytest

pytest_plugins = ["darts_utils.testing.plugin"]


@pytest.fixture(autouse=True)
def _single_threaded_math(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes that tests start do not fight for cores."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
