"""Ensembles of stand-ins for the averaging, of a fake framework for the loading."""

import functools
import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest
import torch
import xarray as xr

import darts_ensemble
from darts_ensemble.ensemble import Ensemble
from darts_ensemble.sources import model_files
from darts_utils import models
from darts_utils.errors import CheckpointError, ConfigError, MissingVariableError, UnknownFrameworkError
from darts_utils.inference import Checkpoint, InferenceConfig, read_checkpoint, write_checkpoint
from darts_utils.models import TileModel
from darts_utils.testing import assert_verb_contract, example_tile
from darts_utils.tiles import variable

OPTICAL = ("red", "ndvi")
FULL = ("red", "ndvi", "slope", "tc_wetness")


class FakeModel:
    """A model that says ``bias + 0.2 · ndvi²``, and records what it was asked."""

    def __init__(self, name, *, bias=0.2, inputs=OPTICAL, patch_px=64):
        self.name = name
        self.bias = bias
        self.required_variables = (*inputs, "valid_data_mask")
        self.patch_px = patch_px
        self.calls = []

    @classmethod
    def of(cls, checkpoint, /, *, name, device="auto"):
        """What an entry point leads to."""
        if not checkpoint.statedict["bias"] >= 0:
            raise CheckpointError("expected a bias of at least 0")
        model = cls(name, bias=float(checkpoint.statedict["bias"]), inputs=checkpoint.input_combination)
        model.device = device
        return model

    @classmethod
    def load(cls, path, /, *, device="auto", name=None):
        return cls.of(read_checkpoint(path), name=name, device=device)

    def inference(self, tile, /, *, options):
        return self.inference_batched([tile], options=options)[0]

    def inference_batched(self, tiles, /, *, options):
        options.overlap_for(self.patch_px)
        if tiles:
            self.calls.append((len(tiles), options))
        return [
            tile.assign(probabilities=variable("probabilities", self.values(tile), source=self.name)) for tile in tiles
        ]

    def values(self, tile):
        values = self.bias + 0.2 * np.nan_to_num(tile.ndvi.values) ** 2
        return np.where(tile.valid_data_mask.values, values, np.nan).astype("float32")


def tile_of(inputs=FULL, shape=(12, 15), seed=0):
    return example_tile([*inputs, "valid_data_mask"], shape=shape, seed=seed)


@pytest.fixture
def members():
    return {"full": FakeModel("full", bias=0.1, inputs=FULL), "optical": FakeModel("optical", bias=0.6)}


@pytest.fixture
def fake_framework(monkeypatch):
    """The framework ``fake`` is installed, the framework ``other`` is not."""
    monkeypatch.setattr("darts_ensemble.ensemble.model_class", lambda name: {"fake": FakeModel.of}[name])


def write_model(path, *, bias=0.2, inputs=OPTICAL, framework="fake"):
    config = {
        "model_framework": framework,
        "model": {},
        "input_combination": list(inputs),
        "patch_size": 8,
        "normalization": {name: {"offset": 0.0, "scale": 1.0, "clip": True} for name in inputs},
    }
    return write_checkpoint(path, Checkpoint(config, {"bias": torch.tensor(bias)}))


def test_the_public_names():
    assert darts_ensemble.__all__ == ["Ensemble", "Gate", "TileStage", "run_stages", "run_stages_batched"]
    assert all(getattr(darts_ensemble, name).__name__ == name for name in darts_ensemble.__all__)
    assert darts_ensemble.Ensemble is Ensemble
    with pytest.raises(AttributeError, match="has no attribute 'Vote'"):
        _ = darts_ensemble.Vote


def test_importing_does_not_import_torch():
    for names in ("Gate, run_stages", "membership, averaging, answers, weighting, cli"):
        code = f"import sys; from darts_ensemble import {names}; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_ensemble_is_a_tile_model_and_can_be_a_member(members):
    inner = Ensemble(members)
    assert isinstance(inner, TileModel)
    outer = Ensemble({"both": inner, "third": FakeModel("third", bias=0.4)})
    assert outer.required_variables == (*FULL, "valid_data_mask")
    tile = tile_of()
    expected = (inner.inference(tile).probabilities.values + FakeModel("third", bias=0.4).values(tile)) / 2
    np.testing.assert_allclose(outer.inference(tile).probabilities.values, expected, atol=1e-7)


