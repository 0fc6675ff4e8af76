import importlib.metadata

import pytest

from darts_utils import models
from darts_utils.errors import UnknownFrameworkError


def test_an_unknown_framework_names_those_installed(monkeypatch):
    entry = importlib.metadata.EntryPoint("known", "darts_utils.models:TileModel", models.MODEL_GROUP)
    monkeypatch.setattr(models, "model_frameworks", lambda: {"known": entry})
    assert models.model_class("known") is models.TileModel
    with pytest.raises(UnknownFrameworkError, match=r"'other' is not installed \(installed: known\)"):
        models.model_class("other")


def test_a_framework_that_cannot_be_imported_is_another_error(monkeypatch):
    entry = importlib.metadata.EntryPoint("broken", "darts_no_such_package:Model", models.MODEL_GROUP)
    monkeypatch.setattr(models, "model_frameworks", lambda: {"broken": entry})
    with pytest.raises(UnknownFrameworkError, match="cannot be imported.*reinstall that package"):
        models.model_class("broken")


def test_a_framework_whose_class_is_gone_is_the_same_error(monkeypatch):
    entry = importlib.metadata.EntryPoint("broken", "darts_utils.models:NoSuchModel", models.MODEL_GROUP)
    monkeypatch.setattr(models, "model_frameworks", lambda: {"broken": entry})
    with pytest.raises(UnknownFrameworkError, match="cannot be imported .*no attribute 'NoSuchModel'.*reinstall that"):
        models.model_class("broken")
