import subprocess
import sys

import numpy as np
import pytest
import torch
import xarray as xr

import darts_segmentation
from darts_segmentation import segmenter
from darts_segmentation.networks import build_network
from darts_segmentation.segmenter import Segmenter
from darts_utils.errors import (
    CheckpointError,
    ConfigError,
    DartsWarning,
    DeviceError,
    MissingVariableError,
    TileContractError,
)
from darts_utils.inference import Checkpoint, InferenceConfig, network_input, parse_normalization, write_checkpoint
from darts_utils.models import TileModel, model_class
from darts_utils.testing import assert_verb_contract, example_tile
from darts_utils.tile_io import read_tile, write_tile

INPUTS = ["blue", "green", "red", "nir", "ndvi"]
NETWORK = {
    "arch": "Unet",
    "encoder_name": "tu-test_resnet",
    "encoder_weights": None,
    "in_channels": len(INPUTS),
    "classes": 1,
    "decoder_channels": [96, 64, 32, 16, 16],
}
CONFIG = {
    "model_framework": "smp",
    "name": "full",
    "model": NETWORK,
    "input_combination": INPUTS,
    "patch_size": 64,
    "normalization": {
        **{band: {"offset": 0.0, "scale": 1e-4, "clip": True} for band in INPUTS[:4]},
        "ndvi": {"offset": -1.0, "scale": 0.5, "clip": True},
    },
}