def test_what_an_earlier_ensemble_said_is_dropped(members):
    earlier = Ensemble({"old": FakeModel("old", bias=0.3), **members}).inference(
        tile_of(), keep_members=True, keep_std=True
    )
    names = {*tile_of().data_vars, "probabilities"}
    assert {*Ensemble(members).inference(earlier).data_vars} == names
    again = Ensemble(members).inference(earlier, keep_members=True, keep_std=True)
    assert {*again.data_vars} == names | {"probabilities-full", "probabilities-optical", "probabilities_std"}
    assert again.identical(Ensemble(members).inference(tile_of(), keep_members=True, keep_std=True)[[*again.data_vars]])
    assert "probabilities-old" in earlier  # the input is untouched


def test_contract(members):
    ensemble = Ensemble(members)
    result = assert_verb_contract(
        ensemble.inference,
        tile_of(),
        adds=["probabilities"],
        needs=[*FULL, "valid_data_mask"],
        nodata_where="valid_data_mask",
    )
    assert result.probabilities.attrs["source"] == "mean of full, optical"
    assert_verb_contract(
        functools.partial(ensemble.inference, keep_members=True, keep_std=True),
        tile_of(),
        adds=["probabilities", "probabilities-full", "probabilities-optical", "probabilities_std"],
        needs=FULL,
        nodata_where="valid_data_mask",
    )


def test_mean_and_spread(members):
    tile = tile_of()
    result = Ensemble(members).inference(tile, keep_members=True, keep_std=True)
    both = np.stack([model.values(tile) for model in members.values()]).astype("float64")
    np.testing.assert_allclose(result.probabilities.values, both.mean(0), atol=1e-7)
    np.testing.assert_allclose(result.probabilities_std.values, both.std(0), atol=1e-7)
    for name, model in members.items():
        np.testing.assert_array_equal(result[f"probabilities-{name}"].values, model.values(tile))
        assert result[f"probabilities-{name}"].attrs["source"] == name


def test_weighted_mean_and_spread(members):
    tile = tile_of()
    ensemble = Ensemble(members, weights={"optical": 3, "full": 0.5})
    result = ensemble.inference(tile, keep_std=True)
    both = np.stack([model.values(tile) for model in members.values()]).astype("float64")
    mean = np.average(both, axis=0, weights=[0.5, 3])
    np.testing.assert_allclose(result.probabilities.values, mean, atol=1e-7)
    std = np.sqrt(np.average((both - mean) ** 2, axis=0, weights=[0.5, 3]))
    np.testing.assert_allclose(result.probabilities_std.values, std, atol=1e-7)
    assert result.probabilities.attrs["source"] == "weighted mean of full (0.5), optical (3)"
    assert dict(ensemble.weights) == {"full": 0.5, "optical": 3.0}


def test_one_member_is_the_ensemble(members):
    tile = tile_of()
    result = Ensemble({"optical": members["optical"]}).inference(tile)
    np.testing.assert_array_equal(result.probabilities.values, members["optical"].values(tile))


def test_each_member_sees_all_tiles_at_once_with_the_options(members):
    options = InferenceConfig(overlap_px=3)
    Ensemble(members).inference_batched([tile_of(), tile_of(shape=(5, 6), seed=2)], options=options)
    assert [model.calls for model in members.values()] == [[(2, options)], [(2, options)]]


def test_required_variables_are_the_union_each_once(members):
    assert Ensemble(members).required_variables == ("red", "ndvi", "slope", "tc_wetness", "valid_data_mask")
    assert list(Ensemble(members).members) == ["full", "optical"]
    assert Ensemble(members).name == "ensemble"


def test_a_missing_variable_names_the_member_before_any_work(members):
    tiles = [tile_of(), tile_of(OPTICAL)]
    with pytest.raises(
        MissingVariableError,
        match=r"model 'full' of ensemble 'ensemble' needs 'slope', 'tc_wetness'; tile .*tcvis=.*dem=",
    ):
        Ensemble(members).inference_batched(tiles)
    assert not any(model.calls for model in members.values())


