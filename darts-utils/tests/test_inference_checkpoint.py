"""Model files: what is written is read again, and everything else is refused with its reason."""

import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_utils.errors import CheckpointError, DeviceError, OutputError
from darts_utils.inference import Checkpoint, load_weights, read_checkpoint, resolve_device, write_checkpoint
from darts_utils.inference.nesting import check_nesting

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")  # torch, on its way to refuse

CONFIG = {
    "model_framework": "smp",
    "name": "small",
    "model": {"arch": "Unet", "decoder_channels": (16, 8)},
    "input_combination": ["red", "ndvi"],
    "patch_size": 64,
    "normalization": {name: {"offset": 0.0, "scale": 1.0, "clip": True} for name in ("red", "ndvi")},
    "training": {"seed": 3, "scores": [0.5, None], "done": True},
}


def weights():
    return {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.count": torch.tensor(4)}


@pytest.fixture
def model_file(tmp_path):
    return write_checkpoint(tmp_path / "small.pt", Checkpoint(CONFIG, weights()))


def save(path, **content):
    torch.save(content, path)
    return path


def test_what_is_written_is_read_again(model_file):
    checkpoint = read_checkpoint(model_file)
    assert checkpoint.config == {**CONFIG, "model": {"arch": "Unet", "decoder_channels": [16, 8]}}
    assert checkpoint.framework == "smp"
    assert checkpoint.input_combination == ("red", "ndvi")
    assert checkpoint.patch_px == 64
    assert list(checkpoint.statedict) == list(weights())
    for name, tensor in weights().items():
        torch.testing.assert_close(checkpoint.statedict[name], tensor, rtol=0, atol=0)


def test_equal_checkpoints_give_equal_bytes(model_file):
    again = write_checkpoint(model_file.with_name("other.pt"), Checkpoint(CONFIG, weights()))
    assert again.read_bytes() == model_file.read_bytes()


def test_a_view_of_a_large_tensor_is_written_small(tmp_path):
    large = torch.zeros(1_000_000)
    path = write_checkpoint(tmp_path / "view.pt", Checkpoint(CONFIG, {"layer": large[:10]}))
    assert path.stat().st_size < 10_000


def test_gradients_do_not_reach_the_file(tmp_path):
    path = write_checkpoint(tmp_path / "m.pt", Checkpoint(CONFIG, {"layer": torch.nn.Parameter(torch.ones(3))}))
    assert type(read_checkpoint(path).statedict["layer"]) is torch.Tensor


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"absent.pt' cannot be used: expected a model file, but there is none: check the path"
    ):
        read_checkpoint(tmp_path / "absent.pt")
    with pytest.raises(CheckpointError, match="but it is another folder: name a file in it"):
        read_checkpoint(tmp_path)


