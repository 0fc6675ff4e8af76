"""Scores of models on patches."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import torch
import yaml

from darts_segmentation import build_network
from darts_segmentation.training import evaluate, train
from darts_segmentation.training.evaluation import scoring_options
from darts_segmentation.training.testing import SMALL_NETWORK, small_model, small_training
from darts_train_utils.patch_store import PatchStore
from darts_train_utils.testing import write_example_store
from darts_utils.errors import CheckpointError, ConfigError, DartsWarning, TrainingDataError
from darts_utils.inference import Checkpoint, write_checkpoint

CONFIG = small_training(epochs=2)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    return train(data, tmp_path_factory.mktemp("trained") / "run", config=CONFIG)


def test_evaluation_repeats_the_scores_of_the_training(trained, data, tmp_path):
    result = evaluate(trained.model, data, out=tmp_path, device="cpu")
    assert str(result) == str(trained.scores["test"])
    with pytest.warns(DartsWarning, match="4 of the 12 patches trained the model, .* evaluate it with part 'test'"):
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


@pytest.mark.parametrize(
    ("patch_px", "changes", "error", "message"),
    [
        (
            48,
            {},
            TrainingDataError,
            "edge divisible by 32 px, the stride of the model's network, but got 48 px: prepare",
        ),
        (
            32,
            {"in_channels": 3},
            CheckpointError,
            r"model.pt' .*in_channels to be 2, one for each of red, slope, but got 3",
        ),
        (
            32,
            {"arch": "PAN", "decoder_channels": 32},
            CheckpointError,
            r"model.pt' .*the network does not fit patches of 32 px, RuntimeError",
        ),
    ],
)
def test_models_and_patches_that_do_not_fit_are_refused(tmp_path, patch_px, changes, error, message):
    write_example_store(tmp_path / "data", regions=("east",), patches=1, patch_px=patch_px)
    model = write_checkpoint(tmp_path / "model.pt", small_model(["red", "slope"], network=changes, patch_px=64))
    with pytest.raises(error, match=message):
        evaluate(model, tmp_path / "data", part="all", device="cpu")


def test_models_of_other_makers(data, tmp_path, darts):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    network = {**SMALL_NETWORK, "in_channels": 1}
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
    code, _, err = darts("train", "card", other)
    assert code == 2
    assert "expected a model that says how it was trained" in err