def test_options_that_do_not_fit_a_member_name_it_before_any_work(members):
    ensemble = Ensemble({**members, "fine": FakeModel("fine.pt", patch_px=16)})
    for tiles in ([], [tile_of()], [tile_of(OPTICAL)]):
        with pytest.raises(
            ConfigError, match="member 'fine' of ensemble 'ensemble': expected an overlap of 0 to 15 px"
        ):
            ensemble.inference_batched(tiles, options=InferenceConfig(overlap_px=16))
    assert not any(model.calls for model in ensemble.members.values())
    ensemble.inference(tile_of())


def test_very_large_and_very_small_weights_keep_their_ratio(members):
    tile = tile_of()
    both = np.stack([model.values(tile) for model in members.values()]).astype("float64")
    for weights, shares in (
        ((1e308, 1e308), (1, 1)),
        ((1e308, 5e307), (2, 1)),
        ((5e-324, 1e-323), (1, 2)),
        ((5e-324, 1e308), (0, 1)),
        ((1e308, 5e-324), (1, 0)),
    ):
        ensemble = Ensemble(members, weights=dict(zip(members, weights, strict=True)))
        result = ensemble.inference(tile, keep_std=True)
        mean = np.average(both, axis=0, weights=shares)
        np.testing.assert_allclose(result.probabilities.values, mean, atol=1e-7)
        std = np.sqrt(np.average((both - mean) ** 2, axis=0, weights=shares))
        np.testing.assert_allclose(result.probabilities_std.values, std, atol=1e-7)


def test_names_and_weights_that_do_not_fit_are_refused(members):
    with pytest.raises(ConfigError, match="expected at least one member"):
        Ensemble({})
    with pytest.raises(ConfigError, match="a finite number above 0, but got 0"):
        Ensemble(members, weights={"full": 1, "optical": 0})


@pytest.mark.usefixtures("fake_framework")
def test_a_folder_is_loaded_by_name(tmp_path):
    write_model(tmp_path / "b.pt", bias=0.6)
    write_model(tmp_path / "a.pt", bias=0.1, inputs=FULL)
    (tmp_path / "readme.txt").write_text("not a model")
    (tmp_path / ".darts-incomplete-1234-c.pt").write_text("not complete")
    ensemble = Ensemble.load(tmp_path, device="cpu", weights={"a": 1, "b": 2})
    assert list(ensemble.members) == ["a", "b"]
    assert ensemble.members["a"].device == "cpu"
    assert dict(ensemble.weights) == {"a": 1, "b": 2}
    assert ensemble.required_variables == (*FULL, "valid_data_mask")


@pytest.mark.usefixtures("fake_framework")
def test_each_file_is_read_once(tmp_path, monkeypatch):
    files = [write_model(tmp_path / f"{name}.pt") for name in "ab"]
    read = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda path, **named: (read.append(path), load(path, **named))[1])
    Ensemble.load(tmp_path)
    assert read == files


def test_names_and_weights_are_checked_before_any_file_is_read(tmp_path, monkeypatch):
    write_model(tmp_path / "a.pt")
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(ConfigError, match="expected weights for the members a, but got one for b"):
        Ensemble.load(tmp_path, weights={"a": 1, "b": 1})
    with pytest.raises(ConfigError, match="the weight of 'a' to be a finite number above 0, but got 0"):
        Ensemble.load(tmp_path, weights={"a": 0})
    with pytest.raises(ConfigError, match="expected names without '/'"):
        Ensemble.load({"a/b": tmp_path / "a.pt"})


@pytest.mark.usefixtures("fake_framework")
def test_a_member_that_cannot_be_made_names_its_file(tmp_path):
    write_model(tmp_path / "a.pt")
    write_model(tmp_path / "b.pt", bias=-1.0)
    with pytest.raises(CheckpointError, match=r"model file '.*b.pt' cannot be used: expected a bias of at least 0"):
        Ensemble.load(tmp_path)


@pytest.mark.usefixtures("fake_framework")
def test_a_file_a_list_and_a_table(tmp_path):
    first, second = write_model(tmp_path / "first.pt"), write_model(tmp_path / "more" / "second.pt")
    assert list(Ensemble.load(first).members) == ["first"]
    assert list(Ensemble.load(str(first)).members) == ["first"]
    assert list(Ensemble.load([second.parent, first]).members) == ["second", "first"]
    named = Ensemble.load({"x": second, "y": str(first)}, name="both")
    assert [(name, model.name) for name, model in named.members.items()] == [("x", "x"), ("y", "y")]
    assert named.name == "both"


