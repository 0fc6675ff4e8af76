"""Models that have seen the patches which are to judge them."""

import dataclasses

import numpy as np
import pytest

from darts_segmentation.training import cross_validate, parse_search_space, train, tune
from darts_segmentation.training.leakage import sides_of
from darts_segmentation.training.plan import encode_split
from darts_segmentation.training.testing import small_model, small_training
from darts_segmentation.training.training import plan_run
from darts_train_utils.config import SplitConfig
from darts_train_utils.patch_store import PatchStore
from darts_train_utils.provenance import data_fingerprint
from darts_train_utils.splits import Split
from darts_utils.errors import TrainingDataError
from darts_utils.inference import Checkpoint, read_checkpoint, write_checkpoint

CONFIG = dataclasses.replace(small_training(epochs=1), network={})
OLD = Split(*(np.array(rows) for rows in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [])))


@pytest.fixture(scope="module")
def start(data, tmp_path_factory):
    """A model that says that it was trained with OLD on the data."""
    record = {"data": {"fingerprint": data_fingerprint(data)}, "split": encode_split(OLD, 12)}
    path = tmp_path_factory.mktemp("start") / "start.pt"
    return write_checkpoint(path, small_model(["red", "slope"], training=record))


@pytest.mark.parametrize(
    ("training", "validation", "test", "found"),
    [
        ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], None),
        ([0, 1, 2, 8], [4, 5, 9], [10, 11], None),
        ([4, 5, 6, 7], [0, 1, 2, 8], [9, 10, 11], "3 validation patches trained it or chose its best epoch"),
        ([4, 5], [6, 7], [2, 3, 8], "2 test patches trained it"),
        ([0, 1], [8, 9], [6, 7, 10], "2 test patches trained it"),
        ([4, 5], [0, 6], [1, 8], "1 validation patches and 1 test patches trained it"),
    ],
)
def test_a_start_has_not_seen_what_validates_and_tests(data, start, tmp_path, training, validation, test, found):
    split = Split(*(np.array(rows, "int64") for rows in (training, validation, test, [])))
    store, known = PatchStore(data), read_checkpoint(start)
    if found is None:
        assert plan_run(store, data, tmp_path, config=CONFIG, start=known, split=split).plan.split is split
        return
    with pytest.raises(
        TrainingDataError, match=f"that have not made the start checkpoint, but {found}.*: take the .split"
    ):
        plan_run(store, data, tmp_path, config=CONFIG, start=known, split=split)
    assert not list(tmp_path.iterdir())
    plan_run(store, data, tmp_path, config=CONFIG, start=known, split=split, fingerprint="other data")


def test_no_study_begins_with_a_model_that_has_seen_its_patches(data, start, tmp_path):
    config = dataclasses.replace(CONFIG, split=SplitConfig("random", 0.3, 0.3))
    space = parse_search_space({"learning_rate": {"low": 1e-3, "high": 1e-2}}, config=config)
    for study in (
        lambda out: train(data, out, config=config, start=start),
        lambda out: cross_validate(data, out, config=config, folds=3, start=start),
        lambda out: tune(data, out, config=config, space=space, trials=1, start=start),
    ):
        with pytest.raises(TrainingDataError, match="that have not made the start checkpoint"):
            study(tmp_path / "out")
        assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix in {".json", ".db"}]


def test_models_that_do_not_say_what_they_saw_are_taken_as_they_are(data, start):
    known = read_checkpoint(start)
    for record in (None, {}, {"split": "x"}, {"split": "x", "data": "y"}, {"data": known.config["training"]["data"]}):
        model = Checkpoint({**known.config, "training": record}, known.statedict)
        assert sides_of(model, fingerprint=data_fingerprint(data)) is None
