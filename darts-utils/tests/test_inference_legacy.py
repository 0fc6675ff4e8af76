"""Older shapes of model files: for each, the network input of a known tile, worked out by hand from the documented formula.

Provenance of the numbers: the pixels below were put into the formulas of the tile contract with pen and paper; nothing here
was computed by the code under test.
"""

import numpy as np
import pytest
import torch
import yaml

from darts_utils.errors import CheckpointError
from darts_utils.inference import (
    LEGACY_NORMALIZATIONS,
    network_input,
    parse_normalization,
    read_checkpoint,
    write_checkpoint,
)
from darts_utils.inference.legacy.scalings import legacy_scalings, stated_scaling
from darts_utils.testing import example_tile

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")  # torch, on its way to refuse

WEIGHTS = {"layer.weight": torch.ones(2, 3), "layer.bias": torch.zeros(2)}
NETWORK = {"arch": "Unet", "encoder_name": "resnet34", "encoder_weights": "imagenet", "in_channels": 3, "classes": 1}

PIXELS = {
    "blue": [0, 600, 1500, 3000, 9000],
    "green": [300, 900, 1800, 3300, 9300],
    "red": [150, 750, 1650, 3150, 9150],
    "nir": [1200, 2400, 2700, 4500, 12000],
    "ndvi": [-1.0, -0.5, 0.0, 0.8, np.nan],
    "relative_elevation": [-50.0, -20.0, 0.0, 25.0, 80.0],
    "slope": [0.0, 9.0, 45.0, 90.0, np.nan],
    "tc_brightness": [0, 51, 102, 204, 255],
    "tc_greenness": [255, 0, 51, 102, 204],
    "tc_wetness": [204, 255, 0, 51, 102],
}
"""Tile units: bands are reflectance × 10 000, relative elevation is in metres, slope in degrees."""

DN_3000 = {
    "blue": [0, 0.2, 0.5, 1, 3],
    "green": [0.1, 0.3, 0.6, 1.1, 3.1],
    "red": [0.05, 0.25, 0.55, 1.05, 3.05],
    "nir": [0.4, 0.8, 0.9, 1.5, 4],
}
"""Reflectance × 10 000 / 3000, not clipped."""

REST = {
    "ndvi": [0, 0.25, 0.5, 0.9, 0],  # (ndvi + 1) · 10 000 / 20 000; no value is 0
    "slope": [0, 0.1, 0.5, 1, 0],  # / 90
    "tc_brightness": [0, 0.2, 0.4, 0.8, 1],  # / 255
    "tc_greenness": [1, 0, 0.2, 0.4, 0.8],
    "tc_wetness": [0.8, 1, 0, 0.2, 0.4],
}
TPI_50 = [0, 0.3, 0.5, 0.75, 1.3]  # (m + 50) / 100
TPI_300 = [-0.2, 0.1, 0.3, 0.55, 1.1]  # (m + 30) / 100


def clipped(values):
    return [min(max(value, 0), 1) for value in values]


def golden_tile():
    tile = example_tile(list(PIXELS), shape=(1, 5))
    for name, values in PIXELS.items():
        tile[name][:] = [values]
    return tile


