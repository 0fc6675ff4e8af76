"""A search for the best configuration, also by several processes."""

import csv
import dataclasses
import multiprocessing
import re
import shutil
import socket

import optuna
import pytest
import torch
from optuna import cli

from darts_segmentation.training import parse_search_space, train, tune
from darts_segmentation.training.search_space import Range
from darts_segmentation.training.testing import small_training
from darts_train_utils.config import MonitorConfig, SplitConfig
from darts_utils.errors import ConfigError, TrainingError
from darts_utils.inference.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

CONFIG = small_training(epochs=2)
SPACE = {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}, "loss": {"dice": {"choices": [0.5, 1.0]}}}


def tune_in_process(data, out, trials):
    tune(data, out, config=CONFIG, space=parse_search_space(SPACE, config=CONFIG), trials=trials)


def test_processes_share_a_search(data, tmp_path):
    out = tmp_path / "search"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=tune_in_process, args=(data, out, 4)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    result = tune(data, out, config=CONFIG, space=parse_search_space(SPACE, config=CONFIG), trials=4)
    rows = list(csv.DictReader((out / "trials.csv").read_text().splitlines()))
    assert sorted(int(row["trial"]) for row in rows) == [0, 1, 2, 3]
    assert result.trials == 4
    assert result.score == pytest.approx(max(float(row["score"]) for row in rows if row["state"] == "complete"))
    assert len({row["learning_rate"] for row in rows}) == 4
    assert result.config.loss.dice in (0.5, 1.0)
    with pytest.raises(ConfigError, match="another space was asked for"):
        tune(
            data,
            out,
            config=CONFIG,
            space=parse_search_space({"weight_decay": {"low": 0.0, "high": 1.0}}, config=CONFIG),
            trials=1,
        )


def test_a_trial_that_is_worse_than_the_others_is_given_up(data, tmp_path):
    study = optuna.create_study(study_name="darts", storage=f"sqlite:///{tmp_path / 'study.db'}", direction="maximize")
    distributions = {
        "learning_rate": optuna.distributions.FloatDistribution(1e-3, 1e-2, log=True),
        "loss.dice": optuna.distributions.CategoricalDistribution((0.5, 1.0)),
    }
    for number in range(5):
        params = {"learning_rate": 2e-3 + 1e-4 * number, "loss.dice": 0.5}
        values = {"params": params, "distributions": distributions, "intermediate_values": {0: 2.0, 1: 2.0}}
        study.add_trial(optuna.trial.create_trial(value=2.0, **values))
    result = tune(data, tmp_path, config=CONFIG, space=parse_search_space(SPACE, config=CONFIG), trials=6)
    assert study.trials[5].state.name == "PRUNED"
    assert len((tmp_path / "trial-5" / "epochs.csv").read_text().splitlines()) == 2  # one epoch of two
    assert (result.score, result.trials) == (2.0, 6)


def test_a_trial_of_a_process_that_is_gone_is_made_again(data, tmp_path):
    study = optuna.create_study(study_name="darts", storage=f"sqlite:///{tmp_path / 'study.db'}", direction="maximize")
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    process.join()
    study.ask().set_user_attr("owner", [socket.gethostname(), process.pid])
    config = dataclasses.replace(CONFIG, epochs=1)
    assert tune(data, tmp_path, config=config, space=parse_search_space(SPACE, config=config), trials=1).trials == 1
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]


def test_searches_that_differ_never_share_a_study(data, tmp_path):
    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    config = dataclasses.replace(CONFIG, epochs=1)
    space = parse_search_space(SPACE, config=config)
    options = dict(trials=1, storage=storage)
    tune(data, tmp_path / "one" / "search", config=config, space=space, **options)
    other = dataclasses.replace(config, weight_decay=0.5)
    message = (
        r"expected the study 'search' in the storage to be of this search, but another config was asked for there: name"
    )
    with pytest.raises(ConfigError, match=message):
        tune(data, tmp_path / "two" / "search", config=other, space=space, **options)
    assert not (tmp_path / "two" / "search" / "trial-0").exists()
    joined = tune(data, tmp_path / "three" / "search", config=config, space=space, trials=2, storage=storage)
    assert joined.trials == 2
    assert not (tmp_path / "three" / "search" / "trial-0").exists()  # it is in the other folder
    assert tune(data, tmp_path / "two" / "mine", config=other, space=space, **options).trials == 1


