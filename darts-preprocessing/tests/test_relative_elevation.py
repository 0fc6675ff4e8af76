import functools

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_preprocessing import calculate_relative_elevation
from darts_preprocessing.disc_kernels import half_widths, minus_mean_around
from darts_preprocessing.relative_elevation import radius_px
from darts_utils import kernels
from darts_utils.errors import TileContractError
from darts_utils.testing import assert_verb_contract, example_tile

TILE = example_tile(["dem"], shape=(24, 30), resolution_m=10.0)


def relief_like(shape, *, seed=0, gaps=0.0):
    """Heights that look like land: steps of a random walk along both axes, on a plateau."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=shape).cumsum(0).cumsum(1)
    heights = (700 + 300 * steps / max(np.abs(steps).max(), 1e-9)).astype("float32")
    heights[rng.random(shape) < gaps] = np.nan
    return heights


def brute_force(dem, *, outer_px, inner_px=0):
    """The definition, pixel by pixel, in float64; and how many windows are partial."""
    rows, columns = np.mgrid[: dem.shape[0], : dem.shape[1]]
    offsets = np.arange(-outer_px, outer_px + 1)
    squared = offsets[:, None] ** 2 + offsets[None] ** 2
    whole = ((squared <= outer_px**2) & (squared >= inner_px**2)).sum()
    result = np.full(dem.shape, np.nan)
    partial = 0
    for row, column in np.argwhere(np.isfinite(dem)):
        distance = (rows - row) ** 2 + (columns - column) ** 2
        around = dem[(distance <= outer_px**2) & (distance >= inner_px**2) & np.isfinite(dem)].astype("float64")
        if around.size:
            result[row, column] = dem[row, column] - around.mean()
            partial += around.size < whole
    return result, partial


def test_contract():
    verb = functools.partial(calculate_relative_elevation, outer_radius_m=30.0)
    assert_verb_contract(verb, TILE, adds={"relative_elevation"}, needs=["dem"])


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    outer=st.integers(1, 30),
    inner=st.integers(0, 12),
    seed=st.integers(0, 1000),
)
def test_it_equals_the_definition(shape, outer, inner, seed):
    inner = min(inner, outer - 1)
    heights = relief_like(shape, seed=seed, gaps=0.2)
    got, partial = minus_mean_around(heights, outer_px=outer, inner_px=inner)
    expected, expected_partial = brute_force(heights, outer_px=outer, inner_px=inner)
    finite = heights[np.isfinite(heights)]
    relief = np.ptp(finite) if finite.size else 1.0
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_allclose(got, expected, rtol=0, atol=max(1e-5 * relief, 1e-6))
    assert partial == expected_partial


@pytest.mark.parametrize(("outer", "inner"), [(34, 0), (34, 20), (70, 0)])
def test_it_equals_a_convolution(outer, inner):
    """scipy's FFT of heights and of known pixels, in float64."""
    heights = relief_like((170, 2150), gaps=0.01)  # more columns than one block of the kernel
    offsets = np.arange(-outer, outer + 1)
    squared = offsets[:, None] ** 2 + offsets[None] ** 2
    footprint = ((squared <= outer**2) & (squared >= inner**2)).astype("float64")
    known = np.isfinite(heights)
    sums = scipy.signal.fftconvolve(np.where(known, heights - 700.0, 0.0), footprint, mode="same")
    counts = np.rint(scipy.signal.fftconvolve(known.astype("float64"), footprint, mode="same"))
    expected = np.where(known, heights - 700.0 - sums / counts, np.nan)
    got, partial = minus_mean_around(heights, outer_px=outer, inner_px=inner)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * 300)
    assert partial == (known & (counts < footprint.sum())).sum()


def test_it_keeps_its_accuracy_on_high_ground():
    heights = (5000 + np.random.default_rng(0).random((60, 60))).astype("float32")
    got, _ = minus_mean_around(heights, outer_px=10)
    expected, _ = brute_force(heights, outer_px=10)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.ptp(heights))


def test_level_ground_is_exactly_level():
    got, _ = minus_mean_around(np.full((40, 50), 123.456, "float32"), outer_px=9)
    assert (got == 0).all()