def save(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def assert_input(checkpoint, expected):
    """The network sees exactly these channels; also after the checkpoint was written in today's shape."""
    assert checkpoint.input_combination == tuple(expected)
    normalization = parse_normalization(checkpoint.config, variables=checkpoint.input_combination)
    image = network_input(golden_tile(), normalization=normalization)
    np.testing.assert_allclose(image[:, 0], list(expected.values()), atol=2e-7)


def assert_converted(path, expected, tmp_path, **options):
    checkpoint = read_checkpoint(path, **options)
    assert_input(checkpoint, expected)
    assert {name: tuple(tensor.shape) for name, tensor in checkpoint.statedict.items()} == {
        name: tuple(tensor.shape) for name, tensor in WEIGHTS.items()
    }
    for suffix in (".pt", ".safetensors"):
        again = read_checkpoint(write_checkpoint(tmp_path / f"converted{suffix}", checkpoint))
        assert_input(again, expected)
        assert again.config == checkpoint.config
    return checkpoint


def test_norm_factors(tmp_path):
    factors = {"red": 1 / 3000, "nir": 1 / 3000, "ndvi": 0.5, "slope": 1 / 90, "tc_wetness": 1 / 255, "unused": 7}
    config = {"model": NETWORK, "input_combination": ["red", "ndvi", "slope", "tc_wetness"], "norm_factors": factors}
    expected = {
        "red": [0.05, 0.25, 0.55, 1, 1],
        "ndvi": [0, 0, 0, 0.4, 0],  # ndvi · 0.5, clipped
        "slope": REST["slope"],
        "tc_wetness": REST["tc_wetness"],
    }
    checkpoint = assert_converted(save(tmp_path / "m.pt", {"config": config, "statedict": WEIGHTS}), expected, tmp_path)
    assert checkpoint.framework == "smp"
    assert checkpoint.patch_px == 1024
    assert checkpoint.config["converted_from"]["shape"] == "norm_factors"
    assert checkpoint.config["converted_from"]["stated"] == {"norm_factors": factors}
    assert "norm_factors" not in checkpoint.config


def test_norm_factors_of_stored_indices_and_elevation(tmp_path):
    """Older tiles held (ndvi + 1) · 10 000 and (m + 50) · 300 or (m + 30) · 300."""
    factors = {"red": 1 / 3000, "ndvi": 1 / 20_000, "relative_elevation": 1 / 30_000}
    config = {"model": NETWORK, "input_combination": list(factors), "norm_factors": factors, "patch_size": 512}
    path = save(tmp_path / "m.pt", {"config": config, "statedict": WEIGHTS})
    with pytest.raises(
        CheckpointError, match=r"m.pt' cannot be used: expected to be told how relative_elevation was stored.*tpi300"
    ):
        read_checkpoint(path)
    for chosen, elevation in (("dn3000+tpi50", TPI_50), ("dn3000+tpi300", TPI_300)):
        expected = {
            "red": clipped(DN_3000["red"]),
            "ndvi": REST["ndvi"],
            "relative_elevation": clipped(elevation),
        }
        checkpoint = assert_converted(path, expected, tmp_path, legacy_normalization=chosen)
        assert checkpoint.patch_px == 512
        assert checkpoint.config["converted_from"]["legacy_normalization"] == chosen
        assert checkpoint.config.get("relative_elevation_radius_m") == (300 if chosen.endswith("300") else None)
    with pytest.raises(CheckpointError, match=r"expected 'reflectance\+tpi50' to agree with the file, but for red"):
        read_checkpoint(path, legacy_normalization="reflectance+tpi50")
    with pytest.raises(CheckpointError, match="expected to be told how relative_elevation was stored"):
        read_checkpoint(path, legacy_normalization="dn3000")


SECOND_GENERATION = {
    "red": [0.191667, 0.291667, 0.441667, 0.691667, 1],  # (0.015 + 0.1) / 0.6, …
    "ndvi": REST["ndvi"],
    "slope": REST["slope"],
}


@pytest.mark.parametrize(
    "bands",
    [
        {
            "bands": {
                "bands": ["red", "ndvi", "slope"],
                "factors": [1 / 0.6, 0.5, 1 / 90],
                "offsets": [0.1 / 0.6, 0.5, 0],
            }
        },
        {
            "bands": {
                "bands": ["red", "ndvi", "slope"],
                "band_factors": [1 / 6000, 0.5, 1 / 90],
                "band_offsets": [1 / 6, 0.5, 0.0],
            }
        },
        {
            "bands": ["red", "ndvi", "slope"],
            "band_factors": [1 / 0.6, 1 / 20_000, 1 / 90],
            "band_offsets": [1 / 6, 0.0, 0.0],
        },
    ],
)
def test_bands_with_factors_and_offsets(tmp_path, bands):
    path = save(tmp_path / "m.pt", {"config": {"model": NETWORK, **bands}, "statedict": WEIGHTS})
    checkpoint = read_checkpoint(path)
    image = network_input(
        golden_tile(), normalization=parse_normalization(checkpoint.config, variables=checkpoint.input_combination)
    )
    np.testing.assert_allclose(image[:, 0], list(SECOND_GENERATION.values()), atol=1e-6)
    assert checkpoint.config["converted_from"]["shape"] == "bands with factors"


class Bands(list):
    """Older configs held an object that is saved as ``dict(...)``."""

    def __reduce__(self):
        return dict, ({"bands": ["red"], "band_factors": [1 / 3000], "band_offsets": [0.0]},)


def test_bands_that_were_saved_as_a_call_of_dict(tmp_path):
    path = save(tmp_path / "m.pt", {"config": {"model": NETWORK, "bands": Bands()}, "statedict": WEIGHTS})
    assert_input(read_checkpoint(path), {"red": clipped(DN_3000["red"])})


def test_bands_by_name_do_not_say_how_they_were_scaled(tmp_path):
    names = ["blue", "ndvi", "slope"]
    path = save(tmp_path / "m.pt", {"config": {"model": NETWORK, "bands": names}, "statedict": WEIGHTS})
    with pytest.raises(
        CheckpointError,
        match=r"m.pt' cannot be used: expected a normalization of blue, ndvi, slope, but got none \(bands by name\), and two "
        r"generations of models exist .* legacy_normalization= or `darts model convert IN OUT --legacy-normalization NAME`",
    ):
        read_checkpoint(path)
    first = {"blue": [0, 0.2, 0.5, 1, 1], "ndvi": REST["ndvi"], "slope": REST["slope"]}
    assert_converted(path, first, tmp_path, legacy_normalization="dn3000")
    second = {**first, "blue": [1 / 6, 0.16 / 0.6, 0.25 / 0.6, 0.4 / 0.6, 1]}  # (reflectance + 0.1) / 0.6, clipped
    assert_converted(path, second, tmp_path, legacy_normalization="reflectance")


def test_a_config_without_any_normalization_needs_the_users_word(tmp_path):
    config = {"model_framework": "smp", "model": NETWORK, "input_combination": ["green"], "patch_size": 256}
    path = save(tmp_path / "m.pt", {"config": config, "statedict": WEIGHTS})
    with pytest.raises(CheckpointError, match="expected a normalization in the checkpoint's config, but got none"):
        parse_normalization(read_checkpoint(path).config, variables=["green"])
    checkpoint = assert_converted(path, {"green": clipped(DN_3000["green"])}, tmp_path, legacy_normalization="dn3000")
    assert checkpoint.patch_px == 256


def test_lightning(tmp_path):
    config = {
        "model": NETWORK,
        "input_combination": ["red", "slope"],
        "norm_factors": {"red": 1 / 3000, "slope": 1 / 90},
    }
    prefixed = {f"model.{name}": tensor for name, tensor in WEIGHTS.items()}
    content = {
        "pytorch-lightning_version": "2.5",
        "epoch": 12,
        "global_step": 345,
        "state_dict": {**prefixed, "loss_fn.weight": torch.ones(1)},
        "hyper_parameters": {"config": config, "learning_rate": 1e-3, "gamma": 0.9},
        "optimizer_states": [{}],
    }
    expected = {"red": clipped(DN_3000["red"]), "slope": REST["slope"]}
    checkpoint = assert_converted(save(tmp_path / "last.ckpt", content), expected, tmp_path)
    assert checkpoint.config["converted_from"]["shape"] == "Lightning, norm_factors"
    assert checkpoint.config["training"] == {"epoch": 12, "global_step": 345, "learning_rate": 1e-3, "gamma": 0.9}


def test_lightning_with_a_config_of_today_and_a_compiled_network(tmp_path):
    config = {
        "model_framework": "smp",
        "model": NETWORK,
        "input_combination": ["red"],
        "patch_size": 64,
        "normalization": {"red": {"offset": 0.0, "scale": 1e-4, "clip": True}},
    }
    prefixed = {f"model._orig_mod.{name}": tensor for name, tensor in WEIGHTS.items()}
    content = {"state_dict": prefixed, "hyper_parameters": {"config": config}}
    checkpoint = read_checkpoint(save(tmp_path / "last.ckpt", content))
    assert set(checkpoint.statedict) == set(WEIGHTS)
    assert_input(checkpoint, {"red": [0.015, 0.075, 0.165, 0.315, 0.915]})


class Hyperparameters(dict):
    """Stands for the objects of its own in which Lightning sometimes keeps hyper-parameters."""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3}, "expected hyper_parameters of the checkpoint of Lightning to hold config, but it holds nothing"),
        ({"hyper_parameters": {"lr": 1}, "state_dict": {}}, "to hold config, but it holds lr"),
        ({"hyper_parameters": {"config": {}}}, "expected the checkpoint of Lightning to have state_dict, but it has"),
        (
            {"hyper_parameters": {"config": {}}, "state_dict": WEIGHTS},
            "expected weights with the prefix 'model.' in the checkpoint of Lightning, but got layer.weight, layer.bias",
        ),
        (
            {"hyper_parameters": Hyperparameters(config={}), "state_dict": WEIGHTS},
            "expected plain data in a checkpoint of Lightning, but its hyper_parameters hold objects",
        ),
    ],
)
def test_lightning_that_cannot_be_used(tmp_path, content, message):
    path = save(tmp_path / "last.ckpt", {"pytorch-lightning_version": "2.5", **content})
    with pytest.raises(CheckpointError, match=rf"last.ckpt' cannot be used: .*{message}"):
        read_checkpoint(path)


