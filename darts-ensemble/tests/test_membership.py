"""Members that cannot run on a tile: an error, or left out where asked."""

import contextlib
import functools

import numpy as np
import pytest
import xarray as xr

from darts_ensemble import Ensemble
from darts_utils.errors import ConfigError, DartsWarning, MissingVariableError
from darts_utils.testing import assert_verb_contract, example_tile
from darts_utils.tile_io import read_tile, write_tile
from darts_utils.tiles import variable

TRENDS = ("tc_brightness", "tc_greenness", "tc_wetness")


class Says:
    """A model with one answer, which records the sizes of its batches."""

    def __init__(self, name, probability, *, needs=()):
        self.name, self.probability, self.required_variables = name, probability, (*needs, "valid_data_mask")
        self.batches = []

    def inference_batched(self, tiles, /, *, options):
        if tiles:
            self.batches.append([tile.attrs["tile_id"] for tile in tiles])
        return [
            tile.assign(probabilities=variable("probabilities", self.values(tile), source=self.name)) for tile in tiles
        ]

    def values(self, tile):
        return np.where(tile.valid_data_mask.values, np.float32(self.probability), np.float32(np.nan))


def tile_of(*names, seed=0, shape=(10, 12)):
    return example_tile(["red", *names, "valid_data_mask"], seed=seed, shape=shape)


@pytest.fixture
def ensemble():
    members = {
        "full": Says("full", 0.9, needs=("red", *TRENDS, "slope")),
        "terrain": Says("terrain", 0.5, needs=("red", "slope")),
        "optical": Says("optical", 0.1, needs=("red",)),
    }
    return Ensemble(members, weights={"full": 4, "terrain": 1, "optical": 3})


def infer(ensemble, tile, **options):
    with pytest.warns(DartsWarning) as caught:
        result = ensemble.inference(tile, missing="skip", **options)
    (warning,) = caught
    return result, str(warning.message)


def test_a_member_is_left_out_and_recorded(ensemble):
    tile = tile_of("slope")
    result, warning = infer(ensemble, tile, keep_members=True, keep_std=True)
    valid = tile.valid_data_mask.values
    np.testing.assert_allclose(result.probabilities.values[valid], (1 * 0.5 + 3 * 0.1) / 4, atol=1e-7)
    std = np.sqrt((1 * (0.5 - 0.2) ** 2 + 3 * (0.1 - 0.2) ** 2) / 4)
    np.testing.assert_allclose(result.probabilities_std.values[valid], std, atol=1e-7)
    assert "probabilities-full" not in result
    assert "probabilities-terrain" in result
    attrs = result.probabilities.attrs
    assert attrs["members"] == ["terrain", "optical"]
    assert attrs["member_weights"] == [0.25, 0.75]
    assert attrs["members_left_out"] == {"full": "needs tc_brightness, tc_greenness, tc_wetness, which the tile lacks"}
    assert attrs["source"] == "weighted mean of terrain (1), optical (3)"
    assert result.probabilities_std.attrs["members_left_out"] == attrs["members_left_out"]
    assert warning == (
        "tile 'example-0': ensemble 'ensemble' does without model 'full' (needs tc_brightness, tc_greenness, tc_wetness, "
        "which the tile lacks); the mean is that of terrain, optical"
    )


def test_the_record_survives_a_tile_file(ensemble, tmp_path):
    result, _ = infer(ensemble, tile_of("slope"))
    xr.testing.assert_identical(read_tile(write_tile(result, tmp_path / "tile.nc")), result)


def test_skipping_is_the_ensemble_of_those_that_are_left(ensemble):
    tile = tile_of("slope")
    names = ("terrain", "optical")
    smaller = Ensemble(
        {name: ensemble.members[name] for name in names}, weights={name: ensemble.weights[name] for name in names}
    )
    result, _ = infer(ensemble, tile)
    np.testing.assert_array_equal(result.probabilities.values, smaller.inference(tile).probabilities.values)