@pytest.mark.usefixtures("fake_framework")
def test_two_files_of_one_name_are_refused(tmp_path):
    write_model(tmp_path / "a" / "full.pt")
    write_model(tmp_path / "b" / "full.pt")
    with pytest.raises(ConfigError, match=r"'.*a/full.pt' and '.*b/full.pt' are both 'full': rename one of the files"):
        Ensemble.load([tmp_path / "a", tmp_path / "b"])


def test_a_file_that_is_named_twice_is_one_member(tmp_path):
    path = write_model(tmp_path / "full.pt")
    assert model_files([path, tmp_path, path]) == {"full": path}


def test_a_run_folder_is_one_model_and_safetensors_are_model_files(tmp_path):
    run = tmp_path / "run.2020"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yml").touch()
    (run / "checkpoints" / "07.pt").touch()
    for name in ("b.safetensors", "b.json", "a.pt", "a.training.json"):
        (tmp_path / name).touch()
    assert model_files(run) == {"run.2020": run}
    assert model_files([run, tmp_path]) == {
        "run.2020": run,
        "a": tmp_path / "a.pt",
        "b": tmp_path / "b.safetensors",
    }
    (tmp_path / "a.safetensors").touch()
    with pytest.raises(ConfigError, match=r"'.*a.pt' and '.*a.safetensors' are both 'a'"):
        model_files(tmp_path)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="expected a model file or a folder at '.*nowhere', but there is none"):
        Ensemble.load(tmp_path / "nowhere")
    with pytest.raises(
        CheckpointError, match=r"expected model files \(\*.pt or \*.safetensors\) in the folder .*, but found none"
    ):
        Ensemble.load(tmp_path)
    for nothing in ([], {}):
        with pytest.raises(CheckpointError, match="expected at least one model file, but got none"):
            Ensemble.load(nothing)
    with pytest.raises(CheckpointError, match="absent.pt' cannot be used: expected a model file, but there is none"):
        Ensemble.load({"absent": tmp_path / "absent.pt"})


def test_a_framework_that_is_not_installed_is_named(tmp_path, monkeypatch):
    entry = importlib.metadata.EntryPoint("smp", "darts_segmentation.segmenter:Segmenter", models.MODEL_GROUP)
    monkeypatch.setattr(models, "model_frameworks", lambda: {"smp": entry})
    path = write_model(tmp_path / "m.pt", framework="other")
    with pytest.raises(UnknownFrameworkError, match=r"model framework 'other' is not installed \(installed: smp\)"):
        Ensemble.load(path)


def test_segmentation_models_take_part(tmp_path):
    """The installed framework, found by its entry point; members of different inputs and patch sizes."""
    networks = pytest.importorskip("darts_segmentation.networks")
    torch.manual_seed(0)
    for name, inputs, patch in (("full", FULL, 64), ("optical", OPTICAL, 32)):
        model = {"arch": "Unet", "encoder_name": "tu-test_resnet", "in_channels": len(inputs)}
        config = {
            "model_framework": "smp",
            "model": model,
            "input_combination": list(inputs),
            "patch_size": patch,
            "normalization": {each: {"offset": 0.0, "scale": 1e-2, "clip": True} for each in inputs},
        }
        write_checkpoint(tmp_path / f"{name}.pt", Checkpoint(config, networks.build_network(model).state_dict()))
    ensemble = Ensemble.load(tmp_path, device="cpu")
    tiles = [tile_of(shape=(70, 40)), tile_of(shape=(20, 90), seed=1)]
    together = ensemble.inference_batched(tiles, options=InferenceConfig(overlap_px=8, batch_size=2), keep_members=True)
    for tile, result in zip(tiles, together, strict=True):
        pair = result[["probabilities-full", "probabilities-optical"]].to_dataarray().mean("variable", skipna=False)
        np.testing.assert_allclose(result.probabilities.values, pair.values, atol=1e-7)
        alone = ensemble.inference(tile, options=InferenceConfig(overlap_px=8, batch_size=2), keep_members=True)
        xr.testing.assert_identical(result, alone)
