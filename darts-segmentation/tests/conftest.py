"""What the tests of trainings share."""

import pytest

from darts_train_utils.testing import write_example_store


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A store of 12 patches in three regions; nobody writes into it."""
    folder = tmp_path_factory.mktemp("data")
    write_example_store(folder)
    return folder