RUN_CONFIG = {
    "model": {
        "architecture": "UnetPlusPlus",
        "encoder": "resnet50",
        "encoder_weights": "imagenet",
        "input_channels": 10,
    },
    "data_sources": ["tcvis", "planet", "slope", "relative_elevation", "ndvi"],
    "batch_size": 4,
}


def run_folder(tmp_path, *, epochs=(3, 7), prefix="module.", **changes):
    folder = tmp_path / "2021-06-29_18-12-03"
    (folder / "checkpoints").mkdir(parents=True)
    for epoch in epochs:
        weights = {f"{prefix}{name}": tensor + epoch for name, tensor in WEIGHTS.items()}
        save(folder / "checkpoints" / f"{epoch:02d}.pt", weights)
    (folder / "config.yml").write_text(yaml.safe_dump({**RUN_CONFIG, **changes}))
    return folder


@pytest.mark.parametrize("prefix", ["", "module."])
def test_run_folders(tmp_path, prefix):
    """Channels in alphabetical order of the sources; divided by constants, never clipped."""
    folder = run_folder(tmp_path, prefix=prefix)
    for chosen, elevation in (("dn3000+tpi50", TPI_50), ("dn3000+tpi300", TPI_300)):
        expected = {
            "ndvi": REST["ndvi"],
            **DN_3000,
            "relative_elevation": elevation,
            **{name: REST[name] for name in ("slope", "tc_brightness", "tc_greenness", "tc_wetness")},
        }
        checkpoint = assert_converted(folder, expected, tmp_path, legacy_normalization=chosen)
        assert checkpoint.config["model"] == {
            "arch": "UnetPlusPlus",
            "encoder_name": "resnet50",
            "encoder_weights": None,
            "in_channels": 10,
            "classes": 1,
        }
        assert checkpoint.patch_px == 1024
        assert checkpoint.config["training"] == {"epoch": 7}
        torch.testing.assert_close(checkpoint.statedict["layer.bias"], torch.full((2,), 7.0))


