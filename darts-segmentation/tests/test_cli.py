"""Commands over tile files and model files, as a user calls them."""

import inspect
import json
from dataclasses import fields

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from darts_segmentation import Segmenter, build_network, convert_model
from darts_segmentation.cli import segment
from darts_utils.cli import app
from darts_utils.errors import CheckpointError, OutputError, UnknownFrameworkError
from darts_utils.inference import Checkpoint, InferenceConfig, read_checkpoint, write_checkpoint
from darts_utils.testing import example_tile
from darts_utils.tile_io import read_tile, write_tile

NETWORK = {"arch": "Unet", "encoder_name": "tu-test_resnet", "in_channels": 2}
FACTORS = {"red": 1 / 3000, "slope": 1 / 90}
CONFIG = {
    "model_framework": "smp",
    "model": NETWORK,
    "input_combination": ["red", "slope"],
    "patch_size": 64,
    "normalization": {name: {"offset": 0.0, "scale": factor, "clip": True} for name, factor in FACTORS.items()},
    "training": {"seed": 3, "iou": 0.75},
}


def darts(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(1)
    return build_network(NETWORK).state_dict()


@pytest.fixture
def model_file(tmp_path, weights):
    return write_checkpoint(tmp_path / "small.pt", Checkpoint(CONFIG, weights))


@pytest.fixture
def older_file(tmp_path, weights):
    config = {"model": NETWORK, "input_combination": ["red", "slope"], "norm_factors": FACTORS, "patch_size": 64}
    torch.save({"config": config, "statedict": weights}, tmp_path / "older.pt")
    return tmp_path / "older.pt"


@pytest.fixture
def tiles(tmp_path):
    folder = tmp_path / "tiles"
    for number, shape in enumerate([(70, 40), (30, 64), (10, 10)]):
        tile = example_tile(["red", "slope", "valid_data_mask"], shape=shape, seed=number)
        write_tile(tile.assign_attrs(tile_id=f"t{number}"), folder / f"t{number}.nc")
    return folder


def test_every_option_of_inference_is_an_option_of_the_command():
    assert {field.name for field in fields(InferenceConfig)} <= set(inspect.signature(segment).parameters)


def test_segment(model_file, tiles, tmp_path):
    result = darts("segment", tiles, "--model", model_file, "--out", tmp_path / "out", "--overlap-px", 16)
    assert result.exit_code == 0, result.output
    assert "segment: 3 of 3 done" in result.output
    model = Segmenter.load(model_file, device="cpu")
    for number in range(3):
        found = read_tile(tmp_path / "out" / f"t{number}.nc")
        alone = model.inference(read_tile(tiles / f"t{number}.nc"), options=InferenceConfig(overlap_px=16))
        np.testing.assert_array_equal(found.probabilities, alone.probabilities)


def test_a_tile_that_fails_does_not_stop_its_group(model_file, tiles, tmp_path):
    tile = example_tile(["red", "valid_data_mask"], shape=(9, 9)).assign_attrs(tile_id="t1")
    write_tile(tile, tiles / "t1.nc")
    (tiles / "t3.nc").write_bytes(b"half a tile")
    result = darts("segment", tiles, "--model", model_file, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "segment: 2 of 4 done" in result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["t0.nc", "t2.nc"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--overlap-px", 64], "options do not fit model 'small': expected an overlap of 0 to 63 px"),
        (["--patch-px", 50], "expected patch_px to be divisible by 32, the stride of model 'small', but got 50"),
        (["--ramp", "steep"], "expected ramp to be one of open, closed, but got 'steep'"),
        (["--device", "abacus"], "expected the device 'auto', 'cpu', 'cuda' or 'cuda:N', but got 'abacus'"),
    ],
)
def test_options_that_do_not_fit_stop_the_command(model_file, tiles, tmp_path, arguments, message):
    result = darts("segment", tiles, "--model", model_file, "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_inspect_says_what_a_model_is_and_how_it_was_normalised(older_file):
    result = darts("model", "inspect", older_file)
    assert result.exit_code == 0, result.output
    for words in (
        "framework    smp",
        "Unet, encoder tu-test_resnet",
        "trained on   DN/3000; patches of 64 px",
        "needs        a preprocessed scene and an elevation model",
        "red    DN/3000, where DN is reflectance × 10 000; clipped to 0 … 1",
        "slope  slope/90, in degree; clipped to 0 … 1",
        "older shape  norm_factors",
    ):
        assert words in result.output


def test_inspect_as_json(model_file, weights):
    result = darts("model", "inspect", model_file, "--json", "--no-check")
    found = json.loads(result.output)
    assert found["framework"] == "smp"
    assert found["trained_on"] == "DN/3000"
    assert list(found["inputs"]) == ["red", "slope"]
    assert found["parameters"] == sum(parameter.numel() for parameter in build_network(NETWORK).parameters())
    assert found["notes"] == {"training": {"seed": 3, "iou": 0.75}}
    assert found["converted_from"] is None


def test_inspect_fails_where_weights_do_not_fit(tmp_path, weights):
    other = {**CONFIG, "model": {**NETWORK, "arch": "FPN"}}
    path = write_checkpoint(tmp_path / "odd.pt", Checkpoint(other, weights))
    result = darts("model", "inspect", path)
    assert result.exit_code == 2
    assert "expected the weights of the network that config['model'] describes" in result.output
    assert darts("model", "inspect", path, "--no-check").exit_code == 0


def test_a_file_of_today_without_normalization_is_named(tmp_path, weights):
    config = {key: value for key, value in CONFIG.items() if key != "normalization"}
    path, target = tmp_path / "unsaid.pt", tmp_path / "said.pt"
    torch.save({"config": config, "statedict": weights}, path)
    commands = [
        ("model", "inspect", path),
        ("model", "inspect", path, "--no-check"),
        ("model", "convert", path, target),
        ("model", "convert", path, target, "--no-check"),
        ("segment", tmp_path, "--model", path, "--out", tmp_path / "out"),
    ]
    write_tile(example_tile(["red", "slope", "valid_data_mask"], shape=(9, 9)), tmp_path / "t.nc")
    for command in commands:
        result = darts(*command)
        assert result.exit_code == 2
        assert f"model file '{path}' cannot be used: expected a normalization" in result.output
        assert "darts model convert IN OUT --legacy-normalization NAME" in result.output
    assert not target.exists()
    assert darts("model", "convert", path, target, "--legacy-normalization", "dn3000").exit_code == 0
    assert "trained on   DN/3000" in darts("model", "inspect", target).output


def test_no_tile_at_all_is_said_before_the_model_is_loaded(tmp_path):
    (tmp_path / "empty").mkdir()
    result = darts("segment", tmp_path / "empty", "--model", tmp_path / "gone.pt", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "gone.pt" not in result.output
    assert "empty" in result.output


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_convert(older_file, tmp_path, suffix):
    target = tmp_path / "new" / f"model{suffix}"
    result = darts("model", "convert", older_file, target)
    assert result.exit_code == 0, result.output
    assert str(target) in result.output
    assert target.with_suffix(".json").exists() is (suffix == ".safetensors")
    tile = example_tile(["red", "slope", "valid_data_mask"], shape=(70, 65))
    old, new = (Segmenter.load(path, device="cpu").inference(tile).probabilities for path in (older_file, target))
    np.testing.assert_array_equal(old, new)


def test_convert_a_run_folder(tmp_path, weights):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    six = build_network({**NETWORK, "in_channels": 5}).state_dict()
    torch.save({f"module.{name}": tensor for name, tensor in six.items()}, run / "checkpoints" / "02.pt")
    model = {"architecture": "Unet", "encoder": "tu-test_resnet", "encoder_weights": "random", "input_channels": 5}
    (run / "config.yml").write_text(yaml.safe_dump({"model": model, "data_sources": ["planet", "slope"]}))
    assert darts("model", "convert", run, tmp_path / "m.pt").exit_code == 2
    result = darts("model", "convert", run, tmp_path / "m.pt", "--legacy-normalization", "dn3000", "--no-check")
    assert result.exit_code == 0, result.output
    checkpoint = read_checkpoint(tmp_path / "m.pt")
    assert checkpoint.input_combination == ("blue", "green", "red", "nir", "slope")
    assert Segmenter(Checkpoint({**checkpoint.config, "patch_size": 64}, checkpoint.statedict), name="m", device="cpu")


def test_convert_replaces_nothing_unless_asked(older_file, model_file, tmp_path):
    before = model_file.read_bytes()
    with pytest.raises(OutputError, match=r"expected '.*small.pt' not to exist, but it does: .* --overwrite"):
        convert_model(older_file, model_file)
    assert model_file.read_bytes() == before
    assert convert_model(older_file, model_file, overwrite=True) == [model_file]
    assert read_checkpoint(model_file).config["converted_from"]["shape"] == "norm_factors"
    (tmp_path / "m.json").write_text("{}")
    with pytest.raises(OutputError, match=r"expected '.*m.json' not to exist"):
        convert_model(older_file, tmp_path / "m.safetensors")


def test_convert_into_another_ending_is_refused(older_file, tmp_path):
    with pytest.raises(OutputError, match=r"expected a model file to end in .pt or .safetensors, but got '.*m.ckpt'"):
        convert_model(older_file, tmp_path / "m.ckpt")


def test_convert_writes_only_what_can_be_used(tmp_path, weights):
    path = write_checkpoint(tmp_path / "odd.pt", Checkpoint({**CONFIG, "patch_size": 50}, weights))
    with pytest.raises(CheckpointError, match=r"odd.pt' cannot be used: expected patch_size to be divisible"):
        convert_model(path, tmp_path / "new.pt")
    path = write_checkpoint(tmp_path / "yolo.pt", Checkpoint({**CONFIG, "model_framework": "yolo"}, weights))
    with pytest.raises(UnknownFrameworkError, match="model framework 'yolo' is not installed"):
        convert_model(path, tmp_path / "new.pt")
    assert not (tmp_path / "new.pt").exists()
    assert convert_model(path, tmp_path / "new.pt", check=False) == [tmp_path / "new.pt"]
