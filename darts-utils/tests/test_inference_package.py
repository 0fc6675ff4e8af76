import subprocess
import sys

import pytest

import darts_utils.inference
from darts_utils.errors import MissingVariableError, TileContractError
from darts_utils.inference import require_model_inputs
from darts_utils.testing import example_tile


def test_the_public_names():
    assert sorted(darts_utils.inference.__all__) == [
        "Checkpoint",
        "DEFAULT_INFERENCE",
        "InferenceConfig",
        "LEGACY_NORMALIZATIONS",
        "ModelDescription",
        "Normalization",
        "Scaling",
        "check_network",
        "describe_checkpoint",
        "load_weights",
        "network_input",
        "parse_normalization",
        "predict_probabilities",
        "read_checkpoint",
        "require_model_inputs",
        "resolve_device",
        "rewrite_for_inference",
        "write_checkpoint",
    ]
    for name in darts_utils.inference.__all__:
        assert getattr(darts_utils.inference, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        _ = darts_utils.inference.predict


def test_importing_does_not_import_torch():
    code = "import sys, darts_utils.inference, darts_utils.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("missing", "hint"),
    [
        ("tc_wetness", r"give preprocessing the trends \(tcvis=\), or choose a model that needs less"),
        ("slope", r"give preprocessing an elevation model \(dem=\), or choose"),
        ("ndvi", "run preprocessing first, or choose"),
        ("valid_data_mask", "run preprocessing first, or choose"),
        ("probabilities", "run the model that makes it first, or choose"),
        ("wetness_index", "run preprocessing first, or choose"),
    ],
)
def test_a_missing_variable_says_where_it_comes_from(missing, hint):
    names = ["red", "ndvi", "slope", "tc_wetness", "valid_data_mask"]
    tile = example_tile([*names, "probabilities"])
    names = [*names, "probabilities", "wetness_index"]
    tile = tile.assign(wetness_index=tile.slope)  # the registry does not know it
    require_model_inputs(tile, names, consumer="model 'full'")
    with pytest.raises(MissingVariableError, match=rf"model 'full' needs '{missing}'; tile 'example-0' has .*: {hint}"):
        require_model_inputs(tile.drop_vars(missing), names, consumer="model 'full'")


def test_several_missing_variables_are_named_at_once():
    with pytest.raises(MissingVariableError, match=r"'slope', 'tc_wetness'.*tcvis=\) and give .*dem=\)"):
        require_model_inputs(example_tile(["red"]), ["slope", "tc_wetness"], consumer="model 'full'")


def test_what_is_no_tile_is_refused():
    with pytest.raises(TileContractError, match="needs the coordinates"):
        require_model_inputs(example_tile(["red"]).drop_vars("x"), ["red"], consumer="model 'full'")
