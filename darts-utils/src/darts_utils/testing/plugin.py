"""Pytest plugin: the fixtures ``backend`` and ``darts``. Name it in ``pytest_plugins`` of a root ``conftest.py``."""

import logging
import warnings
from collections.abc import Callable

import pytest

from darts_utils.cli import app
from darts_utils.testing.backends import BACKENDS, Backend


@pytest.fixture(
    params=[pytest.param(each, marks=pytest.mark.gpu if each.name == "cupy" else (), id=each.name) for each in BACKENDS]
)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Run the test once for each array backend."""
    chosen: Backend = request.param
    return chosen


@pytest.fixture
def darts(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process; returns exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with warnings.catch_warnings():
            try:
                with pytest.raises(SystemExit) as stopped:
                    app([str(argument) for argument in arguments])
            finally:
                logging.captureWarnings(capture=False)  # before the warnings are as they were
        printed = capsys.readouterr()
        return int(str(stopped.value.code)), printed.out, printed.err

    return run
