"""Grids that share their pixels' centres or edges, where rounding must not decide."""

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from darts_preprocessing import align
from darts_utils.grids import coords_of
from darts_utils.tiles import DIMS

SHAPE = (40, 50)
ORIGINS = [(400_000.0, 7_550_000.0), (400_231.0, 7_550_111.0), (433_333.3, 7_512_345.6), (500_000.1, 7_600_000.7)]
STEPS = [10.0, 3.0, 3.125, 0.1]


def heights(seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(300, 10, (60, 70)).astype("float32")
    values[20:24, 30:33] = values[40, 50] = values[12, 15:40] = values[25:45, 20] = np.nan
    return values


def aligned(values, origin, *, step, moved_px, shape=SHAPE, **options):
    """Values on a grid that begins at a place, on a grid of the same pixels that is moved right and down."""
    left, top = origin
    source = GeoBox(values.shape, Affine(step, 0, left, 0, -step, top), "EPSG:32608")
    grid = source.translate_pix(*moved_px)[: shape[0], : shape[1]]
    return align(xr.Dataset({"dem": (DIMS, values)}, coords=coords_of(source)), grid=grid, **options).dem.values


def keys(t):
    """Weights of cubic convolution (a = −0.5) of the pixels −1, 0, 1, 2 for a place `t` behind pixel 0."""
    t2, t3 = t * t, t * t * t
    return np.array([2 * t2 - t - t3, 3 * t3 - 5 * t2 + 2, 4 * t2 + t - 3 * t3, t3 - t2]) / 2


def by_the_rule(values, *, moved_px):
    """Cubic from columns and rows n − 1 … n + 2, where all 16 are known, else bilinear from those of four that are."""
    expected = np.full(SHAPE, np.nan)
    (n, x), (m, y) = ((int(moved), moved - int(moved)) for moved in moved_px)
    for row, column in np.ndindex(SHAPE):
        around = values[m + row - 1 : m + row + 3, n + column - 1 : n + column + 3].astype("float64")
        if np.isfinite(around).all():
            expected[row, column] = keys(y) @ around @ keys(x)
            continue
        near, weights = around[1:3, 1:3], np.outer([1 - y, y], [1 - x, x])
        known = np.isfinite(near)
        if known[round(y), round(x)]:
            expected[row, column] = (weights * np.where(known, near, 0)).sum() / (weights * known).sum()
    return expected


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("moved_px", [(10.0, 10.4), (10.3, 10.0), (10.0, 10.0), (10.3, 10.4)])
def test_a_place_on_a_centre_is_just_behind_it(step, moved_px):
    """Beside missing pixels, wherever on Earth: the choice between cubic and bilinear moves a height by metres."""
    values = heights()
    expected = by_the_rule(values, moved_px=moved_px)
    for origin in ORIGINS:
        got = aligned(values, origin, step=step, moved_px=moved_px)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic"])
@pytest.mark.parametrize("step", STEPS)
def test_a_grid_onto_itself_changes_nothing(step, resampling):
    values = heights()
    for origin in ORIGINS:
        got = aligned(values, origin, step=step, moved_px=(0, 0), shape=values.shape, resampling=resampling)
        np.testing.assert_array_equal(got, values)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic"])
@pytest.mark.parametrize("step", STEPS)
def test_a_place_on_the_edge_of_the_source_is_inside(step, resampling):
    """Pixels that are moved by a half have their outermost centres on the source's edges."""
    values = np.arange(60 * 70, dtype="float32").reshape(60, 70)
    for origin in ORIGINS:
        before = aligned(values, origin, step=step, moved_px=(-0.5, -0.5), resampling=resampling)
        behind = aligned(values, origin, step=step, moved_px=(20.5, 20.5), resampling=resampling)
        assert np.isfinite(before).all()
        assert np.isfinite(behind).all()
        assert (before[0, 0], behind[-1, -1]) == (values[0, 0], values[-1, -1])
        beyond = aligned(values, origin, step=step, moved_px=(-0.501, -0.501), resampling=resampling)
        assert np.isnan(beyond[0]).all()
        assert np.isfinite(beyond[1:, 1:]).all()
