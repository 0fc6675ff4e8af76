import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import rotate

from darts_train_utils.augmentation import augment, crop_window
from darts_train_utils.config import AugmentationConfig
from darts_utils.errors import TrainingDataError

NOTHING = dict(
    symmetries=False, affine_probability=0, brightness_probability=0, noise_probability=0, band_dropout_probability=0
)
ALL = AugmentationConfig(
    affine_probability=1, brightness_probability=1, noise_probability=1, band_dropout_probability=1
)


def a_sample(shape=(16, 16), channels=3):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, shape, dtype="uint8")
    image = rng.random((channels, *shape), dtype="float32")
    image.setflags(write=False)
    labels.setflags(write=False)
    return image, labels


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(0, 1000), st.integers(0, 10**6))
def test_a_sample_depends_on_seed_epoch_and_index_alone(seed, epoch, index):
    image, labels = a_sample()
    draw = dict(seed=seed, epoch=epoch, index=index)
    first = augment(image, labels, **draw, config=ALL)
    np.random.default_rng(1).random(5)
    again = augment(image, labels, **draw, config=ALL)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0].shape, first[0].dtype, first[1].shape, first[1].dtype) == (
        image.shape,
        image.dtype,
        labels.shape,
        labels.dtype,
    )
    other = augment(image, labels, seed=seed, epoch=epoch + 1, index=index, config=ALL)
    assert not np.array_equal(first[0], other[0], equal_nan=True)
    assert np.isnan(first[0]).all(axis=(1, 2)).sum() == 1


def test_symmetries_are_the_eight_and_move_labels_along():
    image, _ = a_sample(channels=1)
    labels = (image[0] * 3).astype("uint8")
    config = AugmentationConfig(**NOTHING | {"symmetries": True})
    seen = set()
    for index in range(100):
        turned, turned_labels = augment(image, labels, seed=0, epoch=0, index=index, config=config)
        np.testing.assert_array_equal((turned[0] * 3).astype("uint8"), turned_labels)
        seen.add(turned.tobytes())
    assert len(seen) == 8


def test_an_oblong_patch_keeps_its_shape():
    image, labels = a_sample((8, 12))
    for index in range(20):
        assert augment(image, labels, seed=0, epoch=0, index=index, config=ALL)[0].shape == image.shape


def test_missing_values_stay_missing_and_nothing_else_becomes_so():
    image, labels = a_sample()
    holed = image.copy()
    holed[1, 2:5, 3:9] = np.nan
    config = AugmentationConfig(**NOTHING | {"brightness_probability": 1, "noise_probability": 1})
    changed, same = augment(holed, labels, seed=0, epoch=0, index=0, config=config)
    np.testing.assert_array_equal(np.isnan(changed), np.isnan(holed))
    np.testing.assert_array_equal(same, labels)
    assert np.nanmax(np.abs(changed - holed)) < 0.1 + 0.05 + 6 * 0.02


def test_brightness_changes_all_variables_alike_or_each_by_itself():
    image, labels = a_sample()
    for by_variable, count in ((False, 1), (True, 3)):
        config = AugmentationConfig(
            **NOTHING | {"brightness_probability": 1}, brightness_by_variable=by_variable, max_gain=0.2, max_shift=0.1
        )
        changed, _ = augment(image, labels, seed=4, epoch=1, index=2, config=config)
        lines = [np.polyfit(old.ravel(), new.ravel(), 1) for old, new in zip(image, changed, strict=True)]
        rng = np.random.default_rng([4, 1, 2])
        for _ in range(2):  # whether it turns, whether brightness changes
            rng.random()
        gains, shifts = 1 + 0.2 * rng.uniform(-1, 1, count), 0.1 * rng.uniform(-1, 1, count)
        np.testing.assert_allclose([gain for gain, _ in lines], np.broadcast_to(gains, 3), rtol=1e-5)
        np.testing.assert_allclose([shift for _, shift in lines], np.broadcast_to(shifts, 3), atol=1e-5)


