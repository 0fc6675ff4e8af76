"""``darts ensemble`` on tile files, with the models of a framework that is installed for the test alone."""

import warnings
from dataclasses import fields
from inspect import signature

import numpy as np
import pytest
import torch

from darts_ensemble import Ensemble
from darts_ensemble.cli import ensemble as ensemble_command
from darts_utils.cli import app
from darts_utils.errors import DartsWarning
from darts_utils.inference import Checkpoint, InferenceConfig, write_checkpoint
from darts_utils.testing import example_tile
from darts_utils.tile_io import read_tile, write_tile

FRAMEWORK = '''
import numpy as np

from darts_utils.inference import read_checkpoint
from darts_utils.tiles import variable


class Brightness:
    """A model of another package: a pixel is as probable as its first input is bright."""

    def __init__(self, checkpoint, *, name, device="auto"):
        self.name, self._inputs, self._patch_px = name, checkpoint.input_combination, checkpoint.patch_px
        self._scale = float(checkpoint.statedict["scale"])

    @classmethod
    def load(cls, path, *, device="auto", name=None):
        return cls(read_checkpoint(path), name=name or path.stem, device=device)

    @property
    def required_variables(self):
        return (*self._inputs, "valid_data_mask")

    def inference(self, tile, *, options):
        return self.inference_batched([tile], options=options)[0]

    def inference_batched(self, tiles, *, options):
        options.overlap_for(self._patch_px)
        return [tile.assign(probabilities=variable("probabilities", self._values(tile), source=self.name)) for tile in tiles]

    def _values(self, tile):
        values = tile[self._inputs[0]].values * self._scale
        return np.where(tile["valid_data_mask"].values, values, np.nan).astype("float32")
'''


@pytest.fixture
def _plugin(tmp_path, monkeypatch):
    """A package with a framework of its own, found as pip leaves it."""
    site = tmp_path / "site"
    info = site / "bright_models-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "bright_models.py").write_text(FRAMEWORK)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bright-models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[darts.models]\nbrightness = bright_models:Brightness\n")
    monkeypatch.syspath_prepend(site)


def write_model(path, *, inputs=("red",), scale=1e-4):
    config = {
        "model_framework": "brightness",
        "model": {},
        "input_combination": list(inputs),
        "patch_size": 8,
        "normalization": {name: {"offset": 0.0, "scale": 1.0, "clip": True} for name in inputs},
    }
    return write_checkpoint(path, Checkpoint(config, {"scale": torch.tensor(scale, dtype=torch.float64)}))


def write_segmenter(path, inputs, *, patch_px=32):
    networks = pytest.importorskip("darts_segmentation.networks")
    torch.manual_seed(0)
    model = {"arch": "Unet", "encoder_name": "tu-test_resnet", "in_channels": len(inputs)}
    config = {
        "model_framework": "smp",
        "model": model,
        "input_combination": list(inputs),
        "patch_size": patch_px,
        "normalization": {each: {"offset": 0.0, "scale": 1e-2, "clip": True} for each in inputs},
    }
    return write_checkpoint(path, Checkpoint(config, networks.build_network(model).state_dict()))


@pytest.fixture
def models(tmp_path, _plugin):
    write_model(tmp_path / "models" / "bright.pt")
    write_model(tmp_path / "models" / "steep.pt", inputs=("slope", "red"), scale=1e-2)
    return tmp_path / "models"


@pytest.fixture
def tiles(tmp_path):
    """A folder of two tiles, of which the second has no slope."""
    for seed, names in ((0, ("red", "slope")), (1, ("red",))):
        tile = example_tile([*names, "valid_data_mask"], shape=(20, 30), seed=seed)
        write_tile(tile, tmp_path / "tiles" / f"{seed}.nc")
    return tmp_path / "tiles"


@pytest.fixture
def darts(capsys):
    def run(*arguments):
        with warnings.catch_warnings(), pytest.raises(SystemExit) as stopped:
            app(["ensemble", *map(str, arguments)])
        printed = capsys.readouterr()
        return stopped.value.code, printed.out, printed.err

    return run


def test_tiles_are_written_with_what_the_ensemble_says(darts, models, tiles, tmp_path):
    out = tmp_path / "out"
    code, text, err = darts(
        tiles / "0.nc", "--models", models, "--out", out, "--weights", "bright=3,steep=1", "--keep-members", "--keep-std",
        "--overlap-px", 2,
    )  # fmt: skip
    assert code == 0, err
    assert "ensemble: 1 of 1 done" in text
    ensemble = Ensemble.load(models, weights={"bright": 3, "steep": 1})
    expected = ensemble.inference(
        read_tile(tiles / "0.nc"), options=InferenceConfig(overlap_px=2), keep_members=True, keep_std=True
    )
    assert read_tile(out / "0.nc").identical(expected)
    assert {"probabilities-bright", "probabilities-steep", "probabilities_std"} <= set(expected.data_vars)


