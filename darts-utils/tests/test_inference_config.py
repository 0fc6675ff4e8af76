import pytest

from darts_utils.errors import ConfigError
from darts_utils.inference import InferenceConfig


@pytest.mark.parametrize(("patch_px", "overlap_px"), [(1, 0), (7, 0), (8, 1), (32, 4), (64, 8), (256, 32), (1024, 128)])
def test_the_overlap_is_an_eighth_of_the_patch_unless_it_is_named(patch_px, overlap_px):
    assert InferenceConfig().overlap_for(patch_px) == overlap_px
    assert InferenceConfig(overlap_px=0).overlap_for(patch_px) == 0
    assert InferenceConfig(overlap_px=patch_px - 1).overlap_for(patch_px) == patch_px - 1


@pytest.mark.parametrize("overlap_px", [8, 9, 1000])
def test_an_overlap_of_a_patch_or_more_is_refused(overlap_px):
    with pytest.raises(
        ConfigError,
        match=f"expected an overlap of 0 to 7 px, less than a patch of 8 px, but got overlap_px {overlap_px}",
    ):
        InferenceConfig(overlap_px=overlap_px).overlap_for(8)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("overlap_px", -1),
        ("batch_size", 0),
        ("padding_px", -2),
        ("patch_px", 0),
        ("batch_size", 2.0),
        ("padding_px", None),
        ("overlap_px", True),
    ],
)
def test_numbers_that_make_no_sense_are_refused(field, value):
    with pytest.raises(ConfigError, match=f"expected {field} to be a whole number of at least"):
        InferenceConfig(**{field: value})


def test_an_unknown_precision_is_refused():
    with pytest.raises(ConfigError, match="expected precision to be one of float32, bfloat16, float16, but got 'int8'"):
        InferenceConfig(precision="int8")


@pytest.mark.parametrize("field", ["symmetries", "compile_network"])
def test_a_switch_is_true_or_false(field):
    with pytest.raises(ConfigError, match=f"expected {field} to be True or False, but got 1"):
        InferenceConfig(**{field: 1})


@pytest.mark.parametrize(
    ("patch_px", "on_cpu", "on_cuda"),
    [(32, 8, 64), (128, 8, 64), (256, 4, 64), (512, 1, 16), (2048, 1, 1), (9999, 1, 1)],
)
def test_the_batch_suits_the_device_unless_it_is_named(patch_px, on_cpu, on_cuda):
    assert InferenceConfig().batch_size_for(patch_px, device_type="cpu") == on_cpu
    assert InferenceConfig().batch_size_for(patch_px, device_type="cuda") == on_cuda
    assert InferenceConfig(batch_size=3).batch_size_for(patch_px, device_type="cuda") == 3


def test_an_unknown_ramp_is_refused():
    with pytest.raises(ConfigError, match="expected ramp to be one of open, closed, but got 'steep'"):
        InferenceConfig(ramp="steep")