def test_one_epoch_of_a_run(tmp_path):
    folder = run_folder(tmp_path)
    checkpoint = read_checkpoint(folder / "checkpoints" / "03.pt", legacy_normalization="dn3000+tpi50")
    torch.testing.assert_close(checkpoint.statedict["layer.bias"], torch.full((2,), 3.0))


def test_a_run_without_relative_elevation(tmp_path):
    model = {**RUN_CONFIG["model"], "input_channels": 5}
    folder = run_folder(tmp_path, data_sources=["planet", "slope"], model=model)
    expected = {**DN_3000, "slope": REST["slope"]}
    assert_converted(folder, expected, tmp_path, legacy_normalization="dn3000")


@pytest.mark.parametrize(
    ("changes", "chosen", "message"),
    [
        ({}, None, "expected to be told how the inputs of this run folder .* were scaled, because it does not say"),
        ({}, "dn3000", "expected to be told how relative_elevation was scaled, but 'dn3000' does not say"),
        ({}, "reflectance+tpi50", "expected dn3000 with or without a relative elevation"),
        ({}, "dn2000", "expected legacy_normalization to be one of dn3000, .*, but got 'dn2000'"),
        (
            {"data_sources": ["PlanetScope"]},
            "dn3000",
            r"expected data_sources from ndvi, .*, but got \['PlanetScope'\]",
        ),
        ({"data_sources": ["slope", "slope"]}, "dn3000", "expected data_sources from .* each once"),
        ({"data_sources": None}, "dn3000", "expected config.yml to list data_sources, but got None"),
        (
            {"data_sources": ["slope"]},
            "dn3000",
            "expected input_channels to be 1, one for each of slope, but .* has 10",
        ),
        (
            {"model": {"architecture": 2020, "encoder": "resnet50"}},
            "dn3000",
            "expected architecture of the model in '.*' to be a name, but got 2020",
        ),
        ({"model": {}}, "dn3000", "to have model with architecture and encoder, but got {}"),
        ({"epochs": ()}, "dn3000+tpi50", "expected weights like '.*checkpoints.07.pt', one file for each epoch"),
    ],
)
def test_runs_that_cannot_be_used(tmp_path, changes, chosen, message):
    folder = run_folder(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=rf"model file '.*18-12-03' cannot be used: .*{message}"):
        read_checkpoint(folder, legacy_normalization=chosen)


