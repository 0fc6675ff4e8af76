"""What a model says is held to the contract before it is averaged."""

import numpy as np
import pytest

from darts_ensemble import Ensemble, run_stages
from darts_ensemble.answers import checked_probabilities
from darts_utils.errors import ModelAnswerError
from darts_utils.testing import example_tile


def tile_and_answer(change=None):
    tile = example_tile(["valid_data_mask"], shape=(70, 9))
    values = np.where(tile.valid_data_mask, np.float32(0.25), np.float32(np.nan))
    if change is not None:
        values = change(tile, values)
    return tile, tile.assign(probabilities=(("y", "x"), values))


def set_at(where, value):
    def change(tile, values):
        row, column = np.argwhere(tile.valid_data_mask.values == where)[3]
        values[row, column] = value
        return values

    return change


def test_probabilities_pass_on_every_backend(backend):
    tile, answer = tile_and_answer()
    values = checked_probabilities(backend.tile(answer), backend.tile(tile), model="model 'm'")
    np.testing.assert_array_equal(backend.values(values), answer.probabilities.values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_at(True, np.nan), "but got 1 px with NaN where the tile is valid"),
        (set_at(False, 0.5), "but got 1 px with numbers where the tile is not valid"),
        (set_at(True, 1.01), "but got 1 px with numbers outside 0 … 1"),
        (set_at(True, -3), "but got 1 px with numbers outside 0 … 1"),
        (lambda _, values: values * 100, r"but got \d+ px with numbers outside 0 … 1: the model or its package"),
        (
            lambda _, values: values.astype("float64"),
            r"of float32, dims .* and shape \(70, 9\), but got an array of float64",
        ),
    ],
)
def test_what_is_none_is_refused_with_the_model_and_the_tile(change, message):
    tile, answer = tile_and_answer(change)
    with pytest.raises(ModelAnswerError, match=rf"expected model 'm' to give tile 'example-0' .*{message}"):
        checked_probabilities(answer, tile, model="model 'm'")


def test_another_shape_and_no_answer_at_all_are_refused():
    tile, answer = tile_and_answer()
    with pytest.raises(
        ModelAnswerError, match=r"shape \(70, 9\), but got an array of float32, dims .* and shape \(60, 9\)"
    ):
        checked_probabilities(answer.isel(y=slice(0, 60)), tile, model="model 'm'")
    with pytest.raises(ModelAnswerError, match="but got none"):
        checked_probabilities(tile, tile, model="model 'm'")


def test_probabilities_that_lie_elsewhere_are_refused():
    tile = example_tile(["valid_data_mask"], shape=(9, 9))
    everywhere = tile.assign(valid_data_mask=tile.valid_data_mask | True)
    answer = everywhere.assign(probabilities=(("y", "x"), np.full((9, 9), 0.5, "float32")))
    with pytest.raises(ModelAnswerError, match=r"but got an array of float32, dims \('x', 'y'\) and shape \(9, 9\)"):
        checked_probabilities(answer.transpose("x", "y"), everywhere, model="model 'm'")
    with pytest.raises(ModelAnswerError, match="at the tile's own coordinates, but got others in x"):
        checked_probabilities(answer.assign_coords(x=answer.x + 3), everywhere, model="model 'm'")


ROUNDED = [(np.nextafter(np.float32(1), np.float32(2)), 1), (np.float32(1 + 9e-7), 1), (np.float32(-9e-7), 0)]
"""A probability of a model that rounds otherwise, and what it is."""


@pytest.mark.parametrize(("said", "meant"), ROUNDED)
def test_a_rounding_error_is_no_fault_and_goes_no_further(backend, said, meant):
    tile, answer = tile_and_answer(set_at(True, said))
    _, expected = tile_and_answer(set_at(True, meant))
    values = backend.values(checked_probabilities(backend.tile(answer), backend.tile(tile), model="model 'm'"))
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, expected.probabilities.values)
    assert (answer.probabilities == said).any()  # what the model keeps is its own


def test_what_is_within_the_range_is_not_copied():
    tile, answer = tile_and_answer(set_at(True, 1))
    assert checked_probabilities(answer, tile, model="model 'm'") is answer.probabilities.data


class Odd:
    """A model whose answers are set by the test."""

    name = "odd"
    required_variables = ()

    def __init__(self, answers):
        self.answers = answers

    def inference_batched(self, tiles, /, *, options):
        return self.answers(tiles) if tiles else []


@pytest.mark.parametrize(("said", "meant"), ROUNDED)
def test_no_result_is_outside_by_rounding(said, meant):
    tile, answer = tile_and_answer(set_at(True, said))
    _, expected = tile_and_answer(set_at(True, meant))
    model = Odd(lambda _: [answer])
    result = Ensemble({"a": model}).inference(tile, keep_members=True)
    for name in ("probabilities", "probabilities-a"):
        np.testing.assert_array_equal(result[name].values, expected.probabilities.values)
    np.testing.assert_array_equal(run_stages(tile, stages=[model]).probabilities.values, expected.probabilities.values)


def test_an_ensemble_names_the_member_that_is_at_fault():
    tile, answer = tile_and_answer(set_at(True, np.nan))
    with pytest.raises(ModelAnswerError, match="expected model 'a' of ensemble 'ensemble' to give tile 'example-0'"):
        Ensemble({"a": Odd(lambda _: [answer])}).inference(tile)
    with pytest.raises(
        ModelAnswerError, match="expected model 'a' of ensemble 'ensemble' to give one tile for each of 1, but got 2"
    ):
        Ensemble({"a": Odd(lambda _: [answer, answer])}).inference(tile)
    for nothing, kind in ((None, "NoneType"), ([None], "list"), (answer, "Dataset")):
        with pytest.raises(ModelAnswerError, match=f"of ensemble 'ensemble' to give a list of tiles, but got {kind}"):
            Ensemble({"a": Odd(lambda _, nothing=nothing: nothing)}).inference(tile)
    _, answer = tile_and_answer()
    assert Ensemble({"a": Odd(lambda _: (answer,))}).inference(tile).probabilities.equals(answer.probabilities)
