"""Evaluation, cross-validation and tuning, from Python and on the command line."""

import csv
import dataclasses
import json
import multiprocessing
import socket

import numpy as np
import optuna
import pytest
import tomli_w
import torch
import yaml
from typer.testing import CliRunner

from darts_segmentation import build_network
from darts_segmentation.training import (
    TrainingConfig,
    cross_validate,
    evaluate,
    parse_search_space,
    read_search_space,
    train,
    tune,
)
from darts_segmentation.training.cross_validation import CrossValidationResult
from darts_segmentation.training.evaluation import scoring_options
from darts_segmentation.training.search_space import Choices, Range, changed_config
from darts_segmentation.training.studies import open_study_folder
from darts_train_utils.config import DataConfig, LossConfig, MonitorConfig, SplitConfig
from darts_train_utils.patch_store import PatchStore
from darts_train_utils.splits import Split
from darts_train_utils.testing import write_example_store
from darts_utils.cli import app
from darts_utils.config_tables import plain_table
from darts_utils.errors import CheckpointError, ConfigError, TrainingDataError, TrainingError
from darts_utils.inference import Checkpoint, write_checkpoint

NETWORK = {"arch": "Unet", "encoder_name": "tu-test_resnet", "decoder_channels": [8, 8, 8, 8, 8]}
CONFIG = TrainingConfig(
    network=NETWORK,
    epochs=2,
    learning_rate=5e-3,
    data=DataConfig(batch_size=4),
    monitor=MonitorConfig(picture_every_epochs=0),
)
SPACE = {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}, "loss": {"dice": {"choices": [0.5, 1.0]}}}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_example_store(folder)
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    return train(data, tmp_path_factory.mktemp("trained") / "run", config=CONFIG)