def trained_like(network, seed):
    """Random weights whose logits are spread out, with batch statistics that differ between channels."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.3, 2)
    with torch.no_grad():
        network.segmentation_head[0].weight.mul_(30)
    return network


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(1)
    return trained_like(build_network(NETWORK), 1).state_dict()


@pytest.fixture(scope="module")
def model_file(weights, tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("models") / "full.pt", Checkpoint(CONFIG, weights))


@pytest.fixture(scope="module")
def model(model_file):
    return Segmenter.load(model_file, device="cpu")


def tile_of(shape, seed=0):
    return example_tile([*INPUTS, "valid_data_mask"], shape=shape, seed=seed)


def test_the_public_names():
    assert sorted(darts_segmentation.__all__) == ["Segmenter", "build_network", "convert_model"]
    assert darts_segmentation.Segmenter is Segmenter
    assert darts_segmentation.build_network is build_network
    with pytest.raises(AttributeError, match="has no attribute 'Trainer'"):
        _ = darts_segmentation.Trainer


def test_importing_does_not_import_torch():
    code = "import sys, darts_segmentation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_framework_is_found_through_its_entry_point():
    assert model_class("smp") is Segmenter


def test_it_is_a_tile_model(model):
    assert isinstance(model, TileModel)
    assert model.name == "full"
    assert model.required_variables == (*INPUTS, "valid_data_mask")
    assert model.config["patch_size"] == 64


def test_the_name_can_be_chosen(model_file):
    assert Segmenter.load(model_file, device="cpu", name="other").name == "other"


def test_contract(model):
    result = assert_verb_contract(
        model.inference,
        tile_of((80, 70)),
        adds=["probabilities"],
        needs=[*INPUTS, "valid_data_mask"],
        nodata_where="valid_data_mask",
    )
    assert result.probabilities.std() > 0.05
    assert result.probabilities.attrs["source"] == "segmentation model 'full'"


def test_one_patch_is_what_the_network_says(model, weights):
    tile = tile_of((64, 64))
    network = build_network(NETWORK)
    network.load_state_dict(weights)
    image = network_input(tile, normalization=parse_normalization(CONFIG, variables=INPUTS))
    with torch.inference_mode():
        logits = network.eval()(torch.from_numpy(image)[None])
    expected = torch.sigmoid(logits)[0, 0].numpy()
    valid = tile.valid_data_mask.values
    found = model.inference(tile).probabilities.values
    np.testing.assert_allclose(found[valid], expected[valid], atol=5e-5)  # the logits are thirtyfold on purpose


def test_results_do_not_depend_on_batch_mates_nor_on_the_place_in_the_batch(model):
    """Bit for bit: every batch has one shape, so the convolutions run the same code for every patch."""
    options = InferenceConfig(overlap_px=20, batch_size=4)
    tile = tile_of((130, 90))
    alone = model.inference(tile, options=options)
    for mates in ([(1, 1)], [(64, 64), (70, 20)], [(65, 65)], [(200, 64), (3, 99)]):
        others = [tile_of(shape, seed=7 + number) for number, shape in enumerate(mates)]
        together = model.inference_batched([*others, tile, *others], options=options)
        xr.testing.assert_identical(together[len(others)], alone)
        for first, second in zip(together[: len(others)], together[len(others) + 1 :], strict=True):
            xr.testing.assert_identical(first, second)


def test_loading_again_gives_the_same_bits(model, model_file):
    tile = tile_of((70, 70))
    xr.testing.assert_identical(Segmenter.load(model_file, device="cpu").inference(tile), model.inference(tile))


def test_backends_give_the_same(model, backend):
    tile = tile_of((40, 70))
    found = model.inference(backend.tile(tile)).probabilities
    np.testing.assert_array_equal(backend.values(found), model.inference(tile).probabilities.values)


def test_a_network_is_compiled_once_when_asked(model, monkeypatch):
    compiled = []

    def compile_network(network, **_):
        compiled.append(network)
        return network

    monkeypatch.setattr(torch, "compile", compile_network)
    tile = tile_of((64, 64))
    expected = model.inference(tile)
    for _ in range(2):
        xr.testing.assert_identical(model.inference(tile, options=InferenceConfig(compile_network=True)), expected)
    assert len(compiled) == 1


@pytest.mark.slow
def test_a_compiled_network_says_the_same(model_file):
    tile = tile_of((64, 64))
    model = Segmenter.load(model_file, device="cpu")
    found = model.inference(tile, options=InferenceConfig(compile_network=True)).probabilities.values
    np.testing.assert_allclose(found, model.inference(tile).probabilities.values, atol=1e-4)


@pytest.mark.gpu
def test_a_cuda_device_gives_the_same_to_rounding(model, model_file):
    tile = tile_of((200, 150))
    found = Segmenter.load(model_file, device="cuda").inference(tile).probabilities.values
    np.testing.assert_allclose(found, model.inference(tile).probabilities.values, atol=0.02)


def test_the_patch_size_is_an_option(model):
    tile = tile_of((64, 64))
    smaller = model.inference(tile, options=InferenceConfig(patch_px=32, overlap_px=8))
    assert not smaller.probabilities.equals(model.inference(tile).probabilities)
    with pytest.raises(
        ConfigError, match="expected patch_px to be divisible by 32, the stride of model 'full', but got 50"
    ):
        model.inference(tile, options=InferenceConfig(patch_px=50))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (InferenceConfig(overlap_px=64), "options do not fit model 'full': expected an overlap of 0 to 63 px"),
        (
            InferenceConfig(patch_px=32, overlap_px=40),
            "options do not fit model 'full': expected an overlap of 0 to 31",
        ),
        (
            InferenceConfig(patch_px=48),
            "expected patch_px to be divisible by 32, the stride of model 'full', but got 48",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused_with_and_without_tiles(model, options, message):
    for tiles in ([], [tile_of((9, 9))], [tile_of((9, 9)).drop_vars("ndvi")]):
        with pytest.raises(ConfigError, match=message):
            model.inference_batched(tiles, options=options)


def test_symmetries_are_refused_of_a_model_whose_input_has_a_direction(weights, tmp_path):
    config = {
        **CONFIG,
        "input_combination": [*INPUTS[:4], "aspect"],
        "normalization": {**CONFIG["normalization"], "aspect": {"offset": 0.0, "scale": 1 / 360, "clip": True}},
    }
    model = Segmenter.load(write_checkpoint(tmp_path / "m.pt", Checkpoint(config, weights)), device="cpu")
    assert model.inference_batched([]) == []
    with pytest.raises(
        ConfigError, match="options do not fit model 'm': .* the values of aspect depend on where north"
    ):
        model.inference_batched([], options=InferenceConfig(symmetries=True))


def test_options_need_not_be_named_for_small_patches(weights, tmp_path):
    path = write_checkpoint(tmp_path / "m.pt", Checkpoint({**CONFIG, "patch_size": 32}, weights))
    tile = tile_of((40, 40))
    model = Segmenter.load(path, device="cpu")
    named = model.inference(tile, options=InferenceConfig(patch_px=32, overlap_px=4))
    xr.testing.assert_identical(model.inference(tile), named)


def test_a_missing_variable_stops_a_list_before_any_work(model, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("work was done")

    monkeypatch.setattr("darts_segmentation.segmenter.predict_probabilities", refuse)
    tiles = [tile_of((9, 9)), tile_of((9, 9)).drop_vars("ndvi")]
    with pytest.raises(MissingVariableError, match="model 'full' needs 'ndvi'"):
        model.inference_batched(tiles)


@pytest.fixture(scope="module")
def wide(weights):
    """A model whose last input is elevation relative to the mean within 300 m."""
    inputs = [*INPUTS[:4], "relative_elevation"]
    scalings = dict.fromkeys(inputs, CONFIG["normalization"]["red"])
    config = {**CONFIG, "input_combination": inputs, "normalization": scalings, "relative_elevation_radius_m": 300.0}
    return Segmenter(Checkpoint(config, weights), name="wide", device="cpu")


def test_elevation_relative_to_other_surroundings_is_refused(wide, tmp_path):
    tile = example_tile([*INPUTS[:4], "dem", "valid_data_mask"], shape=(40, 40)).assign_attrs(tile_id="t1")
    heights = tile.dem.copy(data=np.zeros((40, 40), "float32"))
    for outer_m, message in (
        (300.0, None),
        (100.0, "that of tile 't1' is relative to the mean within 100 m: make the"),
    ):
        path = tmp_path / f"{outer_m}.nc"
        made = heights.assign_attrs(outer_radius_m=outer_m, inner_radius_m=0.0, source="dem", units="m")
        write_tile(tile.assign(relative_elevation=made), path)
        if message is None:
            assert wide.inference(read_tile(path)).probabilities.notnull().any()
        else:
            with pytest.raises(TileContractError, match=message):
                wide.inference_batched([read_tile(path)])
    with pytest.warns(DartsWarning, match="of model 'wide' is .* within 300 m, and tile 't1' does not say which one"):
        wide.inference(tile.assign(relative_elevation=heights))


def test_counts_of_the_sensor_are_refused(model):
    tile = tile_of((20, 20))
    tile.nir.attrs.update(reflectance_scale=1e-4, reflectance_offset=-0.1)
    with pytest.raises(
        TileContractError, match="model 'full' needs reflectance × 10 000 in 'nir'; tile .*: run prepro"
    ):
        model.inference_batched([tile_of((9, 9)), tile])


def test_each_required_variable_is_named_once(weights):
    inputs = [*INPUTS[:4], "valid_data_mask"]
    scalings = dict.fromkeys(inputs, CONFIG["normalization"]["red"])
    checkpoint = Checkpoint({**CONFIG, "input_combination": inputs, "normalization": scalings}, weights)
    assert Segmenter(checkpoint, name="m", device="cpu").required_variables == tuple(inputs)


def test_no_tile_gives_no_result(model):
    assert model.inference_batched([]) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_framework": "yolo"}, "expected a checkpoint of the framework 'smp', but got 'yolo'"),
        ({"patch_size": 100}, "expected patch_size to be divisible by the network's stride of 32 px, but got 100"),
        (
            {
                "relative_elevation_radius_m": 0,
                "input_combination": [*INPUTS[:4], "relative_elevation"],
                "normalization": {**CONFIG["normalization"], "relative_elevation": {"offset": 0.0, "scale": 0.01}},
            },
            "expected relative_elevation_radius_m to be metres above 0, .* but got 0",
        ),
        ({"model": {**NETWORK, "in_channels": 10**40}}, "expected in_channels to be 5, .*, but got 1000"),
        ({"model": {**NETWORK, "in_channels": 7}}, "expected in_channels to be 5, one for each of blue, .*, but got 7"),
        (
            {"model": {**NETWORK, "decoder_channels": [8, 8, 8, 8, 8]}},
            "expected the weights .* has shape .* and [0-9]+ more: weights",
        ),
        ({"model": {**NETWORK, 1: 2}}, r"expected the arguments in model to have names \(text\), but got \[1\]"),
        ({"normalization": None}, "expected a normalization in the checkpoint's config, but got none"),
    ],
)
def test_a_checkpoint_that_does_not_fit_together_names_file_and_reason(tmp_path, weights, changes, message):
    path = tmp_path / "odd.pt"
    torch.save({"config": {**CONFIG, **changes}, "statedict": weights}, path)
    with pytest.raises(CheckpointError, match=rf"model file '.*odd.pt' cannot be used: {message}"):
        Segmenter.load(path, device="cpu")


def checkpoint_of(patch_px, **model):
    config = {"encoder_name": "resnet18", "in_channels": len(INPUTS), **model}
    return Checkpoint({**CONFIG, "model": config, "patch_size": patch_px}, build_network(config).state_dict())


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"arch": "PAN"}, "RuntimeError: Given input size: .* Output size is too small"),
        ({"arch": "Unet", "decoder_interpolation": "zz"}, "NotImplementedError: Input Error: .*got zz"),
        ({"arch": "FPN", "upsampling": 2}, r".*shape \(1, 1, 64, 64\), but got \(1, 1, 32, 32\)"),
        ({"arch": "DPT", "encoder_name": "tu-vit_tiny_patch16_224"}, "AssertionError: Input height .*64.* match"),
    ],
)
def test_a_network_that_cannot_work_on_its_patches_is_not_loaded(tmp_path, model, reason):
    path = write_checkpoint(tmp_path / "odd.pt", checkpoint_of(64, **model))
    with pytest.raises(
        CheckpointError, match=f"odd.pt' cannot be used: the network does not fit patches of 64 px[,:] {reason}"
    ):
        Segmenter.load(path, device="cpu")


def test_a_patch_size_that_the_network_cannot_work_on_is_refused_before_any_work():
    model = Segmenter(checkpoint_of(256, arch="PAN"), name="pan", device="cpu")
    tiles = [tile_of((9, 9)).drop_vars("ndvi")]
    with pytest.raises(
        ConfigError, match="options do not fit model 'pan': the network does not fit patches of 64 px, Run"
    ):
        model.inference_batched(tiles, options=InferenceConfig(patch_px=64))


def test_each_patch_size_is_tried_once(weights, monkeypatch):
    tried = []
    check = segmenter.check_network
    monkeypatch.setattr(
        segmenter, "check_network", lambda *args, **named: (tried.append(named["patch_px"]), check(*args, **named))
    )
    model = Segmenter(Checkpoint(CONFIG, weights), name="full", device="cpu")
    for patch_px in (None, 32, 64, 32, None):
        model.inference_batched([], options=InferenceConfig(patch_px=patch_px))
    assert tried == [64, 32]


def test_a_device_that_is_not_there_is_refused(model_file):
    with pytest.raises(DeviceError, match="expected the device"):
        Segmenter.load(model_file, device="abacus")