def test_where_nothing_is_missing_skip_changes_nothing(ensemble):
    tile = tile_of("slope", *TRENDS)
    xr.testing.assert_identical(ensemble.inference(tile, missing="skip"), ensemble.inference(tile))
    assert "members_left_out" not in ensemble.inference(tile).probabilities.attrs
    assert ensemble.inference(tile).probabilities.attrs["member_weights"] == [0.5, 0.125, 0.375]


def test_one_member_that_is_left_has_no_spread(ensemble):
    tile = tile_of()
    result, _ = infer(ensemble, tile, keep_std=True)
    valid = tile.valid_data_mask.values
    assert result.probabilities.attrs["source"] == "mean of optical"
    np.testing.assert_array_equal(result.probabilities.values[valid], np.float32(0.1))
    assert not result.probabilities_std.values[valid].any()


def test_each_tile_has_its_members_and_each_member_sees_its_tiles_at_once(ensemble):
    tiles = [
        tile_of(seed=0),
        tile_of("slope", *TRENDS, seed=1, shape=(5, 6)),
        tile_of("slope", seed=2),
        tile_of(*TRENDS, seed=3),
    ]
    with pytest.warns(DartsWarning) as caught:
        together = ensemble.inference_batched(tiles, missing="skip", keep_members=True)
    assert len(caught) == 3
    assert [model.batches for model in ensemble.members.values()] == [
        [["example-1"]],
        [["example-1", "example-2"]],
        [["example-0", "example-1", "example-2", "example-3"]],
    ]
    for tile, result in zip(tiles, together, strict=True):
        with (
            pytest.warns(DartsWarning) if "members_left_out" in result.probabilities.attrs else contextlib.nullcontext()
        ):
            xr.testing.assert_identical(ensemble.inference(tile, missing="skip", keep_members=True), result)


def test_contract_with_a_member_left_out(ensemble):
    verb = functools.partial(ensemble.inference, missing="skip")
    assert_verb_contract(
        verb, tile_of("slope"), adds=["probabilities"], needs=["red", "valid_data_mask"], nodata_where="valid_data_mask"
    )


def test_a_tile_on_which_no_member_can_run_is_an_error_before_any_work(ensemble):
    tiles = [tile_of("slope"), tile_of("slope", seed=1).drop_vars("red")]
    with pytest.raises(
        MissingVariableError,
        match="ensemble 'ensemble' needs 'red'.*; tile 'example-1' has slope.*no member can run .*'optical' needs red",
    ):
        ensemble.inference_batched(tiles, missing="skip")
    assert not any(model.batches for model in ensemble.members.values())


def test_by_default_a_missing_variable_is_an_error_before_any_work(ensemble):
    with pytest.raises(MissingVariableError, match="model 'full' of ensemble 'ensemble' needs"):
        ensemble.inference_batched([tile_of("slope", *TRENDS), tile_of("slope")])
    assert not any(model.batches for model in ensemble.members.values())


def test_the_mask_is_needed_even_if_no_member_asks_for_it():
    class Careless(Says):
        def __init__(self):
            super().__init__("careless", 0.5)
            self.required_variables = ("red",)

    ensemble = Ensemble({"careless": Careless()})
    assert ensemble.required_variables == ("red", "valid_data_mask")
    with pytest.raises(MissingVariableError, match="valid_data_mask"):
        ensemble.inference(tile_of().drop_vars("valid_data_mask"))


def test_other_words_than_raise_and_skip_are_refused(ensemble):
    with pytest.raises(ConfigError, match="expected missing to be one of raise, skip, but got 'ignore'"):
        ensemble.inference(tile_of(), missing="ignore")


def test_usable_members_are_those_whose_variables_are_there(ensemble):
    assert ensemble.usable_members(["red", "slope", "valid_data_mask"]) == ("terrain", "optical")
    assert ensemble.usable_members([]) == ()
    assert ensemble.usable_members(ensemble.required_variables) == ("full", "terrain", "optical")
