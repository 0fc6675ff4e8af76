"""Stages of stand-ins: two models, a step onto another grid, gates between them."""

import functools

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage

from darts_ensemble import Ensemble, Gate, run_stages, run_stages_batched
from darts_utils.errors import (
    ConfigError,
    GridMismatchError,
    MissingVariableError,
    ModelAnswerError,
    TileContractError,
)
from darts_utils.grids import coords_of, geobox_of
from darts_utils.inference.config import InferenceConfig
from darts_utils.testing import assert_verb_contract, example_tile
from darts_utils.tiles import variable

BANDS = ("red", "ndvi")


class Model:
    """Says something about each valid pixel, and counts the pixels that it was asked about in tiles of the test."""

    def __init__(self, name, answer, *, needs=BANDS):
        self.name, self.answer, self.required_variables = name, answer, (*needs, "valid_data_mask")
        self.asked_px = []

    def inference_batched(self, tiles, /, *, options):
        options.overlap_for(64)
        if tiles:
            self.asked_px.append([int(tile.valid_data_mask.sum()) for tile in tiles])
        return [
            tile.assign(probabilities=variable("probabilities", self.values(tile), source=self.name)) for tile in tiles
        ]

    def values(self, tile):
        valid = tile.valid_data_mask.values
        return np.where(valid, self.answer(tile), np.nan).astype("float32")


class Finer:
    """Halves the pixels, and computes bands where the tile is valid; elsewhere they are 0."""

    name = "finer"
    required_variables = (*BANDS, "valid_data_mask")

    def __init__(self, *, keep=("red", "ndvi", "valid_data_mask", "probabilities"), crs=None):
        self.keep, self.crs = keep, crs

    def inference_batched(self, tiles, /, *, options):
        return [self.refined(tile) for tile in tiles]

    def refined(self, tile):
        grid = geobox_of(tile)
        affine = Affine(grid.affine.a / 2, 0, grid.affine.c, 0, grid.affine.e / 2, grid.affine.f)
        finer = GeoBox((2 * grid.shape[0], 2 * grid.shape[1]), affine, self.crs if self.crs else grid.crs)
        result = xr.Dataset(coords=coords_of(finer), attrs=tile.attrs)
        valid = doubled(tile.valid_data_mask.values)
        for name in self.keep:
            if name in tile:
                values = doubled(tile[name].values)
                values = np.where(valid, values + values.dtype.type(1), 0) if name == "red" else values
                result[name] = (("y", "x"), values.astype(tile[name].dtype), tile[name].attrs)
        return result


def doubled(values):
    return values.repeat(2, axis=0).repeat(2, axis=1)


def tile_of(seed=0, shape=(40, 50), names=BANDS):
    return example_tile([*names, "valid_data_mask"], shape=shape, seed=seed)


@pytest.fixture
def cheap():
    return Model("cheap", lambda tile: np.abs(np.nan_to_num(tile.ndvi.values)))


@pytest.fixture
def better():
    return Model("better", lambda tile: tile.red.values / 20_000 + 0.2)


GATE = Gate(threshold=0.995, reach_px=3)


def open_pixels(cheap, tile, gate=GATE):
    found = np.nan_to_num(cheap.values(tile)) > gate.threshold
    near = ndimage.maximum_filter(found, size=2 * gate.reach_px + 1, mode="constant", cval=False)
    return near & tile.valid_data_mask.values


def test_behind_a_gate_each_pixel_has_what_the_last_model_said_that_saw_it(cheap, better):
    tile = tile_of()
    result = run_stages(tile, stages=[cheap, GATE, better])
    seen = open_pixels(cheap, tile)
    assert 0 < seen.sum() < tile.valid_data_mask.values.sum()
    expected = np.where(seen, better.values(tile), cheap.values(tile))
    np.testing.assert_array_equal(result.probabilities.values, expected)
    assert (expected[~seen & tile.valid_data_mask.values] <= GATE.threshold).all()
    xr.testing.assert_identical(result.drop_vars("probabilities"), tile)
    assert better.asked_px == [[0], [seen.sum()]]  # the first is the rehearsal
    attrs = result.probabilities.attrs
    assert attrs["source"] == "better; gate at 0.995 closed: cheap"
    assert attrs["gates"] == ["within 3 px of a probability above 0.995"]
    assert attrs["gates_open_percent"] == [pytest.approx(100 * seen.sum() / tile.valid_data_mask.values.sum())]


