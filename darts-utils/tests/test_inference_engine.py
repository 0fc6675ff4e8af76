"""The engine against float64 brute force, MONAI, and its own promises."""

import math
import tracemalloc

import numpy as np
import odc.geo
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_utils.device import computed, to_numpy
from darts_utils.errors import CheckpointError, ConfigError
from darts_utils.inference import InferenceConfig, Normalization, Scaling, predict_probabilities
from darts_utils.patches import patch_weights
from darts_utils.testing import example_tile

CPU = torch.device("cpu")
NORMALIZATION = Normalization({"red": Scaling(0.0, 1e-4), "ndvi": Scaling(-1.0, 0.5)})
VARIABLES = ["red", "ndvi", "valid_data_mask"]


class Recorder(torch.nn.Module):
    """A network that keeps what it was given."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.seen = []

    def forward(self, images):
        self.seen.append(images.clone())
        return self.inner(images)


def pointwise(seed=0):
    """A 1 × 1 convolution: what it says about a pixel depends on nothing else."""
    torch.manual_seed(seed)
    return torch.nn.Conv2d(2, 1, 1).eval()


def positional(patch_px):
    """A network that says something else at each place of a patch, so that every weight counts."""

    class Positional(torch.nn.Module):
        def forward(self, images):
            ramp = torch.linspace(-2, 2, patch_px)
            return images.sum(1, keepdim=True) + ramp[:, None] - 2 * ramp[None, :]

    return Positional()


def predict(network, tiles, *, patch_px, **options):
    return predict_probabilities(
        network,
        tiles,
        normalization=NORMALIZATION,
        patch_px=patch_px,
        options=InferenceConfig(**{"overlap_px": 0, "batch_size": 3, **options}),
        device=CPU,
    )


def holed(tile, seed=1):
    """The tile with NaN in the index and with missing data."""
    rng = np.random.default_rng(seed)
    ndvi = tile.ndvi.values.copy()
    ndvi[rng.random(ndvi.shape) < 0.05] = np.nan
    valid = rng.random(ndvi.shape) < 0.8
    valid[: valid.shape[0] // 2, : valid.shape[1] // 3] = False
    return tile.assign(ndvi=tile.ndvi.copy(data=ndvi), valid_data_mask=tile.valid_data_mask.copy(data=valid))


def brute_force(network, tile, *, patch_px, overlap_px, padding_px=0, ramp="open"):
    """The definition, in double precision, written without a thought of memory or time."""
    channels = []
    for name, scaling in NORMALIZATION.scalings.items():
        values = tile[name].values.astype("float64")
        channels.append(np.nan_to_num(np.clip((values - scaling.offset) * scaling.scale, 0, 1), nan=0.0))
    image = np.pad(np.stack(channels), ((0, 0), (padding_px,) * 2, (padding_px,) * 2), mode="reflect")
    height, width = image.shape[1:]
    image = np.pad(image, ((0, 0), (0, max(patch_px - height, 0)), (0, max(patch_px - width, 0))))

    def starts(length):
        step = patch_px - overlap_px
        last = length - patch_px
        return [min(index * step, last) for index in range(math.ceil(last / step) + 1)]

    line = np.array([min(1, (i + 1) / (overlap_px + 1), (patch_px - i) / (overlap_px + 1)) for i in range(patch_px)])
    weights = (
        np.outer(line, line) if ramp == "open" else patch_weights(patch_px=patch_px, overlap_px=overlap_px, ramp=ramp)
    )
    total, norm = np.zeros(image.shape[1:]), np.zeros(image.shape[1:])
    double = network.double()
    for row in starts(image.shape[1]):
        for column in starts(image.shape[2]):
            window = (slice(row, row + patch_px), slice(column, column + patch_px))
            with torch.no_grad():
                logit = double(torch.from_numpy(image[(slice(None), *window)][None].copy()))[0, 0].numpy()
            total[window] += weights / (1 + np.exp(-logit))
            norm[window] += weights
    network.float()
    inner = (slice(padding_px, padding_px + tile.sizes["y"]), slice(padding_px, padding_px + tile.sizes["x"]))
    with np.errstate(invalid="ignore"):
        return np.where(tile.valid_data_mask.values, (total / norm)[inner], np.nan)


@pytest.mark.parametrize(
    ("shape", "patch_px", "overlap_px", "padding_px"),
    [
        ((40, 53), 16, 0, 0),
        ((40, 53), 16, 5, 0),
        ((33, 32), 16, 15, 0),
        ((32, 48), 16, 8, 3),
        ((9, 40), 16, 4, 0),
        ((5, 3), 16, 4, 0),
        ((5, 3), 16, 4, 12),
        ((1, 1), 8, 7, 9),
        ((1, 30), 8, 2, 20),
    ],
)
def test_equal_to_the_definition_in_double_precision(shape, patch_px, overlap_px, padding_px):
    tile = holed(example_tile(VARIABLES, shape=shape))
    network = positional(patch_px)
    (found,) = predict(network, [tile], patch_px=patch_px, overlap_px=overlap_px, padding_px=padding_px)
    expected = brute_force(network, tile, patch_px=patch_px, overlap_px=overlap_px, padding_px=padding_px)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_equal_to_the_definition_with_a_network_that_looks_around():
    torch.manual_seed(3)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(2, 6, 5, padding=2), torch.nn.ReLU(), torch.nn.Conv2d(6, 1, 3, padding=1)
    ).eval()
    tile = holed(example_tile(VARIABLES, shape=(61, 47)))
    (found,) = predict(network, [tile], patch_px=20, overlap_px=13)
    np.testing.assert_allclose(found, brute_force(network, tile, patch_px=20, overlap_px=13), rtol=0, atol=1e-6)


def test_monai_agrees():
    """Same step and same weights; MONAI wants the overlap as a share of the patch and the weights as a map."""
    inferers = pytest.importorskip("monai.inferers.utils")
    tile = example_tile(VARIABLES, shape=(56, 72))
    tile = tile.assign(valid_data_mask=tile.valid_data_mask.copy(data=np.ones((56, 72), bool)))
    network = positional(16)
    (found,) = predict(network, [tile], patch_px=16, overlap_px=8)
    channels = [np.clip((tile[n].values - s.offset) * s.scale, 0, 1) for n, s in NORMALIZATION.scalings.items()]
    expected = inferers.sliding_window_inference(
        torch.from_numpy(np.stack(channels)[None].astype("float32")),
        roi_size=(16, 16),
        sw_batch_size=4,
        predictor=lambda images: torch.sigmoid(network(images)),
        overlap=0.5,
        roi_weight_map=torch.from_numpy(patch_weights(patch_px=16, overlap_px=8)),
    )
    np.testing.assert_allclose(found, expected[0, 0].numpy(), rtol=0, atol=2e-6)


@settings(deadline=None, max_examples=60)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=4),
    patch_px=st.integers(1, 14),
    data=st.data(),
)
def test_a_pointwise_network_says_the_same_wherever_the_windows_are(shapes, patch_px, data):
    overlap_px = data.draw(st.integers(0, patch_px - 1))
    padding_px = data.draw(st.integers(0, 20))
    batch_size = data.draw(st.integers(1, 5))
    ramp = data.draw(st.sampled_from(["open", "closed"]))
    tiles = [holed(example_tile(VARIABLES, shape=shape, seed=seed), seed) for seed, shape in enumerate(shapes)]
    network = pointwise()
    answers = predict(
        network,
        tiles,
        patch_px=patch_px,
        overlap_px=overlap_px,
        padding_px=padding_px,
        batch_size=batch_size,
        ramp=ramp,
    )
    for tile, found in zip(tiles, answers, strict=True):
        whole = brute_force(network, tile, patch_px=max(tile.sizes.values()), overlap_px=0)
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(np.isnan(found), ~tile.valid_data_mask.values)


def test_batches_have_one_shape_and_are_shared_by_tiles_of_different_shapes():
    network = Recorder(pointwise())
    tiles = [example_tile(VARIABLES, shape=shape) for shape in ((16, 24), (8, 8), (20, 9))]
    predict(network, tiles, patch_px=8, batch_size=4)
    assert [tuple(images.shape) for images in network.seen] == [(4, 2, 8, 8)] * 4  # 6 + 1 + 6 patches
    assert not network.seen[-1][1:].any()


def test_patches_without_valid_pixels_are_never_sent():
    network = Recorder(pointwise())
    tile = example_tile(VARIABLES, shape=(16, 24))
    valid = np.zeros((16, 24), bool)
    valid[9, 17] = True
    holed_tile = tile.assign(valid_data_mask=tile.valid_data_mask.copy(data=valid))
    nothing = tile.assign(valid_data_mask=tile.valid_data_mask.copy(data=np.zeros_like(valid)))
    one, none = predict(network, [holed_tile, nothing], patch_px=8, batch_size=1)
    assert len(network.seen) == 1
    assert np.isfinite(one).sum() == 1
    assert np.isfinite(one[9, 17])
    assert np.isnan(none).all()


def test_windows_that_see_only_the_mirrored_border_are_never_sent():
    network = Recorder(pointwise())
    predict(network, [example_tile(VARIABLES, shape=(8, 8))], patch_px=8, padding_px=16, batch_size=1)
    assert len(network.seen) == 1


def test_nan_is_a_value_and_costs_nothing_but_itself():
    tile = example_tile(VARIABLES, shape=(8, 8))
    network = Recorder(pointwise())
    ndvi = tile.ndvi.values.copy()
    ndvi[3, 4] = np.nan
    (whole,) = predict(network, [tile], patch_px=8, batch_size=1)
    (pierced,) = predict(network, [tile.assign(ndvi=tile.ndvi.copy(data=ndvi))], patch_px=8, batch_size=1)
    assert network.seen[1][0, 1, 3, 4] == 0
    differs = whole != pierced
    differs &= tile.valid_data_mask.values
    assert differs.sum() <= 1


def test_no_tile_at_all():
    assert predict(pointwise(), [], patch_px=8) == []


def test_dask_arrays_and_read_only_arrays_give_the_same(backend):
    tile = example_tile(VARIABLES, shape=(20, 30))
    (expected,) = predict(pointwise(), [tile], patch_px=8, overlap_px=3)
    (found,) = predict(pointwise(), [backend.tile(tile)], patch_px=8, overlap_px=3)
    np.testing.assert_array_equal(to_numpy(computed(found)), expected)


def test_a_tile_keeps_memory_only_while_its_patches_pass(monkeypatch):
    from darts_utils.inference import canvas, engine

    alive, most = set(), 0

    class Counted(canvas.Canvas):
        def open(self):
            nonlocal most
            super().open()
            alive.add(id(self))
            most = max(most, len(alive))

        def close(self):
            alive.discard(id(self))
            return super().close()

    monkeypatch.setattr(engine, "Canvas", Counted)
    predict(pointwise(), [example_tile(VARIABLES, shape=(16, 16)) for _ in range(12)], patch_px=8, batch_size=4)
    assert most <= 2  # one that the network works on, one that comes next
    assert not alive


@settings(deadline=None, max_examples=30)
@given(
    mates=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=3),
    place=st.integers(0, 3),
    overlap_px=st.integers(0, 7),
    batch_size=st.integers(1, 5),
)
def test_a_result_depends_on_no_other_tile(mates, place, overlap_px, batch_size):
    network = positional(8)
    tile = holed(example_tile(VARIABLES, shape=(19, 23)))
    tiles = [example_tile(VARIABLES, shape=shape, seed=5 + number) for number, shape in enumerate(mates)]
    tiles.insert(place, tile)
    (alone,) = predict(network, [tile], patch_px=8, overlap_px=overlap_px, batch_size=batch_size)
    together = predict(network, tiles, patch_px=8, overlap_px=overlap_px, batch_size=batch_size)
    np.testing.assert_array_equal(together[min(place, len(mates))], alone)


def test_symmetries_equal_the_mean_over_all_views_of_each_patch():
    torch.manual_seed(3)
    inner = torch.nn.Conv2d(2, 1, 3, padding=1).eval()

    class AllViews(torch.nn.Module):
        """Gives the logit of the mean probability, so that brute force can be asked about it."""

        def forward(self, images):
            answers = []
            for mirrored in (images, images.transpose(2, 3)):
                for turns in range(4):
                    said = torch.sigmoid(inner.to(images.dtype)(torch.rot90(mirrored, turns, (2, 3))))
                    back = torch.rot90(said, 4 - turns, (2, 3))
                    answers.append(back if mirrored is images else back.transpose(2, 3))
            return torch.logit(torch.stack(answers).mean(0))

    tile = holed(example_tile(VARIABLES, shape=(21, 30)))
    expected = brute_force(AllViews(), tile, patch_px=8, overlap_px=3)
    inner.float()
    (found,) = predict(inner, [tile], patch_px=8, overlap_px=3, symmetries=True)
    (plain,) = predict(inner, [tile], patch_px=8, overlap_px=3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert np.nanmax(np.abs(plain - found)) > 1e-3


def test_symmetries_are_refused_where_an_input_has_a_direction():
    names = ["red", "hillshade"]
    tile = example_tile([*names, "valid_data_mask"], shape=(8, 8))
    options = dict(
        normalization=Normalization({name: Scaling(0.0, 1.0) for name in names}),
        patch_px=8,
        device=torch.device("cpu"),
    )
    network = torch.nn.Conv2d(2, 1, 1).eval()
    for tiles in ([tile], []):
        with pytest.raises(ConfigError, match="symmetries, but the values of hillshade depend on where north is"):
            predict_probabilities(network, tiles, options=InferenceConfig(symmetries=True), **options)
    assert len(predict_probabilities(network, [tile], options=InferenceConfig(), **options)) == 1


def test_tiles_in_different_coordinate_systems_share_a_batch():
    one, other = (example_tile(VARIABLES, shape=(8, 8), seed=seed) for seed in (1, 2))
    other = other.assign_coords(spatial_ref=other.spatial_ref.assign_attrs(crs_wkt=odc.geo.CRS("EPSG:3413").to_wkt()))
    together = predict(pointwise(), [one, other], patch_px=8)
    for tile, found in zip((one, other), together, strict=True):
        np.testing.assert_array_equal(found, predict(pointwise(), [tile], patch_px=8)[0])


def test_memory_does_not_grow_with_the_number_of_patches():
    tile = example_tile(VARIABLES, shape=(96, 96))
    patches = 41**2
    tracemalloc.start()
    try:
        predict(pointwise(), [tile], patch_px=16, overlap_px=14)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    all_patches = patches * 2 * 16**2 * 4
    assert peak < all_patches / 4


def test_another_number_of_outputs_is_refused():
    with pytest.raises(CheckpointError, match=r"one logit per pixel, shape \(3, 1, 8, 8\), but got \(3, 2, 8, 8\)"):
        predict(torch.nn.Conv2d(2, 2, 1), [example_tile(VARIABLES)], patch_px=8)

    class Pair(torch.nn.Module):
        def forward(self, images):
            return images, images

    with pytest.raises(CheckpointError, match="but got tuple"):
        predict(Pair(), [example_tile(VARIABLES)], patch_px=8)


def test_the_inputs_stay_as_they_are():
    tile = example_tile(VARIABLES, shape=(20, 30))
    before = tile.copy(deep=True)
    predict(pointwise(), [tile], patch_px=8)
    xr.testing.assert_identical(tile, before)


def test_a_tile_twice_as_long_needs_no_more_memory_beside_its_result():
    def extra_bytes(rows):
        tile = example_tile(VARIABLES, shape=(rows, 64))
        predict(pointwise(), [tile], patch_px=16, overlap_px=4)  # what is imported or cached on the way is not counted
        tracemalloc.start()
        (result,) = predict(pointwise(), [tile], patch_px=16, overlap_px=4)
        extra = tracemalloc.get_traced_memory()[1] - result.nbytes
        tracemalloc.stop()
        return extra

    more_pixels = 2048 * 64
    assert extra_bytes(4096) - extra_bytes(2048) < 2 * more_pixels  # the list of windows; a sum would take 8 each


def test_rows_without_data_between_rows_with_data():
    tile = example_tile(VARIABLES, shape=(60, 20))
    valid = np.zeros((60, 20), bool)
    valid[3:5], valid[50:53, 4:9] = True, True
    tile = tile.assign(valid_data_mask=tile.valid_data_mask.copy(data=valid))
    network = positional(8)
    (found,) = predict(network, [tile], patch_px=8, overlap_px=3)
    np.testing.assert_allclose(found, brute_force(network, tile, patch_px=8, overlap_px=3), rtol=0, atol=1e-6)