def test_a_study_that_does_not_say_what_it_is_is_not_joined(data, tmp_path, monkeypatch):
    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    optuna.create_study(study_name="search", storage=storage)
    config = dataclasses.replace(CONFIG, epochs=1)
    options = dict(config=config, space=parse_search_space(SPACE, config=config), trials=1, storage=storage)
    message = (
        "study 'search' in the storage to say what it searches for, but it does not: .* '(optuna delete-study .*) …'"
    )
    with pytest.raises(ConfigError, match=message) as refused:
        tune(data, tmp_path / "search", **options)
    advised = re.search(message, str(refused.value))[1].split()
    monkeypatch.setattr("sys.argv", [*advised, storage])
    assert cli.main() == 0
    assert tune(data, tmp_path / "search", **options).trials == 1


def test_machines_that_share_a_study_begin_with_the_same_model(data, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=1)
    first, copy = train(data, tmp_path / "model", config=config).model, tmp_path / "elsewhere" / "copy.pt"
    copy.parent.mkdir()
    shutil.copy(first, copy)
    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    options = dict(config=config, space=parse_search_space(SPACE, config=config), storage=storage)
    assert tune(data, tmp_path / "one" / "search", trials=1, start=first, **options).trials == 1
    assert tune(data, tmp_path / "two" / "search", trials=2, start=copy, **options).trials == 2
    model = read_checkpoint(first)
    name = next(name for name, weight in model.statedict.items() if weight.is_floating_point())
    changed = {**model.statedict, name: model.statedict[name] + 1}
    write_checkpoint(first, Checkpoint(model.config, changed))
    with pytest.raises(ConfigError, match="in the storage to be of this search, but another starts_from was asked for"):
        tune(data, tmp_path / "three" / "search", trials=3, start=first, **options)
    with pytest.raises(ConfigError, match="what was begun there, but another starts_from was asked for"):
        tune(data, tmp_path / "one" / "search", trials=3, start=first, **options)


def test_a_search_goes_on_after_trials_that_cannot_work(data, tmp_path, monkeypatch):
    from darts_segmentation.training import tuning

    fit, faults = tuning.fit, iter([torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 9 GiB"), None])

    def in_little_memory(*args, **options):
        fault = next(faults)
        if fault is not None:
            raise fault
        fit(*args, **options)

    monkeypatch.setattr(tuning, "fit", in_little_memory)
    study = optuna.create_study(study_name="darts", storage=f"sqlite:///{tmp_path / 'study.db'}", direction="maximize")
    for crop_px in (20, 32, 32):  # the stride is 32
        study.enqueue_trial({"augmentation.crop_px": crop_px})
    config = dataclasses.replace(CONFIG, epochs=1)
    space = parse_search_space({"augmentation": {"crop_px": {"choices": [20, 32]}}}, config=config)
    result = tune(data, tmp_path, config=config, space=space, trials=3)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL", "COMPLETE"]
    assert "edge of crop_px to be divisible by 32 px" in study.trials[0].user_attrs["failure"]
    assert study.trials[1].user_attrs["failure"] == "CUDA out of memory. Tried to allocate 9 GiB"
    assert (result.trials, result.config.augmentation.crop_px) == (1, 32)


def test_a_search_that_finds_nothing_says_so(data, tmp_path):
    space = {"learning_rate": Range(1e29, 1e30)}
    with pytest.raises(TrainingError, match=r"of 1 none did \(of the last one that failed: expected .*\): narrow"):
        tune(
            data,
            tmp_path / "search",
            config=dataclasses.replace(CONFIG, gradient_clip=None, schedule="constant"),
            space=space,
            trials=1,
        )
    with pytest.raises(ConfigError, match="split.validation_share is 0"):
        tune(
            data,
            tmp_path,
            config=dataclasses.replace(CONFIG, split=SplitConfig("region", 0.0, 0.3)),
            space=space,
            trials=1,
        )
    with pytest.raises(
        ConfigError, match="expected devices to be 1 in a search, but got 2: .* .CUDA_VISIBLE_DEVICES=0 darts train"
    ):
        tune(data, tmp_path, config=dataclasses.replace(CONFIG, devices=2), space=space, trials=1)
    with pytest.raises(ConfigError, match="expected monitor to be one of .*, but got 'val/dice'"):
        config = dataclasses.replace(CONFIG, monitor=MonitorConfig("val/dice"))
        tune(data, tmp_path, config=config, space=space, trials=1)
    with pytest.raises(ConfigError, match="expected at least 1 trial"):
        tune(data, tmp_path, config=CONFIG, space=space, trials=0)