def test_contract(cheap, better):
    verb = functools.partial(run_stages, stages=[cheap, GATE, better])
    assert_verb_contract(
        verb, tile_of(), adds=["probabilities"], needs=[*BANDS, "valid_data_mask"], nodata_where="valid_data_mask"
    )


def test_every_backend_gives_the_same(cheap, backend):
    tile = tile_of()
    expected = run_stages(tile, stages=[cheap, GATE, Halved()])
    found = run_stages(backend.tile(tile), stages=[cheap, GATE, Halved()])
    np.testing.assert_array_equal(backend.values(found.probabilities), expected.probabilities.values)
    np.testing.assert_array_equal(backend.values(found.valid_data_mask), tile.valid_data_mask.values)


class Halved:
    """Works on any kind of array; needs what the stage before has said."""

    name = "halved"
    required_variables = ("probabilities", "valid_data_mask")

    def inference_batched(self, tiles, /, *, options):
        return [tile.assign(probabilities=tile.probabilities / np.float32(2)) for tile in tiles]


def test_an_open_gate_is_none_and_a_closed_one_keeps_the_first(cheap, better):
    tile = tile_of()
    for gate, expected, percent in ((Gate(0.0, 99), better, 100.0), (Gate(1.0), cheap, 0.0)):
        result = run_stages(tile, stages=[cheap, gate, better])
        np.testing.assert_array_equal(result.probabilities.values, expected.values(tile))
        assert result.probabilities.attrs["gates_open_percent"] == [percent]


def test_the_second_of_two_gates_stands_behind_the_first(cheap, better):
    tile = tile_of()
    second = Gate(threshold=0.65, reach_px=0)
    best = Model("best", lambda tile: 0.9 + 0 * tile.red.values)
    result = run_stages(tile, stages=[cheap, GATE, better, second, best])
    first_open = open_pixels(cheap, tile)
    second_open = first_open & (np.nan_to_num(better.values(tile)) > 0.65)
    assert 0 < second_open.sum() < first_open.sum()
    expected = np.where(second_open, np.float32(0.9), np.where(first_open, better.values(tile), cheap.values(tile)))
    np.testing.assert_array_equal(result.probabilities.values, expected)
    attrs = result.probabilities.attrs
    assert attrs["source"] == "best; gate at 0.65 closed: better; gate at 0.995 closed: cheap"
    assert attrs["gates_open_percent"] == [
        pytest.approx(100 * first_open.sum() / tile.valid_data_mask.values.sum()),
        pytest.approx(100 * second_open.sum() / first_open.sum()),
    ]
    xr.testing.assert_identical(result.drop_vars("probabilities"), tile)


def test_a_gate_works_across_a_change_of_grid(cheap, better):
    tile = tile_of()
    result = run_stages(tile, stages=[cheap, GATE, Finer(), better])
    finer = Finer().refined(tile)
    assert geobox_of(result) == geobox_of(finer)
    seen = doubled(open_pixels(cheap, tile))
    np.testing.assert_array_equal(
        result.probabilities.values, np.where(seen, better.values(finer), doubled(cheap.values(tile)))
    )
    np.testing.assert_array_equal(result.red.values, np.where(seen, finer.red.values, doubled(tile.red.values)))
    np.testing.assert_array_equal(result.valid_data_mask.values, doubled(tile.valid_data_mask.values))
    assert better.asked_px[-1] == [seen.sum()]


def test_without_a_gate_the_result_is_on_the_last_grid(cheap, better):
    tile = tile_of()
    result = run_stages(tile, stages=[cheap, Finer(), better])
    finer = Finer().refined(tile)
    np.testing.assert_array_equal(result.probabilities.values, better.values(finer))
    np.testing.assert_array_equal(result.red.values, finer.red.values)
    assert "gates" not in result.probabilities.attrs


def test_a_gate_behind_the_change_of_grid(cheap, better):
    tile = tile_of()
    result = run_stages(tile, stages=[Finer(), cheap, GATE, better])
    finer = Finer().refined(tile)
    seen = open_pixels(cheap, finer)
    np.testing.assert_array_equal(
        result.probabilities.values, np.where(seen, better.values(finer), cheap.values(finer))
    )