def darts(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_evaluation_repeats_the_scores_of_the_training(trained, data, tmp_path):
    result = evaluate(trained.model, data, out=tmp_path, device="cpu")
    assert str(result) == str(trained.scores["test"])
    assert evaluate(trained.model, data, part="all", device="cpu").overall.patches == 12
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
    assert [row["region"] for row in rows] == [*result.regions, "all"]
    stored = json.loads((tmp_path / "scores.json").read_text())
    assert stored["overall"]["iou"] == result.overall.iou
    assert sum(result.reliability.counts) == result.overall.pixels
    assert (tmp_path / "reliability.csv").read_text().startswith("predicted,observed,pixels")


def test_scores_agree_with_numpy(trained, data):
    class Fixed(torch.nn.Module):
        def forward(self, images):
            return images[:, :1] * 40 - 20

    from darts_segmentation.training.scoring import score_patches
    from darts_utils.inference import Normalization, Scaling

    store = PatchStore(data)
    normalization = Normalization({"red": Scaling(0.0, 1 / 5000)})
    found = score_patches(
        Fixed(),
        store,
        np.arange(4),
        part="all",
        normalization=normalization,
        temperature=None,
        device=torch.device("cpu"),
    )
    values, labels = zip(*(store.read(row) for row in range(4)), strict=True)
    known = np.stack(labels) != 2
    said = np.stack([value["red"] for value in values])[known] > 2500
    true = np.stack(labels)[known] == 1
    assert found.overall.iou == (said & true).sum() / (said | true).sum()
    assert found.overall.precision == (said & true).sum() / said.sum()
    assert found.overall.positive_share == true.mean()
    assert list(found.regions) == ["east"]


def test_a_side_of_the_training_needs_its_data(trained, tmp_path):
    other = tmp_path / "other"
    write_example_store(other, seed=5)
    with pytest.raises(TrainingDataError, match="data that the model was trained with, for its test patches"):
        evaluate(trained.model, other, device="cpu")
    assert evaluate(trained.model, other, part="all", device="cpu").overall.patches == 12
    with pytest.raises(ConfigError, match="expected part to be one of test, validation, training, all, but got 'rest'"):
        evaluate(trained.model, other, part="rest")
    with pytest.raises(ConfigError, match="threshold of 0 … 1 and a width of at least 1 px"):
        scoring_options(2.0, None)


def test_models_of_other_makers(data, tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    network = {**NETWORK, "in_channels": 1}
    torch.save(build_network(network).state_dict(), run / "checkpoints" / "03.pt")
    model = {"architecture": "Unet", "encoder": "tu-test_resnet", "input_channels": 1}
    (run / "config.yml").write_text(yaml.safe_dump({"model": model, "data_sources": ["slope"]}))
    # a run folder states no decoder: with that of the library its weights do not fit, which is said
    with pytest.raises(CheckpointError, match="run' cannot be used: expected the weights of the network"):
        evaluate(run, data, part="all", device="cpu", legacy_normalization="dn3000")
    torch.save(
        build_network({**network, "decoder_channels": [256, 128, 64, 32, 16]}).state_dict(),
        run / "checkpoints" / "04.pt",
    )
    result = evaluate(run, data, part="all", device="cpu", legacy_normalization="dn3000")
    assert result.overall.patches == 12
    with pytest.raises(TrainingDataError, match="expected a model that says which patches were for its test"):
        evaluate(run, data, device="cpu", legacy_normalization="dn3000")
    tuned = train(
        data,
        tmp_path / "tuned",
        config=dataclasses.replace(CONFIG, network={}, epochs=1),
        start=run,
        legacy_normalization="dn3000",
    )
    assert tuned.scores["test"].overall.patches == 4
    config = {
        "model_framework": "yolo",
        "model": network,
        "input_combination": ["slope"],
        "patch_size": 32,
        "normalization": {"slope": {"offset": 0.0, "scale": 1 / 90, "clip": True}},
    }
    other = write_checkpoint(tmp_path / "yolo.pt", Checkpoint(config, build_network(network).state_dict()))
    with pytest.raises(CheckpointError, match="expected a model of the framework 'smp', but got 'yolo'"):
        evaluate(other, data, part="all", device="cpu")
    result = darts("train", "card", other)
    assert result.exit_code == 2
    assert "expected a model that says how it was trained" in result.output


def test_cross_validation_goes_on_fold_by_fold(data, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=1, split=SplitConfig("region", 0.0, 0.0))
    out = tmp_path / "cv"
    result = cross_validate(data, out, config=config, folds=3)
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


def test_a_search_that_finds_nothing_says_so(data, tmp_path):
    space = {"learning_rate": Range(1e29, 1e30)}
    with pytest.raises(TrainingError, match="expected a trial that came to its end, but of 1 none did"):
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
    with pytest.raises(ConfigError, match="expected at least 1 trial"):
        tune(data, tmp_path, config=CONFIG, space=space, trials=0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "expected keys to tune"),
        ({"learning_rat": {"low": 1.0, "high": 2.0}}, "unknown key 'learning_rat' in the configuration: did you mean"),
        ({"loss": {"dize": {"low": 1.0, "high": 2.0}}}, r"unknown key 'dize' in \[loss\]"),
        ({"learning_rate": {"low": 1.0, "height": 2.0}}, r"unknown key 'height' in \[learning_rate\]"),
        ({"learning_rate": {"low": 1.0}}, r"expected \[learning_rate\] to have high"),
        ({"learning_rate": {"low": 2.0, "high": 1.0}}, "expected low below high"),
        ({"learning_rate": {"low": 0.0, "high": 1.0, "log": True}}, "expected low above 0 with log"),
        ({"learning_rate": {"low": -1.0, "high": 1.0}}, "learning_rate = -1.0 in the search space cannot be used"),
        ({"learning_rate": 3}, "to have low and high, or choices, but got 3"),
        ({"loss.dice": {"choices": [1.0]}}, "at least two"),
        ({"loss.dice": {"choices": 1.0}}, "a list of choices and nothing else"),
        ({"loss.dice": {"choices": [1.0, 2.0], "log": True}}, "a list of choices and nothing else"),
        ({"split.seed": {"low": 1, "high": 2}}, "'split.seed' must be the same in all"),
        ({"epochs.x": {"low": 1, "high": 2}}, "expected 'epochs.x' to lead into a table"),
        ({"loss": {"low": 1.0, "dice": {"low": 1.0, "high": 2.0}}}, "but it is both"),
    ],
)
def test_search_spaces_that_make_no_sense_are_refused(table, message):
    with pytest.raises(ConfigError, match=message):
        parse_search_space(table, config=CONFIG)


