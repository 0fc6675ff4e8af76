"""The way of raw values to a device: its arithmetic on the CPU, the whole of it on a CUDA device."""

import numpy as np
import pytest
import torch

from darts_utils.inference import InferenceConfig, Normalization, Scaling, predict_probabilities
from darts_utils.inference.batches import grouped, jobs_of
from darts_utils.inference.canvas import Canvas
from darts_utils.inference.cuda import CudaLane, scaled, travelling_dtypes
from darts_utils.inference.forward import Forward
from darts_utils.inference.lanes import HostLane
from darts_utils.inference.normalization import normalize_into
from darts_utils.testing import example_tile

CPU = torch.device("cpu")
VARIABLES = ["red", "ndvi", "tc_wetness", "valid_data_mask"]
NORMALIZATION = Normalization(
    {"red": Scaling(0.0, 1e-4), "ndvi": Scaling(-1.0, 0.5), "tc_wetness": Scaling(3.0, 1 / 250)}
)


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_scaling_on_a_device_gives_the_same_bits(dtype, clip):
    rng = np.random.default_rng(0)
    values = (rng.random((1, 64, 64)) * 70_000 - 2000).astype("float32")
    values = values if dtype == "float32" else values.clip(0, np.iinfo(dtype).max).astype(dtype)
    if dtype == "float32":
        values[0, 0, :4] = [np.nan, np.inf, -np.inf, 3e38]
    scaling = Scaling(12.7, 3.1, clip)
    expected = np.empty((64, 64), "float32")
    normalize_into(expected, values[0], scaling)
    raw = torch.from_numpy(values.view("int16") if dtype == "uint16" else values)
    found = scaled(raw, scaling, dtype=np.dtype(dtype))
    np.testing.assert_array_equal(found[0].numpy(), expected)


def test_whole_numbers_travel_as_they_are():
    one, other = (example_tile(VARIABLES, shape=(8, 8), seed=seed) for seed in (1, 2))
    assert [str(d) for d in travelling_dtypes([one, other], variables=VARIABLES[:3])] == ["uint16", "float32", "uint8"]
    other = other.assign(red=other.red.astype("float64"), ndvi=other.ndvi.astype("float64"))
    assert [str(d) for d in travelling_dtypes([one, other], variables=VARIABLES[:3])] == ["float32", "float32", "uint8"]
    assert str(travelling_dtypes([other], variables=["ndvi"])[0]) == "float32"


def test_a_lane_of_raw_values_gives_what_the_lane_on_the_cpu_gives():
    class First(torch.nn.Module):
        def forward(self, images):
            return images[:, :1] + 2 * images[:, 1:2] - images[:, 2:]

    tiles = [example_tile(VARIABLES, shape=shape, seed=3) for shape in ((20, 13), (5, 6))]
    canvases = [
        Canvas(tile, variables=NORMALIZATION.variables, overlap_px=2, padding_px=3, line=np.ones(16)) for tile in tiles
    ]
    forward = Forward(First(), device=CPU, dtype=torch.float32)
    raw = CudaLane(
        forward,
        normalization=NORMALIZATION,
        dtypes=travelling_dtypes(tiles, variables=NORMALIZATION.variables),
        batch_size=3,
        patch_px=16,
        device=CPU,
        copying=None,
    )
    host = HostLane(forward, normalization=NORMALIZATION, batch_size=3, patch_px=16)
    batches = list(grouped(jobs_of(canvases), size=3))
    assert [len(batch) for batch in batches] == [3, 2]
    for canvas in canvases:
        canvas.open()
    for batch in batches:
        for lane in (raw, host):
            lane.load(batch)
            lane.send()
        np.testing.assert_array_equal(raw.meet(), host.meet())


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", None])
def test_a_cuda_device_says_what_the_cpu_says(precision):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 1, 1)).eval()
    tiles = [example_tile(VARIABLES, shape=shape, seed=3) for shape in ((200, 130), (5, 6), (64, 64))]
    options = InferenceConfig(batch_size=3, precision=precision)
    named = {"normalization": NORMALIZATION, "patch_px": 32}
    expected = predict_probabilities(network, tiles, options=InferenceConfig(batch_size=3), device=CPU, **named)
    device = torch.device("cuda:0")
    found = predict_probabilities(network.to(device), tiles, options=options, device=device, **named)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3 if precision else 0.02)