@pytest.mark.parametrize("text", ["a: [", "model: !!python/object/apply:os.getcwd []", "just words", "\xff"])
def test_a_config_that_is_no_plain_yaml(tmp_path, text):
    folder = run_folder(tmp_path)
    (folder / "config.yml").write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"config.yml' to (be plain YAML|have model with)"):
        read_checkpoint(folder, legacy_normalization="dn3000+tpi50")


LAUGHS = "a0: &a0 [0, 0, 0]\n" + "".join(
    f"a{each + 1}: &a{each + 1} [{', '.join([f'*a{each}'] * 9)}]\n" for each in range(12)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 20_000, "to be plain YAML, but it cannot be read"),
        (f"{LAUGHS}model: *a12\n", "expected tables and lists that are nested at most 64 levels deep"),
        ("a: &a [*a]\n", "expected tables and lists that are nested at most 64 levels deep"),
    ],
)
def test_a_config_that_would_fill_the_memory(tmp_path, text, message):
    folder = run_folder(tmp_path)
    (folder / "config.yml").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(folder, legacy_normalization="dn3000+tpi50")


def test_an_epoch_that_holds_no_weights(tmp_path):
    folder = run_folder(tmp_path)
    save(folder / "checkpoints" / "07.pt", [1, 2])
    with pytest.raises(CheckpointError, match="expected the weights of an epoch to be a state_dict, but got list"):
        read_checkpoint(folder, legacy_normalization="dn3000+tpi50")


def test_a_damaged_epoch_is_named(tmp_path):
    folder = run_folder(tmp_path)
    (folder / "checkpoints" / "07.pt").write_bytes(b"half")
    with pytest.raises(
        CheckpointError, match=r"18-12-03' cannot be used: model file '.*07.pt' cannot be used: it is dam"
    ):
        read_checkpoint(folder, legacy_normalization="dn3000+tpi50")