def test_a_search_space_is_read(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(tomli_w.dumps({**SPACE, "data": {"batch_size": {"low": 2, "high": 8}}}))
    space = read_search_space(path, config=CONFIG)
    assert space["data.batch_size"].is_whole
    assert space["loss.dice"] == Choices((0.5, 1.0))
    assert not space["learning_rate"].is_whole
    path.write_text("[x]\ny = {low = 1, high = 2}")
    with pytest.raises(ConfigError, match=r"space.toml': x.y = 1 in the search space cannot be used: unknown key 'x'"):
        read_search_space(path, config=CONFIG)
    assert changed_config(CONFIG, {"loss.focal": 1.0}).loss == LossConfig(focal=1.0)


def test_a_damaged_study_is_refused(tmp_path):
    (tmp_path / "study.json").write_text("[")
    with pytest.raises(ConfigError, match="to say what the folder is for, but it is damaged"):
        open_study_folder(tmp_path, {})


def test_the_commands(data, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(tomli_w.dumps(plain_table(dataclasses.replace(CONFIG, epochs=1, name="small"))))
    result = darts("train", "fit", data, "--out", tmp_path / "run", "--config", config)
    assert result.exit_code == 0, result.output
    model = tmp_path / "run" / "small.pt"
    assert f"{model}: best of epoch 1" in result.output
    assert "test: 4 patches, iou 0." in result.output
    assert darts("train", "resume", tmp_path / "run").stdout == result.stdout
    result = darts(
        "train", "evaluate", model, data, "--device", "cpu", "--out", tmp_path / "scores", "--threshold", 0.4
    )
    assert result.exit_code == 0, result.output
    assert "all: 4 patches" in result.output
    result = darts("train", "card", model)
    assert result.output.startswith("# Model small")
    assert darts("train", "card", model, "--out", tmp_path / "card.md").exit_code == 0
    assert (tmp_path / "card.md").read_text() == result.output
    result = darts("model", "inspect", model)
    assert result.exit_code == 0, result.output
    assert "Unet, encoder tu-test_resnet" in result.output
    config.write_text("epoch = 3")
    result = darts("train", "fit", data, "--out", tmp_path / "no", "--config", config)
    assert result.exit_code == 2
    assert "config.toml': unknown key 'epoch' in the configuration: did you mean 'epochs'?" in result.output
    result = darts("train", "fit", data, "--out", tmp_path / "run")
    assert "resume it, or choose another folder" in result.output


def test_studies_on_the_command_line(data, tmp_path):
    config, space = tmp_path / "config.toml", tmp_path / "space.toml"
    table = plain_table(dataclasses.replace(CONFIG, epochs=1, split=SplitConfig("random", 0.25, 0.25)))
    config.write_text(tomli_w.dumps(table))
    space.write_text(tomli_w.dumps(SPACE))
    result = darts("train", "cross-validate", data, "--out", tmp_path / "cv", "--folds", 2, "--config", config)
    assert result.exit_code == 0, result.output
    assert "fold 1: 6 patches" in result.output
    assert "mean: iou" in result.output
    result = darts("train", "tune", data, "--out", tmp_path / "s", "--space", space, "--trials", 1, "--config", config)
    assert result.exit_code == 0, result.output
    assert "best of 1 trials" in result.output