@settings(deadline=None, max_examples=25)
@given(top=st.integers(0, 60), left=st.integers(0, 90), height=st.integers(1, 70), width=st.integers(1, 90))
def test_a_window_with_its_margin_has_the_same_values(top, left, height, width):
    heights = relief_like((160, 220), gaps=0.02)
    whole, _ = minus_mean_around(heights, outer_px=13, inner_px=4)
    window = heights[top : top + height + 26, left : left + width + 26]
    part, _ = minus_mean_around(window, outer_px=13, inner_px=4, margin_px=13)
    np.testing.assert_array_equal(part, whole[top + 13 :, left + 13 :][: part.shape[0], : part.shape[1]])


def test_the_number_of_threads_changes_nothing(monkeypatch):
    heights = relief_like((300, 200), gaps=0.02)
    results = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        assert kernels.thread_count() == int(threads)
        results.append(minus_mean_around(heights, outer_px=21))
    for values, partial in results[1:]:
        np.testing.assert_array_equal(values, results[0][0])
        assert partial == results[0][1]


def test_a_radius_beyond_the_tile_takes_all_of_it():
    heights = relief_like((20, 31), gaps=0.1)
    for outer_px in (50, 10**6):
        got, partial = minus_mean_around(heights, outer_px=outer_px)
        np.testing.assert_allclose(got, heights - np.nanmean(heights, dtype="float64"), atol=1e-3)
        assert partial == np.isfinite(heights).sum()
    ring, _ = minus_mean_around(heights, outer_px=10**6, inner_px=10**5)
    assert np.isnan(ring).all()


def test_infinite_heights_are_unknown():
    heights = relief_like((20, 20))
    spoiled, holed = heights.copy(), heights.copy()
    spoiled[5, 5:8] = [np.inf, -np.inf, np.nan]
    holed[5, 5:8] = np.nan
    tiles = [TILE.isel(y=slice(0, 20), x=slice(0, 20)).assign(dem=(("y", "x"), values)) for values in (spoiled, holed)]
    got, expected = (
        calculate_relative_elevation(tile, outer_radius_m=40.0).relative_elevation.values for tile in tiles
    )
    np.testing.assert_array_equal(got, expected)


def test_radius_is_rounded_up():
    assert radius_px(100, resolution_m=3.0) == 34
    assert radius_px(100, resolution_m=10.0) == 10
    outer, inner = half_widths(outer_px=10, inner_px=0)
    assert (2 * outer + 1).sum() == 317
    assert (inner == -1).all()


@pytest.mark.parametrize(
    "resolution", [10.0, np.nextafter(10, 0), np.nextafter(10, 20), (510_000.1 - 500_000.1) / 1000]
)
def test_the_last_digit_of_the_pixel_size_does_not_change_the_radius(resolution):
    assert radius_px(100.0, resolution_m=float(resolution)) == 10
    assert radius_px(100.1, resolution_m=float(resolution)) == 11


@pytest.mark.parametrize(("outer", "inner"), [(30.0, 30.0), (30.0, 60.0), (30.0, 29.0), (0.0, 0.0)])
def test_radii_that_leave_nothing_are_refused(outer, inner):
    with pytest.raises(ValueError, match="inner radius below the outer one, but got"):
        calculate_relative_elevation(TILE, outer_radius_m=outer, inner_radius_m=inner)


@pytest.mark.parametrize("radius", [-1.0, float("nan"), float("inf")])
def test_a_radius_that_is_none_is_refused(radius):
    with pytest.raises(ValueError, match="radius of at least 0 m, but got"):
        calculate_relative_elevation(TILE, outer_radius_m=radius)


def test_heights_that_are_none_are_refused():
    values = TILE.dem.values.copy()
    values[3, 3] = -9999
    with pytest.raises(
        TileContractError, match="'dem' of tile 'example-0' must hold heights of -500 to 9000 m, but they"
    ):
        calculate_relative_elevation(TILE.assign(dem=TILE.dem.copy(data=values)))


def test_backends_agree(backend):
    got = backend.values(calculate_relative_elevation(backend.tile(TILE)).relative_elevation)
    np.testing.assert_array_equal(got, calculate_relative_elevation(TILE).relative_elevation.values)
