"""What a training refuses before it starts."""

import dataclasses

import numpy as np
import pytest

from darts_segmentation.training.plan import make_plan
from darts_segmentation.training.testing import SMALL_NETWORK, small_training
from darts_train_utils.config import AugmentationConfig, SplitConfig
from darts_train_utils.patch_store import PatchStore, write_scene
from darts_train_utils.splits import Split
from darts_utils.errors import ConfigError, TrainingDataError

CONFIG = small_training()


def plan_for(data, *, split=None, **changes):
    return make_plan(PatchStore(data), config=dataclasses.replace(CONFIG, **changes), split=split)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"inputs": ("red", "ndvi")}, TrainingDataError, "expected patches with ndvi, but the data have red, slope"),
        ({"network": {"arch": "Unet", "encoder_name": "resnet9000"}}, ConfigError, "encoder_name"),
        ({"network": {**SMALL_NETWORK, "in_channels": 7}}, ConfigError, r"in_channels to be 2, .* has 7"),
        (
            {"network": {**SMALL_NETWORK, "encoder_weights": "imagenet"}},
            ConfigError,
            "got 'imagenet': nothing is downloaded",
        ),
        ({"patch_px": 50}, ConfigError, "edge of patch_px to be divisible by 32 px"),
        (
            {"network": {"arch": "PAN", "encoder_name": "tu-test_resnet"}},
            ConfigError,
            r"cannot be used for patch_px and stored patches: the network does not fit patches of 32 px, Run.*; choose another",
        ),
        (
            {"network": {"arch": "FPN", "encoder_name": "tu-test_resnet", "upsampling": 2}},
            ConfigError,
            r"does not fit patches of 32 px: .*shape \(1, 1, 32, 32\), but got \(1, 1, 16, 16\)",
        ),
        ({"augmentation": AugmentationConfig(crop_px=20)}, ConfigError, "edge of crop_px to be divisible"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_done(data, changes, error, message):
    with pytest.raises(error, match=message):
        plan_for(data, **changes)


def write_labels(folder, labels, **variables):
    shape = labels.shape
    left = 1000.0 * np.arange(len(labels))
    bounds = np.stack([left, left * 0, left + 900, left * 0 + 900], axis=1)
    values = {"red": np.random.default_rng(0).integers(0, 9, shape, "uint16"), **variables}
    write_scene(folder, scene="s", region="r", crs="EPSG:3413", bounds=bounds, variables=values, labels=labels)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "all known pixels are background"),
        (1, "all known pixels are of the class"),
        (2, r"no pixel has a label other than 2 \(ignored\)"),
    ],
)
def test_labels_that_teach_nothing_are_refused(tmp_path, value, message):
    write_labels(tmp_path, np.full((6, 32, 32), value, "uint8"))
    with pytest.raises(TrainingDataError, match=f"both classes among the .* training patches, but {message}"):
        plan_for(tmp_path, split=Split(*(np.array(rows) for rows in ([0, 1, 2], [3, 4], [5], []))))


def test_inputs_that_say_nothing_are_refused(tmp_path, data):
    labels = np.indices((4, 32, 32)).sum(axis=0).astype("uint8") % 2
    nothing = np.full(labels.shape, np.nan, "float32")
    write_labels(tmp_path, labels, slope=nothing, dem=np.zeros(labels.shape, "float32"))
    split = SplitConfig("random", 0.25, 0.25)
    with pytest.raises(TrainingDataError, match="expected values of slope where labels are known"):
        make_plan(PatchStore(tmp_path), config=dataclasses.replace(CONFIG, inputs=("red", "slope"), split=split))
    with pytest.raises(TrainingDataError, match="expected values of 'dem' to differ, but they are 0 nearly everywhere"):
        make_plan(PatchStore(tmp_path), config=dataclasses.replace(CONFIG, inputs=("dem",), split=split))


@pytest.mark.parametrize(
    ("augmentation", "remedy"),
    [
        (AugmentationConfig(), "symmetries = false and affine_probability = 0.0 in"),
        (AugmentationConfig(symmetries=False), "set affine_probability = 0.0 in"),
        (AugmentationConfig(affine_probability=0.0), "set symmetries = false in"),
        (AugmentationConfig(symmetries=False, affine_probability=0.0), None),
    ],
)
def test_samples_are_not_turned_where_an_input_has_a_direction(tmp_path, augmentation, remedy):
    labels = np.indices((4, 32, 32)).sum(axis=0).astype("uint8") % 2
    write_labels(tmp_path, labels, aspect=np.random.default_rng(0).uniform(0, 360, labels.shape).astype("float32"))
    options = {"augmentation": augmentation, "split": SplitConfig("random", 0.25, 0.25)}
    store, config = PatchStore(tmp_path), dataclasses.replace(CONFIG, **options)
    assert make_plan(store, config=dataclasses.replace(config, inputs=("red",))).normalization.variables == ("red",)
    if remedy is None:
        assert make_plan(store, config=config).normalization.variables == ("aspect", "red")
        return
    with pytest.raises(
        ConfigError, match=f"values of aspect depend on where north is: .*{remedy}.* leave aspect out of"
    ):
        make_plan(store, config=config)


def test_patches_that_are_not_square_or_a_split_without_training_are_refused(tmp_path, data):
    write_labels(tmp_path, np.zeros((4, 32, 64), "uint8"))
    with pytest.raises(TrainingDataError, match="expected square patches, but got 32 × 64 px"):
        plan_for(tmp_path)
    empty = np.array([], "int64")
    with pytest.raises(TrainingDataError, match="expected training patches, but the split has none"):
        plan_for(data, split=Split(empty, np.array([0]), np.array([1]), empty))