def test_the_usual_brightness_is_one_gain_and_one_shift_bit_for_bit():
    image, labels = a_sample()
    config = AugmentationConfig(**NOTHING | {"brightness_probability": 1})
    rng = np.random.default_rng([0, 0, 9])
    rng.random(2)
    gain, shift = rng.uniform(-1, 1, 2) * (config.max_gain, config.max_shift)
    expected = image * np.float32(1 + gain)
    expected += np.float32(shift)
    np.testing.assert_array_equal(augment(image, labels, seed=0, epoch=0, index=9, config=config)[0], expected)


@pytest.mark.parametrize("shape", [(40, 40), (30, 50)])
def test_a_turn_equals_scipy_and_outside_is_unknown(shape):
    y, x = np.mgrid[: shape[0], : shape[1]].astype("float32")
    image = np.stack([np.sin(x / 9) + np.cos(y / 7)]).astype("float32")
    labels = np.zeros(shape, "uint8")
    config = AugmentationConfig(**NOTHING | {"affine_probability": 1, "max_zoom": 1})
    turned, turned_labels = augment(image, labels, seed=5, epoch=0, index=0, config=config)
    rng = np.random.default_rng([5, 0, 0])
    rng.random()
    angle = rng.uniform(-1, 1) * config.max_turn_deg
    peer = rotate(image[0], angle, order=1, reshape=False, cval=np.nan)
    both = np.isfinite(peer) & np.isfinite(turned[0])
    assert both.mean() > 0.7
    np.testing.assert_allclose(turned[0][both], peer[both], atol=1e-3)
    np.testing.assert_array_equal(turned_labels == 2, np.isnan(turned[0]))
    assert 0 < (turned_labels == 2).mean() < 0.5


def test_the_only_channel_is_never_dropped():
    image, labels = a_sample(channels=1)
    config = AugmentationConfig(**NOTHING | {"band_dropout_probability": 1})
    np.testing.assert_array_equal(augment(image, labels, seed=0, epoch=0, index=0, config=config)[0], image)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(TrainingDataError, match=r"image \(C, H, W\)"):
        augment(np.zeros((3, 4, 4), "float32"), np.zeros((4, 5), "uint8"), seed=0, epoch=0, index=0, config=ALL)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 12), st.integers(12, 20), st.integers(12, 20), st.floats(0, 1), st.integers(0, 1000))
def test_a_crop_lies_in_the_patch_and_is_drawn_again_alike(edge, height, width, share, index):
    labels = np.random.default_rng(index).integers(0, 2, (height, width), dtype="uint8")
    draw = dict(seed=3, epoch=1, index=index, config=AugmentationConfig(crop_px=edge, crop_on_class_share=share))
    window = crop_window(labels, **draw)
    assert labels[window].shape == (edge, edge)
    assert window == crop_window(labels, **draw)


def test_crops_reach_everywhere_and_show_the_class_as_often_as_asked():
    labels = np.zeros((20, 20), "uint8")
    labels[0, 19] = labels[12, 5] = 1
    starts, with_class = set(), {}
    for share in (0.0, 0.5, 1.0):
        config = AugmentationConfig(crop_px=4, crop_on_class_share=share)
        windows = [crop_window(labels, seed=0, epoch=0, index=index, config=config) for index in range(1000)]
        with_class[share] = np.mean([labels[window].any() for window in windows])
        starts |= {each.start for window in windows for each in window}
    assert starts == {*range(17)}
    assert with_class[1.0] == 1
    assert with_class[0.0] < 0.15
    assert with_class[0.5] == pytest.approx((1 + with_class[0.0]) / 2, abs=0.05)
    config = AugmentationConfig(crop_px=4, crop_on_class_share=1.0)
    crop_window(
        np.zeros((20, 20), "uint8"), seed=0, epoch=0, index=0, config=config
    )  # nothing of the class is no error


def test_a_crop_larger_than_the_patch_is_refused():
    with pytest.raises(TrainingDataError, match=r"at least crop_px = 9, but got \(8, 20\)"):
        crop_window(np.zeros((8, 20), "uint8"), seed=0, epoch=0, index=0, config=AugmentationConfig(crop_px=9))
