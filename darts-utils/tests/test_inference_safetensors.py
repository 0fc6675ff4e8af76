"""Weights as safetensors with a JSON twin."""

import hashlib
import json
import struct

import pytest
import torch
from safetensors.torch import load_file

from darts_utils.errors import CheckpointError
from darts_utils.inference import Checkpoint, read_checkpoint, write_checkpoint

CONFIG = {
    "model_framework": "smp",
    "model": {"arch": "Unet"},
    "input_combination": ["red"],
    "patch_size": 64,
    "normalization": {"red": {"offset": 0.0, "scale": 1 / 3000, "clip": True}},
    "training": {"score": 0.1 + 0.2, "note": "Mackenzie-Delta, größer"},
}
SHARED = torch.arange(6.0)
WEIGHTS = {
    "a": SHARED.reshape(2, 3).T,  # not contiguous
    "b": SHARED[:2],  # shares memory with a
    "c": torch.tensor(4),
    "d": torch.ones(3, dtype=torch.bfloat16),
}


@pytest.fixture
def model_file(tmp_path):
    return write_checkpoint(tmp_path / "m.safetensors", Checkpoint(CONFIG, WEIGHTS))


def test_what_is_written_is_read_again(model_file):
    checkpoint = read_checkpoint(model_file)
    assert checkpoint.config == CONFIG
    assert set(checkpoint.statedict) == set(WEIGHTS)
    for name, tensor in WEIGHTS.items():
        torch.testing.assert_close(checkpoint.statedict[name], tensor.contiguous(), rtol=0, atol=0)


def test_others_can_read_both_files(model_file):
    torch.testing.assert_close(load_file(model_file)["a"], WEIGHTS["a"].contiguous())
    twin = json.loads(model_file.with_suffix(".json").read_text(encoding="utf-8"))
    assert twin["format"] == "darts-checkpoint"
    assert twin["format_version"] == 1
    assert twin["config"] == CONFIG
    assert twin["weights"] == {
        "file": "m.safetensors",
        "sha256": hashlib.sha256(model_file.read_bytes()).hexdigest(),
    }


def test_equal_checkpoints_give_equal_bytes(model_file, tmp_path):
    again = write_checkpoint(tmp_path / "again" / "m.safetensors", Checkpoint(CONFIG, WEIGHTS))
    for suffix in (".safetensors", ".json"):
        assert again.with_suffix(suffix).read_bytes() == model_file.with_suffix(suffix).read_bytes()


def test_twins_that_do_not_belong_together_are_refused(model_file, tmp_path):
    other = write_checkpoint(tmp_path / "other.safetensors", Checkpoint(CONFIG, {"a": torch.zeros(2)}))
    model_file.write_bytes(other.read_bytes())
    with pytest.raises(
        CheckpointError, match=r"m.safetensors' cannot be used: expected the weights that 'm.json' was written for"
    ):
        read_checkpoint(model_file)


def test_a_flipped_bit_is_damage(model_file):
    content = bytearray(model_file.read_bytes())
    content[-3] ^= 0x40
    model_file.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged or another one"):
        read_checkpoint(model_file)


def test_half_of_a_file_is_damage_even_where_the_checksum_agrees(model_file):
    half = model_file.read_bytes()[:40]
    twin_file = model_file.with_suffix(".json")
    twin = json.loads(twin_file.read_text())
    twin["weights"]["sha256"] = hashlib.sha256(half).hexdigest()
    model_file.write_bytes(half)
    twin_file.write_text(json.dumps(twin))
    with pytest.raises(CheckpointError, match="'m.safetensors' is damaged or no file of safetensors"):
        read_checkpoint(model_file)


def header(text, *, length=None):
    return struct.pack("<Q", len(text) if length is None else length) + text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(b"{}", length=2**62), "'m.safetensors' is damaged or no file of safetensors .*header too large"),
        (header(b"[" * 100_000), "'m.safetensors' is damaged or no file of safetensors"),
        (
            header(b'{"a":{"dtype":"F32","shape":[9999999999,9999999999],"data_offsets":[0,4]}}') + bytes(4),
            "'m.safetensors' is damaged or no file of safetensors",
        ),
        (
            header(b'{"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}}') + bytes(4),
            "'m.safetensors' is damaged or no file of safetensors .*F4",
        ),
        (header(b"{}"), "expected statedict to be the network's state_dict.., but got an empty one"),
    ],
)
def test_weights_whose_header_lies(model_file, content, message):
    twin_file = model_file.with_suffix(".json")
    twin = json.loads(twin_file.read_text())
    twin["weights"]["sha256"] = hashlib.sha256(content).hexdigest()
    model_file.write_bytes(content)
    twin_file.write_text(json.dumps(twin))
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(model_file)


def test_twins_that_were_swapped_are_refused(model_file):
    other = write_checkpoint(model_file.with_name("o.safetensors"), Checkpoint(CONFIG, {"a": torch.zeros(2)}))
    twin, other_twin = (path.with_suffix(".json") for path in (model_file, other))
    kept = twin.read_bytes()
    twin.write_bytes(other_twin.read_bytes())
    other_twin.write_bytes(kept)
    for path in (model_file, other):
        with pytest.raises(CheckpointError, match="is damaged or another one"):
            read_checkpoint(path)


def test_the_ending_may_be_written_large(model_file):
    assert read_checkpoint(model_file.rename(model_file.with_name("m.SafeTensors"))).config == CONFIG


def test_a_twin_that_is_missing(model_file):
    model_file.with_suffix(".json").unlink()
    with pytest.raises(CheckpointError, match=r"expected the config of 'm.safetensors' in 'm.json' beside it"):
        read_checkpoint(model_file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "'m.json' or 'm.safetensors' is damaged"),
        ("[" * 200_000, "'m.json' or 'm.safetensors' is damaged"),
        ("[" * 100 + "]" * 100, "expected tables and lists that are nested at most 64 levels deep"),
        ("9" * 5000, "'m.json' or 'm.safetensors' is damaged"),
        ("[]", "expected 'm.json' to be a darts-checkpoint of version 1, but it is not"),
        ('{"format": "darts-checkpoint", "format_version": 2}', "to be a darts-checkpoint of version 1"),
        ('{"format": "darts-checkpoint", "format_version": 1, "weights": 3}', r"was written for \(SHA-256 None"),
    ],
)
def test_a_twin_that_is_none(model_file, text, message):
    model_file.with_suffix(".json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(model_file)


def test_numbers_that_json_does_not_know(tmp_path):
    config = {**CONFIG, "training": {"loss": float("nan")}}
    with pytest.raises(
        CheckpointError, match="expected finite numbers in the config, which JSON can hold, but got NaN"
    ):
        write_checkpoint(tmp_path / "m.safetensors", Checkpoint(config, WEIGHTS))
    assert not list(tmp_path.iterdir())