def test_an_incomplete_run_folder_is_a_folder(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(
        CheckpointError, match=r"a run folder with config.yml and checkpoints/, but it is another folder"
    ):
        read_checkpoint(tmp_path)


def test_objects_in_other_files_are_refused_for_what_they_are(tmp_path):
    save(tmp_path / "m.pt", {"config": Hyperparameters(), "statedict": WEIGHTS})
    with pytest.raises(
        CheckpointError, match=r"m.pt' cannot be used: it was refused, .*more than tensors and plain data"
    ):
        read_checkpoint(tmp_path / "m.pt")


def test_weights_alone(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"07.pt' cannot be used: .* it is a state_dict alone: .* beside config.yml"
    ):
        read_checkpoint(save(tmp_path / "07.pt", WEIGHTS))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"norm_factors": {"red": 1}},
            "expected config to have input_combination, .* but it has model, norm_factors: add",
        ),
        ({"norm_factors": 3, "input_combination": ["red"]}, "expected norm_factors to be a table .*, but got 3"),
        (
            {"norm_factors": {"red": 1 / 3000}, "input_combination": ["red", "nir"]},
            "expected norm_factors to have every input variable, but nir missing",
        ),
        ({"norm_factors": {"red": 0}, "input_combination": ["red"]}, "factor of red to be a finite number, and not 0"),
        ({"norm_factors": {"red": "1"}, "input_combination": ["red"]}, "factor of red to be .*, but got '1'"),
        ({"norm_factors": {"red": 10**400}, "input_combination": ["red"]}, "factor of red to be a finite number"),
        (
            {"norm_factors": {"red": 0.02}, "input_combination": ["red"]},
            "with which red fills the network's input, of about 0.0001 in tile units, but got 0.02",
        ),
        ({"norm_factors": {"slope": 1e-5}, "input_combination": ["slope"]}, "which fits no unit that slope was ever"),
        ({"bands": "red"}, "expected bands to list names of variables in order, but got 'red'"),
        ({"bands": []}, r"expected bands to list names of variables in order, but got \[\]"),
        ({"bands": ["red", "red"], "band_factors": [1, 1]}, "expected each input variable once"),
        (
            {"bands": ["red"], "input_combination": ["nir"]},
            "expected input_combination and bands to name the same variables in the same order",
        ),
        (
            {"bands": {"bands": ["red", "nir"], "factors": [1], "offsets": [0, 0]}},
            "expected bands to have one factor and one offset for each of red, nir",
        ),
        ({"bands": {"bands": ["red"], "factors": [1 / 3000]}}, "one factor and one offset for each of red"),
        (
            {"bands": {"bands": ["red"], "factors": [1 / 3000], "offsets": [float("nan")]}},
            "expected the offset of red to be a finite number, but got nan",
        ),
    ],
)
def test_configs_that_do_not_say_what_they_need_to(tmp_path, config, message):
    path = save(tmp_path / "m.pt", {"config": {"model": NETWORK, **config}, "statedict": WEIGHTS})
    with pytest.raises(CheckpointError, match=rf"m.pt' cannot be used: .*{message}"):
        read_checkpoint(path)


def test_the_users_word_is_not_taken_where_the_file_has_its_own(tmp_path):
    older = {"model": NETWORK, "input_combination": ["red"], "norm_factors": {"red": 1 / 3000}}
    today = {**older, "normalization": {"red": {"offset": 0.0, "scale": 1e-4}}}
    for config in (older, today):
        path = save(tmp_path / "m.pt", {"config": config, "statedict": WEIGHTS})
        with pytest.raises(CheckpointError, match="expected no legacy_normalization, because the file states"):
            read_checkpoint(path, legacy_normalization="dn3000")


def test_an_older_entry_beside_a_normalization_does_no_harm(tmp_path):
    config = {
        "model_framework": "smp",
        "model": NETWORK,
        "input_combination": ["red"],
        "patch_size": 64,
        "bands": ["red"],
        "normalization": {"red": {"offset": 0.0, "scale": 1e-4}},
    }
    path = save(tmp_path / "m.pt", {"config": config, "statedict": WEIGHTS})
    assert read_checkpoint(path).config == config


def test_a_variable_whose_scaling_is_not_known():
    with pytest.raises(CheckpointError, match=r"it is known how 'dn3000' scaled them .*, but got hillshade: state"):
        legacy_scalings("dn3000", ["hillshade"], clip=True)
    assert stated_scaling("my_index", 1234.5, elevation=None).scale == 1234.5  # of a variable without a usual range


def test_names_of_the_generations():
    assert LEGACY_NORMALIZATIONS == (
        "dn3000",
        "dn3000+tpi50",
        "dn3000+tpi300",
        "reflectance",
        "reflectance+tpi50",
        "reflectance+tpi300",
    )
