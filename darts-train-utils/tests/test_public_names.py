import importlib

import darts_train_utils


def test_public_names() -> None:
    assert darts_train_utils.__all__ == sorted(darts_train_utils.__all__)
    for name in darts_train_utils.__all__:
        assert importlib.import_module(f"darts_train_utils.{name}").__doc__