def test_each_stage_sees_all_tiles_at_once_and_the_result_is_that_of_each_alone(cheap, better):
    tiles = [tile_of(), tile_of(seed=1, shape=(7, 90)), tile_of(seed=2, shape=(1, 1))]
    stages = [cheap, GATE, Finer(), better]
    together = run_stages_batched(tiles, stages=stages)
    assert [len(asked) for asked in cheap.asked_px] == [1, 3]  # rehearsed with one tile of a kind
    for tile, result in zip(tiles, together, strict=True):
        xr.testing.assert_identical(run_stages(tile, stages=stages), result)


def test_tiles_stay_as_they_are(cheap, better):
    tile = tile_of()
    before = tile.copy(deep=True)
    run_stages(tile, stages=[cheap, GATE, Finer(), better])
    xr.testing.assert_identical(tile, before)


def test_ensembles_are_stages(cheap, better):
    tile = tile_of()
    ensemble = Ensemble({"cheap": cheap, "better": better})
    result = run_stages(tile, stages=[cheap, GATE, ensemble])
    seen = open_pixels(cheap, tile)
    np.testing.assert_array_equal(
        result.probabilities.values[seen], ensemble.inference(tile).probabilities.values[seen]
    )
    assert result.probabilities.attrs["members"] == ["cheap", "better"]


def test_a_gate_may_stand_first_where_the_tile_has_probabilities(cheap, better):
    (tile,) = cheap.inference_batched([tile_of()], options=InferenceConfig())
    result = run_stages(tile, stages=[GATE, better])
    xr.testing.assert_identical(result, run_stages(tile_of(), stages=[cheap, GATE, better]))


def test_options_reach_every_stage_and_are_checked_first(cheap, better):
    with pytest.raises(ConfigError, match="stage 'cheap': expected an overlap of 0 to 63 px"):
        run_stages(tile_of(), stages=[cheap, GATE, better], options=InferenceConfig(overlap_px=64))
    assert run_stages_batched([], stages=[cheap, GATE, better]) == []
    with pytest.raises(ConfigError, match="expected an overlap"):
        run_stages_batched([], stages=[cheap], options=InferenceConfig(overlap_px=64))


def test_what_a_later_stage_misses_is_found_before_any_work(cheap):
    steep = Model("steep", lambda tile: tile.slope.values / 90, needs=("slope",))
    with pytest.raises(MissingVariableError, match=r"stage 'steep' needs 'slope'; tile 'example-0' has .*dem="):
        run_stages_batched([tile_of(names=(*BANDS, "slope"), seed=1), tile_of()], stages=[cheap, GATE, steep])
    assert all(asked == [0] or asked == [0, 0] for asked in cheap.asked_px)


def test_lists_of_stages_that_make_no_sense_are_refused(cheap, better):
    tile = tile_of()
    with pytest.raises(ConfigError, match="expected at least one stage, but got none"):
        run_stages(tile, stages=[])
    with pytest.raises(ConfigError, match="expected a stage behind the gate at 0.995, but it is the last"):
        run_stages(tile, stages=[cheap, GATE])
    with pytest.raises(MissingVariableError, match="stage 'gate at 0.995' needs 'probabilities'"):
        run_stages(tile, stages=[GATE, better])
    with pytest.raises(MissingVariableError, match="inference in stages needs 'valid_data_mask'"):
        run_stages(tile.drop_vars("valid_data_mask"), stages=[better])
    with pytest.raises(TileContractError, match="must be an xarray.Dataset"):
        run_stages(None, stages=[better])


def test_stages_that_break_their_promise_are_named(cheap, better):
    tile = tile_of()
    with pytest.raises(GridMismatchError, match="expected tiles in one CRS, but got EPSG:32609"):
        run_stages(tile, stages=[cheap, Finer(crs="EPSG:32609"), better])
    with pytest.raises(MissingVariableError, match="what follows stage 'finer' needs 'valid_data_mask'"):
        run_stages(tile, stages=[cheap, Finer(keep=BANDS), better])
    with pytest.raises(MissingVariableError, match="what comes out behind the gate at 0.995 needs 'probabilities'"):
        run_stages(tile, stages=[cheap, GATE, Finer(keep=(*BANDS, "valid_data_mask"))])
    too_much = Model("too much", lambda tile: 2 + 0 * tile.red.values)
    with pytest.raises(ModelAnswerError, match=r"expected stage 'too much' to give .* with numbers outside 0 … 1"):
        run_stages(tile, stages=[cheap, GATE, too_much])
    few = Model("few", None)
    few.inference_batched = lambda tiles, **_: []
    with pytest.raises(ModelAnswerError, match="expected stage 'few' to give one tile for each of 1, but got 0"):
        run_stages(tile, stages=[few])
