"""In which numbers a network computes, and what happens where the memory does not suffice."""

import numpy as np
import pytest
import torch

from darts_utils.errors import DartsWarning, DeviceError
from darts_utils.inference import InferenceConfig, Normalization, Scaling, predict_probabilities
from darts_utils.inference.precision import computing_in
from darts_utils.testing import example_tile

NORMALIZATION = Normalization({"red": Scaling(0.0, 1e-4), "ndvi": Scaling(-1.0, 0.5)})
VARIABLES = ["red", "ndvi", "valid_data_mask"]


def predict(network, tiles, *, patch_px, **options):
    return predict_probabilities(
        network,
        tiles,
        normalization=NORMALIZATION,
        patch_px=patch_px,
        options=InferenceConfig(**{"overlap_px": 0, "batch_size": 3, **options}),
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 0), ("bfloat16", 0.02), ("float16", 0.005)])
def test_a_precision_changes_last_digits_only(precision, tolerance):
    torch.manual_seed(3)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(2, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(6, 1, 3, padding=1)
    ).eval()
    tile = example_tile(VARIABLES, shape=(21, 30))
    (expected,) = predict(network, [tile], patch_px=8)
    (found,) = predict(network, [tile], patch_px=8, precision=precision)
    difference = np.nanmax(np.abs(found - expected))
    assert difference <= tolerance
    assert (difference == 0) == (precision == "float32")


class Watching(torch.nn.Module):
    """A network that looks at torch's settings while it computes."""

    def __init__(self, look):
        super().__init__()
        self.look = look
        self.seen = set()

    def forward(self, images):
        self.seen.add(self.look())
        if images.isnan().all():
            raise KeyError("nothing")
        return images.sum(1, keepdim=True)


def cudnn_flags():
    cudnn = torch.backends.cudnn
    return cudnn.enabled, cudnn.benchmark, cudnn.deterministic


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_float32_is_not_rounded_to_tf32(monkeypatch, before, precision):
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "allow_tf32", before)
    monkeypatch.setattr(cudnn, "benchmark", True)
    others = cudnn_flags()
    network = Watching(lambda: (cudnn.allow_tf32, cudnn_flags()))
    predict(network, [example_tile(VARIABLES, shape=(8, 8))], patch_px=8, precision=precision)
    assert network.seen == {(False, others)}
    assert (cudnn.allow_tf32, cudnn_flags()) == (before, others)
    with pytest.raises(KeyError), computing_in(torch.float32, device=torch.device("cpu")):
        network(torch.full((1, 2, 8, 8), torch.nan))
    assert cudnn.allow_tf32 is before


def test_the_last_to_leave_turns_tf32_on_again(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    first, second = (computing_in(torch.float32, device=torch.device("cpu")) for _ in range(2))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not torch.backends.cudnn.allow_tf32
    second.__exit__(None, None, None)
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="this torch has the older setting only")
def test_settings_of_the_newer_kind_come_back_too():
    conv, rnn = torch.backends.cudnn.conv, torch.backends.cudnn.rnn
    before = conv.fp32_precision, rnn.fp32_precision
    network = Watching(lambda: (conv.fp32_precision, rnn.fp32_precision))
    try:
        conv.fp32_precision, rnn.fp32_precision = "tf32", "ieee"  # from here on allow_tf32 cannot be read
        predict(network, [example_tile(VARIABLES, shape=(8, 8))], patch_px=8)
        assert network.seen == {("ieee", "ieee")}
        assert (conv.fp32_precision, rnn.fp32_precision) == ("tf32", "ieee")
    finally:
        conv.fp32_precision, rnn.fp32_precision = before


class Forgetful(torch.nn.Module):
    """A network for which more than two patches are too many."""

    def __init__(self, most=2):
        super().__init__()
        self.most = most
        self.sizes = []

    def forward(self, images):
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("no room")
        return images.sum(1, keepdim=True)


def test_a_batch_that_does_not_fit_into_memory_is_halved_with_a_warning():
    tile = example_tile(VARIABLES, shape=(24, 24))
    (expected,) = predict(Forgetful(), [tile], patch_px=8, batch_size=2)
    network = Forgetful()
    with pytest.warns(DartsWarning, match="does not suffice for .* patches at once: going on with") as warned:
        (found,) = predict(network, [tile], patch_px=8, batch_size=7)
    assert [str(each.message).partition("for ")[2].split()[0] for each in warned] == ["7", "3"]
    assert network.sizes == [7, 3] + [1] * 14  # 9 patches in 2 batches of 7
    np.testing.assert_array_equal(found, expected)


def test_a_patch_that_does_not_fit_into_memory_is_an_error():
    with pytest.raises(
        DeviceError, match="memory of device 'cpu' does not suffice for one patch of 8 px: choose a smaller"
    ):
        predict(Forgetful(most=0), [example_tile(VARIABLES)], patch_px=8, batch_size=1)