def test_a_tile_that_lacks_something_fails_alone_or_is_mapped_without_the_member(darts, models, tiles, tmp_path):
    out = tmp_path / "out"
    code, text, err = darts(tiles, "--models", models, "--out", out)
    assert code == 1
    assert "ensemble: 1 of 2 done" in text
    assert "model 'steep' of ensemble 'ensemble' needs 'slope'" in err
    assert [path.name for path in out.iterdir()] == ["0.nc"]
    code, text, err = darts(tiles, "--models", models, "--out", out, "--missing", "skip")
    assert code == 0
    assert "ensemble: 2 of 2 done" in text
    assert "does without model 'steep' (needs slope, which the tile lacks)" in err
    assert read_tile(out / "1.nc").probabilities.attrs["members"] == ["bright"]
    assert read_tile(out / "0.nc").probabilities.attrs["members"] == ["bright", "steep"]


def test_small_tiles_go_through_the_models_together_and_come_out_as_alone(darts, models, tiles, tmp_path, monkeypatch):
    together = []
    inference_batched = Ensemble.inference_batched

    def counted(ensemble, group, /, **options):
        together.append(len(group))
        return inference_batched(ensemble, group, **options)

    monkeypatch.setattr(Ensemble, "inference_batched", counted)
    code, _, err = darts(tiles, "--models", models, "--out", tmp_path / "out", "--missing", "skip")
    assert code == 0, err
    assert together == [0, 2]  # the options, then both tiles
    ensemble = Ensemble.load(models)
    for name in ("0.nc", "1.nc"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DartsWarning)
            alone = ensemble.inference(read_tile(tiles / name), missing="skip")
        assert read_tile(tmp_path / "out" / name).identical(alone)


def test_there_is_an_option_for_all_that_inference_can_do():
    of_inference = {field.name for field in fields(InferenceConfig)}
    choices = {*signature(Ensemble.inference).parameters} - {"self", "tile", "options"}
    assert of_inference | choices <= set(signature(ensemble_command).parameters)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weights", "bright=1,gone=2"], "expected weights for the members bright, steep, but got one for gone"),
        (["--weights", "bright"], "--weights: expected names and numbers like full=2,optical=1, but got 'bright'"),
        (["--weights", "bright=0,steep=1"], "expected the weight of 'bright' to be a finite number above 0"),
        (["--overlap-px", "8"], "member 'bright' of ensemble 'ensemble': expected an overlap of 0 to 7 px"),
        (["--ramp", "steep"], "expected ramp to be one of open, closed"),
        (["--missing", "ignore"], "'ignore' is not one of"),
        (["--device", "cuda:77", "--models", "gone.pt"], "expected a model file or a folder at 'gone.pt'"),
    ],
)
def test_wrong_usage_is_one_line_and_nothing_is_written(darts, models, tiles, tmp_path, options, message):
    code, _, err = darts(tiles, "--models", models, "--out", tmp_path / "out", *options)
    assert code == 2
    assert message in " ".join(err.split())
    assert not (tmp_path / "out").exists()


def test_no_tile_is_wrong_usage(darts, models, tmp_path):
    code, _, err = darts(tmp_path / "gone", "--models", models, "--out", tmp_path / "out")
    assert code == 2
    assert "expected a tile file, or a folder of *.nc files, at" in err


def test_frameworks_mix(models, tmp_path):
    """A plug-in's model and networks of other inputs and patch sizes; a tile that not all can run on."""
    segmenter = write_segmenter(tmp_path / "smp.pt", ("red", "ndvi"))
    finer = write_segmenter(tmp_path / "finer.pt", ("ndvi",), patch_px=64)
    ensemble = Ensemble.load([models, segmenter, finer], device="cpu")
    assert [type(model).__name__ for model in ensemble.members.values()] == [
        "Brightness",
        "Brightness",
        *["Segmenter"] * 2,
    ]
    assert ensemble.required_variables == ("red", "valid_data_mask", "slope", "ndvi")
    tiles = [
        example_tile(["red", "ndvi", *names, "valid_data_mask"], shape=shape, seed=seed)
        for seed, (names, shape) in enumerate(((("slope",), (70, 40)), ((), (20, 90))))
    ]
    options = InferenceConfig(overlap_px=4, batch_size=2)
    with pytest.warns(DartsWarning, match="does without model 'steep'"):
        together = ensemble.inference_batched(tiles, options=options, keep_members=True, missing="skip")
    for tile, result, names in zip(tiles, together, (list(ensemble.members), ["bright", "smp", "finer"]), strict=True):
        assert result.probabilities.attrs["members"] == names
        each = [ensemble.members[name].inference(tile, options=options).probabilities.values for name in names]
        np.testing.assert_allclose(result.probabilities.values, np.mean(each, axis=0, dtype="float64"), atol=1e-7)
        for name, values in zip(names, each, strict=True):
            np.testing.assert_array_equal(result[f"probabilities-{name}"].values, values)
