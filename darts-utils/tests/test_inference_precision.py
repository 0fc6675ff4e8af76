"""In which numbers a network computes, and what happens where the memory does not suffice."""

import numpy as np
import pytest
import torch

from darts_utils.errors import DartsWarning, DeviceError
from darts_utils.inference import InferenceConfig, Normalization, Scaling, predict_probabilities
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