def test_a_truncated_file_is_named(model_file):
    content = model_file.read_bytes()
    for length in (0, 1, 10, len(content) // 2, len(content) - 1):
        model_file.write_bytes(content[:length])
        with pytest.raises(
            CheckpointError,
            match=r"small.pt' cannot be used: it is damaged or no model file .*copy or download it again",
        ):
            read_checkpoint(model_file)


def test_something_else_is_no_model_file(tmp_path):
    path = tmp_path / "text.pt"
    path.write_text("no model at all")
    with pytest.raises(CheckpointError, match="is damaged or no model file"):
        read_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "an archive of something else")
    with pytest.raises(CheckpointError, match="is damaged or no model file"):
        read_checkpoint(path)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_no_damage_gets_through_as_another_error(data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzzed.pt"
    if not path.with_suffix(".good").exists():
        write_checkpoint(path.with_suffix(".good"), Checkpoint(CONFIG, weights()))
    content = bytearray(path.with_suffix(".good").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        checkpoint = read_checkpoint(path)
    except CheckpointError:
        return
    good = read_checkpoint(path.with_suffix(".good"))
    assert checkpoint.config == good.config
    assert list(checkpoint.statedict) == list(good.statedict)
    for name, tensor in good.statedict.items():
        assert checkpoint.statedict[name].dtype == tensor.dtype
        torch.testing.assert_close(checkpoint.statedict[name], tensor, rtol=0, atol=0)


def test_a_hole_of_zeros_and_a_flipped_bit_among_the_weights_are_damage(tmp_path):
    """torch reads both without a word."""
    many = torch.arange(1.0, 10_001.0)
    path = write_checkpoint(tmp_path / "m.pt", Checkpoint(CONFIG, {"layer": many}))
    good = path.read_bytes()
    start = good.index(many.numpy().tobytes())
    flipped, holed = bytearray(good), bytearray(good)
    flipped[start + 4002] ^= 0x40
    holed[start + 4000 : start + 8000] = bytes(4000)
    for content in (flipped, holed):
        path.write_bytes(content)
        torch.load(path, weights_only=True)
        with pytest.raises(
            CheckpointError, match=r"m.pt' cannot be used: it is damaged or no model file .*copy or download it again"
        ):
            read_checkpoint(path)
    path.write_bytes(good)
    torch.testing.assert_close(read_checkpoint(path).statedict["layer"], many, rtol=0, atol=0)


def test_weights_that_are_marked_as_a_folder_are_damage(model_file):
    """torch would take what happens to be in memory for the weights."""
    with zipfile.ZipFile(model_file) as archive:
        names = [name for name in archive.namelist() if "/data/" in name]
    for name in names:
        content = bytearray(model_file.read_bytes())
        entry = content.rindex(name.encode()) - 46  # in the list of parts, at the end of the file
        assert content[entry : entry + 4] == b"PK\x01\x02"
        content[entry + 38] |= 0x10
        damaged = model_file.with_name("damaged.pt")
        damaged.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"damaged.pt' cannot be used: it is damaged or no model file"):
            read_checkpoint(damaged)


def test_an_archive_without_its_first_or_last_bytes_is_damage(model_file):
    content = model_file.read_bytes()
    for broken in (b"XX" + content[2:], content[:-22] + bytes(22), content[:-2]):
        model_file.write_bytes(broken)
        with pytest.raises(CheckpointError, match="is damaged or no model file"):
            read_checkpoint(model_file)


class Payload:
    """Runs a command when it is unpickled the careless way."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("container", ["torch", "torch, old format", "pickle"])
def test_code_in_a_model_file_is_refused_and_not_run(tmp_path, container):
    trace, path = tmp_path / "the-code-ran", tmp_path / "evil.pt"
    content = {"config": CONFIG, "statedict": weights(), "extra": Payload(trace)}
    if container == "pickle":
        path.write_bytes(pickle.dumps({"config": CONFIG, "extra": Payload(trace)}))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=container == "torch")
    with pytest.raises(
        CheckpointError, match=r"evil.pt' cannot be used: it was refused.*code from a model file is never run"
    ):
        read_checkpoint(path)
    assert not trace.exists()


def test_a_whole_network_instead_of_its_weights_is_refused(tmp_path):
    path = save(tmp_path / "whole.pt", config=CONFIG, statedict=torch.nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match="holds more than tensors and plain data"):
        read_checkpoint(path)


def test_a_program_is_refused_for_what_it_is(tmp_path):
    with pytest.warns(FutureWarning, match="jit"):
        torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "m.pt")
    with pytest.raises(
        CheckpointError, match=r"m.pt' cannot be used: it was refused, because it is a program \(TorchScript\)"
    ):
        read_checkpoint(tmp_path / "m.pt")


def test_a_small_file_does_not_become_large_in_memory(model_file):
    with zipfile.ZipFile(model_file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(model_file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content if content else b" " * 100_000)
        archive.writestr(next(iter(parts)).replace("data.pkl", "data/9"), bytes(1_000_000))
    with pytest.raises(CheckpointError, match="it was refused, because its parts are larger than the file"):
        read_checkpoint(model_file)


def test_a_tensor_that_repeats_its_numbers_is_refused(tmp_path):
    huge = torch.zeros(1).expand(10**6, 10**6)
    path = save(tmp_path / "m.pt", config=CONFIG, statedict={**weights(), "huge": huge})
    with pytest.raises(CheckpointError, match=r"but huge is a tensor of torch.float32, .* shape \(1000000, 1000000\)"):
        read_checkpoint(path)
    with_one = {"position": torch.arange(3.0).expand(1, -1)}  # nothing is repeated here
    assert read_checkpoint(save(path, config=CONFIG, statedict=with_one)).statedict["position"].shape == (1, 3)


def nested(kind):
    inner = []
    if kind == "deep":
        for _ in range(2000):
            inner = [inner]
    elif kind == "in itself":
        inner.append({"more": inner})
    else:
        for _ in range(12):
            inner = [inner] * 10
    return inner


@pytest.mark.parametrize("kind", ["deep", "in itself", "many times the same"])
def test_tables_that_never_end_are_refused(tmp_path, kind):
    content = {"config": {**CONFIG, "input_combination": nested(kind)}, "statedict": weights()}
    with pytest.raises(
        CheckpointError, match="nested at most 64 levels deep and have at most 1,000,000 entries, but got"
    ):
        check_nesting(content)
    if kind != "deep":  # Python's own pickle cannot write it
        with pytest.raises(CheckpointError, match=r"m.pt' cannot be used: expected tables and lists that are nested"):
            read_checkpoint(save(tmp_path / "m.pt", **content))


@pytest.mark.parametrize("name", ["a\0b.pt", "a" * 5000 + ".pt", "a" * 5000 + ".safetensors"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(CheckpointError, match="expected a model file, but there is none: check the path"):
        read_checkpoint(name)


def test_links_and_odd_names_lead_to_the_file(model_file):
    odd = model_file.rename(model_file.with_name("Rückgang v1.2 (ü) 'x'.pt"))
    link = model_file.with_name("link.pt")
    link.symlink_to(odd)
    assert read_checkpoint(link).config == read_checkpoint(odd).config
    link.unlink()
    link.symlink_to(link)
    with pytest.raises(CheckpointError, match="expected a model file, but there is none"):
        read_checkpoint(link)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}}, "expected the keys config and statedict, but got state_dict: write it with"),
        ({"config": 3, "statedict": weights()}, "expected config to be a table, but got int"),
        (
            {"config": {}, "statedict": weights()},
            "have model_framework, model, input_combination, patch_size, but it has nothing",
        ),
        ({"config": CONFIG, "statedict": {}}, "network's state_dict.., but got an empty one"),
        ({"config": CONFIG, "statedict": [1]}, "network's state_dict.., but got list"),
        ({"config": CONFIG, "statedict": {"layer": 3.0}}, "tensors only, but not so layer"),
    ],
)
def test_parts_that_are_missing_or_strange_are_named(tmp_path, content, message):
    with pytest.raises(CheckpointError, match=rf"m.pt' cannot be used: .*{message}"):
        read_checkpoint(save(tmp_path / "m.pt", **content))


def test_a_bare_tensor_is_no_checkpoint(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "t.pt")
    with pytest.raises(CheckpointError, match="expected the keys config and statedict, but got Tensor"):
        read_checkpoint(tmp_path / "t.pt")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model_framework", None, "expected model_framework to be a name, but got None"),
        ("model", "Unet", "expected model to be a table of the network's arguments, but got 'Unet'"),
        ("input_combination", [], r"expected input_combination to list the input variables in order, but got \[\]"),
        ("input_combination", "red", "expected input_combination to list the input variables in order, but got 'red'"),
        ("input_combination", ["red", 2], "expected input_combination to list"),
        ("input_combination", ["red", "red"], "expected input_combination to name each variable once"),
        ("patch_size", 0, "expected patch_size to be a whole number of pixels, but got 0"),
        ("patch_size", 64.0, "expected patch_size to be a whole number of pixels, but got 64.0"),
        ("patch_size", True, "expected patch_size to be a whole number of pixels, but got True"),
    ],
)
def test_entries_that_make_no_sense_are_named(key, value, message):
    with pytest.raises(CheckpointError, match=message):
        Checkpoint({**CONFIG, key: value}, weights())


def test_arguments_of_the_network_have_names():
    with pytest.raises(CheckpointError, match=r"expected the arguments in model to have names \(text\), but got \[1\]"):
        Checkpoint({**CONFIG, "model": {"arch": "Unet", 1: 2}}, weights())


@pytest.mark.parametrize("key", ["model_framework", "model", "input_combination", "patch_size"])
def test_entries_that_are_missing_are_named(key):
    config = {name: value for name, value in CONFIG.items() if name != key}
    with pytest.raises(CheckpointError, match=f"expected config to have {key}, but it has"):
        Checkpoint(config, weights())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value):
    statedict = {f"layer{number}": torch.tensor([1.0, value]) for number in range(5)}
    with pytest.raises(
        CheckpointError, match="NaN or infinity in layer0, layer1, layer2, and 2 more: training diverged"
    ):
        Checkpoint(CONFIG, statedict)


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        (torch.ones(3, dtype=torch.complex64), "torch.complex64, cpu, torch.strided"),
        (torch.eye(3).to_sparse(), "torch.float32, cpu, torch.sparse_coo"),
        (torch.ones(3, device="meta"), "torch.float32, meta, torch.strided"),
        (torch.ones(3).to(torch.float8_e4m3fn), "torch.float8_e4m3fn, cpu"),
    ],
)
def test_weights_that_are_no_dense_real_tensors_are_refused(tmp_path, tensor, kind):
    path = save(tmp_path / "m.pt", config=CONFIG, statedict={**weights(), "odd": tensor})
    with pytest.raises(
        CheckpointError, match=rf"m.pt' cannot be used: .*but odd is a tensor of {kind}.*: convert them"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_converted(tmp_path, dtype):
    network = torch.nn.Linear(2, 1)
    stored = {name: torch.full_like(tensor, 0.5, dtype=dtype) for name, tensor in network.state_dict().items()}
    load_weights(network, read_checkpoint(save(tmp_path / "m.pt", config=CONFIG, statedict=stored)).statedict)
    assert network.weight.dtype == torch.float32
    assert (network.weight == 0.5).all()


def test_weights_of_a_quantised_network_are_refused(tmp_path):
    network = torch.nn.Linear(2, 1)
    stored = {name: torch.ones_like(tensor, dtype=torch.int8) for name, tensor in network.state_dict().items()}
    checkpoint = read_checkpoint(save(tmp_path / "m.pt", config=CONFIG, statedict=stored))
    with pytest.raises(
        CheckpointError, match="but weight is of type torch.int8, whole numbers instead of fractions; bias"
    ):
        load_weights(network, checkpoint.statedict)


def test_weights_that_overflow_in_the_network_are_refused(tmp_path):
    """Finite in the file, infinite in the network."""
    network = torch.nn.Linear(2, 1)
    stored = {
        name: torch.full_like(tensor, 1e300, dtype=torch.float64) for name, tensor in network.state_dict().items()
    }
    checkpoint = read_checkpoint(save(tmp_path / "m.pt", config=CONFIG, statedict=stored))
    before = network.weight.clone()
    with pytest.raises(
        CheckpointError, match="they overflow in weight as torch.float32, bias as torch.float32: training"
    ):
        load_weights(network, checkpoint.statedict)
    torch.testing.assert_close(network.weight, before, rtol=0, atol=0)


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    config = {**CONFIG, "training": {"scores": [1.0, np.float64(0.5)]}}
    with pytest.raises(CheckpointError, match=r"but config\['training'\]\['scores'\]\[1\] is float64: convert it"):
        write_checkpoint(tmp_path / "m.pt", Checkpoint(config, weights()))
    config = {name: value for name, value in CONFIG.items() if name != "normalization"}
    with pytest.raises(CheckpointError, match="expected a normalization"):
        write_checkpoint(tmp_path / "m.pt", Checkpoint(config, weights()))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_none_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_checkpoint(tmp_path / "file" / "m.pt", Checkpoint(CONFIG, weights()))


def test_weights_of_another_network_list_the_first_that_do_not_fit():
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(
        CheckpointError,
        match=r"but 1.weight is missing; 1.bias is missing; head is unknown; and 2 more: weights and config come from",
    ):
        load_weights(network, {"0.weight": torch.zeros(3, 9), "0.bias": torch.zeros(4), "head": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"0.bias has shape \(4,\) instead of \(3,\)"):
        load_weights(network, {**before, "0.bias": torch.zeros(4)})
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    load_weights(network, {name: tensor + 1 for name, tensor in before.items()})
    torch.testing.assert_close(network[1].bias.detach(), before["1.bias"] + 1)


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "cuda:", "", "cpu:0"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(DeviceError, match=f"expected the device 'auto', 'cpu', 'cuda' or 'cuda:N', but got '{name}'"):
        resolve_device(name)


def test_a_named_device_is_used_or_refused(monkeypatch):
    assert resolve_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(DeviceError, match="device 'cuda' was asked for, but torch sees 0 CUDA devices"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda:0")
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="'cuda:2' was asked for, but torch sees 2"):
        resolve_device("cuda:2")
