"""What is missing, infinite or not a number: it costs itself, and nothing around it."""

import numpy as np
import pytest
import torch

from darts_utils.errors import CheckpointError, ConfigError
from darts_utils.inference import InferenceConfig, Normalization, Scaling, check_network, predict_probabilities
from darts_utils.testing import example_tile

CPU = torch.device("cpu")
NORMALIZATION = Normalization({"red": Scaling(0.0, 1e-4, clip=False), "ndvi": Scaling(-1.0, 0.5, clip=False)})
VARIABLES = ["red", "ndvi", "valid_data_mask"]


def spreading():
    """A network whose answer at a pixel depends on those around it, so that NaN and infinity would spread."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.Conv2d(3, 1, 3, padding=1)).eval()


class NanAtZero(torch.nn.Module):
    """A network that has no answer where the first channel is 0."""

    def forward(self, images):
        logits = images.mean(1, keepdim=True) - 0.3
        return torch.where(images[:, :1] == 0, torch.nan, logits)


def predict(network, tiles, **options):
    return predict_probabilities(
        network,
        tiles,
        normalization=NORMALIZATION,
        patch_px=8,
        options=InferenceConfig(**{"batch_size": 3, **options}),
        device=CPU,
    )


def with_ndvi(tile, value, *, at):
    ndvi = tile.ndvi.values.copy()
    ndvi[at] = value
    return tile.assign(ndvi=tile.ndvi.copy(data=ndvi))


def test_infinity_is_missing_and_spoils_no_other_pixel_nor_tile():
    tile, other = example_tile(VARIABLES, shape=(12, 14)), example_tile(VARIABLES, shape=(8, 8), seed=1)
    tile.valid_data_mask.values[5:7] = [[False], [True]]
    for at in ((5, 4), (6, 4)):  # an invalid pixel, a valid one
        expected = predict(spreading(), [with_ndvi(tile, -1.0, at=at), other])  # −1 is 0 in the network's input
        for value in (np.inf, -np.inf, np.nan):
            found = predict(spreading(), [with_ndvi(tile, value, at=at), other])
            for one, another in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, another)
        np.testing.assert_array_equal(np.isnan(expected[0]), ~tile.valid_data_mask.values)


def test_nan_from_the_network_outside_the_valid_pixels_does_not_matter():
    tile = example_tile(
        VARIABLES, shape=(21, 13)
    )  # not full patches: the network is asked about pixels that are not there
    tile.red.values[~tile.valid_data_mask.values] = 0
    (found,) = predict(NanAtZero(), [tile], overlap_px=3)
    ndvi = (tile.ndvi.values + 1) / 2
    expected = 1 / (1 + np.exp(-((tile.red.values / 1e4 + ndvi) / 2 - 0.3)))
    np.testing.assert_allclose(found, np.where(tile.valid_data_mask.values, expected, np.nan), atol=1e-6)


def test_nan_from_the_network_at_a_valid_pixel_names_tile_and_window():
    good, bad = (example_tile(VARIABLES, shape=(20, 16), seed=seed) for seed in (1, 2))
    bad.valid_data_mask.values[10, 13] = True
    bad.red.values[10, 13] = 0
    with pytest.raises(
        CheckpointError,
        match="the network gave NaN for tile 'example-2' in rows 8 to 15, columns 8 to 15, where every input is finite: "
        "look for extreme values of red, ndvi there",
    ):
        predict(NanAtZero(), [good, bad, good], overlap_px=0)


def test_a_network_of_nan_is_no_result():
    network = spreading()
    with torch.no_grad():
        network[1].bias.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="gave NaN for tile 'example-0' in rows 0 to 7, columns 0 to 7"):
        predict(network, [example_tile(VARIABLES, shape=(8, 8))])


def test_an_overlap_of_a_patch_or_more_is_refused():
    with pytest.raises(ConfigError, match="overlap of 0 to 7 px"):
        predict(spreading(), [example_tile(VARIABLES)], overlap_px=8)


def test_the_overlap_is_an_eighth_of_the_patch_unless_it_is_named():
    tile = example_tile(VARIABLES, shape=(20, 30))
    (found,), (named,) = predict(spreading(), [tile]), predict(spreading(), [tile], overlap_px=1)
    np.testing.assert_array_equal(found, named)
    assert not np.array_equal(found, predict(spreading(), [tile], overlap_px=4)[0], equal_nan=True)


def test_a_network_is_tried_with_one_patch():
    class Picky(torch.nn.Module):
        def forward(self, images):
            assert images.shape == (1, 2, 8, 8), f"got {tuple(images.shape)}"
            return images[:, :1]

    check_network(Picky(), channels=2, patch_px=8, device=CPU)
    with pytest.raises(CheckpointError, match=r"does not fit patches of 16 px, AssertionError: got \(1, 2, 16, 16\)"):
        check_network(Picky(), channels=2, patch_px=16, device=CPU)
    with pytest.raises(CheckpointError, match=r"patches of 8 px: .*one logit per pixel, shape \(1, 1, 8, 8\), but got"):
        check_network(torch.nn.MaxPool2d(2), channels=1, patch_px=8, device=CPU)


def test_a_network_is_tried_in_the_precision_that_is_wanted():
    class OnlySingle(torch.nn.Module):
        def forward(self, images):
            if torch.is_autocast_enabled("cpu"):
                raise NotImplementedError("not in half")
            return images

    check_network(OnlySingle(), channels=1, patch_px=8, device=CPU)
    with pytest.raises(
        CheckpointError, match="does not fit patches of 8 px in bfloat16, NotImplementedError: not in half"
    ):
        check_network(OnlySingle(), channels=1, patch_px=8, device=CPU, precision="bfloat16")


def test_a_network_that_gives_nan_for_zeros_is_refused():
    network = spreading()
    with torch.no_grad():
        network[1].bias.fill_(float("nan"))
    with pytest.raises(
        CheckpointError, match="expected numbers from the network for patches of 8 px, but it gave NaN for a"
    ):
        check_network(network, channels=2, patch_px=8, device=CPU)
