"""As many trainings as folds."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from darts_segmentation.training import cross_validate
from darts_segmentation.training.cross_validation import CrossValidationResult
from darts_segmentation.training.studies import open_study_folder
from darts_segmentation.training.testing import small_training
from darts_train_utils.config import SplitConfig
from darts_train_utils.patch_store import PatchStore
from darts_train_utils.provenance import data_fingerprint
from darts_train_utils.splits import Split
from darts_utils.errors import ConfigError, TrainingDataError

CONFIG = small_training(epochs=2)


def test_cross_validation_goes_on_fold_by_fold(data, tmp_path, monkeypatch):
    looked_at = []
    for place in ("cross_validation", "training", "run_folder"):
        monkeypatch.setattr(
            f"darts_segmentation.training.{place}.data_fingerprint",
            lambda folder: looked_at.append(folder) or data_fingerprint(folder),
        )
    config = dataclasses.replace(CONFIG, epochs=1, split=SplitConfig("region", 0.0, 0.0))
    out = tmp_path / "cv"
    result = cross_validate(data, out, config=config, folds=3)
    assert looked_at == [data]  # once for all folds
    tested = [list(fold.regions) for fold in result.folds]
    assert sorted(tested) == [["east"], ["north"], ["west"]]
    assert result.mean["iou"] == pytest.approx(np.mean([fold.overall.iou for fold in result.folds]))
    kept = result.models[0].stat().st_mtime_ns
    result.models[1].unlink()  # as if it had been killed there
    again = cross_validate(data, out, config=config, folds=3)
    assert str(again.folds) == str(result.folds)
    assert result.models[0].stat().st_mtime_ns == kept
    rows = list(csv.DictReader((out / "cross_validation.csv").read_text().splitlines()))
    assert len(rows) == 6
    assert set(json.loads((out / "cross_validation.json").read_text())["mean"]) >= {"iou", "instance_f1"}
    with pytest.raises(ConfigError, match="what was begun there, but another config was asked for"):
        cross_validate(data, out, config=dataclasses.replace(config, seed=1), folds=3)
    with pytest.raises(TrainingDataError, match="expected patches on each of 5 sides"):
        cross_validate(data, tmp_path / "five", config=config, folds=5)


def test_folds_may_be_named_and_have_validation_patches_of_their_own(data, tmp_path):
    from darts_segmentation.training.cross_validation import _splits

    patches = PatchStore(data).patches
    for split in _splits(patches, SplitConfig("region", 0.4, 0.0), 3):
        sides = [{patches.regions[row] for row in rows} for rows in (split.training, split.validation, split.test)]
        assert [len(side) for side in sides] == [1, 1, 1]
        assert len(set.union(*sides)) == 3
    empty = np.array([], "int64")
    halves = [Split(np.arange(4), empty, np.arange(4, 12), empty)]
    assert _splits(patches, SplitConfig(), halves) == halves
    with pytest.raises(TrainingDataError, match="expected test patches in each fold"):
        _splits(patches, SplitConfig(), [Split(np.arange(4), empty, empty, empty)])
    undefined = CrossValidationResult((), ())
    assert np.isnan(undefined.mean["iou"])
    assert np.isnan(undefined.std["iou"])


def test_a_damaged_study_is_refused(tmp_path):
    (tmp_path / "study.json").write_text("[")
    with pytest.raises(ConfigError, match="to say what the folder is for, but it is damaged"):
        open_study_folder(tmp_path, {})
