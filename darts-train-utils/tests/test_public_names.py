import importlib

import darts_train_utils


def test_public_names() -> None:
    names = ["augmentation", "calibration", "callbacks", "config", "data", "losses", "metrics", "patch_store", "splits"]
    assert darts_train_utils.__all__ == names
    for name in names:
        assert importlib.import_module(f"darts_train_utils.{name}").__doc__
