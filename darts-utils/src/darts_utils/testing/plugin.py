"""Pytest plugin: the ``backend`` fixture. Name it in ``pytest_plugins`` of a root ``conftest.py``."""

import pytest

from darts_utils.testing.backends import BACKENDS, Backend


@pytest.fixture(
    params=[pytest.param(each, marks=pytest.mark.gpu if each.name == "cupy" else (), id=each.name) for each in BACKENDS]
)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Run the test once for each array backend."""
    chosen: Backend = request.param
    return chosen
