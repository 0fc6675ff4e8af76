"""Scenes of several years over one area: what stays, what grows, what splits and merges."""

import numpy as np
import pytest

from darts_utils.grids import geobox_of
from darts_utils.synthetic.series import SyntheticSeries, synthetic_series
from darts_utils.tiles import check_tile

SMALL = {"layout": (1, 2), "shape": (200, 200), "overlap_px": 60}


@pytest.fixture(scope="module")
def series() -> SyntheticSeries:
    return synthetic_series(3, years=(2019, 2020, 2021), **SMALL)  # type: ignore[arg-type]


def areas(series: SyntheticSeries, year: int) -> np.ndarray:
    return np.bincount(series.truth[year].slump_labels.values.ravel(), minlength=1000)


def test_scenes_are_windows_of_the_truth(series: SyntheticSeries) -> None:
    assert len(series.scenes) == 6
    assert len({scene.tile.attrs["tile_id"] for scene in series.scenes}) == 6
    for scene in series.scenes:
        check_tile(scene.tile)
        truth = series.truth[int(scene.tile.attrs["date"][:4])]
        window = truth.sel(x=scene.truth.x, y=scene.truth.y)
        np.testing.assert_array_equal(scene.truth.slump_labels.values, window.slump_labels.values)
        assert geobox_of(scene.tile) == geobox_of(scene.truth)


def test_slumps_grow_or_rest_and_nothing_else_changes(series: SyntheticSeries) -> None:
    first, last = series.truth[2019].slump_labels.values, series.truth[2021].slump_labels.values
    ordinary = np.setdiff1d(np.unique(last), [0, *series.split, *series.merger])
    assert len(ordinary) > 10
    grown = 0
    for number in ordinary:
        assert not ((first == number) & (last != number)).any()
        grown += (last == number).sum() > (first == number).sum()
    assert 0 < grown < len(ordinary)
    same = (first == 0) & (last == 0)
    classes = [series.truth[year].lookalike_class.values[same] for year in (2019, 2021)]
    np.testing.assert_array_equal(*classes)


def test_one_slump_splits_and_two_merge_in_the_last_year(series: SyntheticSeries) -> None:
    whole, part = series.split
    taker, taken = series.merger
    for year in (2019, 2020):
        assert areas(series, year)[whole] > 0 == areas(series, year)[part]
        assert areas(series, year)[taker] > areas(series, year)[taken] > 0
    last = areas(series, 2021)
    assert last[whole] > last[part] > 0
    assert last[whole] + last[part] < areas(series, 2020)[whole]
    assert last[taken] == 0
    assert last[taker] > areas(series, 2020)[taker] + areas(series, 2020)[taken]


def test_the_same_arguments_give_the_same_scenes() -> None:
    one, other = (synthetic_series(4, years=(2019, 2021), **SMALL) for _ in range(2))  # type: ignore[arg-type]
    for first, second in zip(one.scenes, other.scenes, strict=True):
        assert first.tile.identical(second.tile)
        assert first.dem.identical(second.dem)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"years": (2020,)}, "expected at least two ascending years"),
        ({"years": (2021, 2020)}, "expected at least two ascending years"),
        ({"shape": (50, 50), "overlap_px": 50}, "expected an overlap of 0 to 49 px"),
        ({"crs": "EPSG:4326"}, "expected a CRS projected in metres"),
        ({"shape": (24, 24), "layout": (1, 1), "overlap_px": 0}, "expected room for two slumps"),
    ],
)
def test_series_that_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synthetic_series(1, **options)  # type: ignore[arg-type]
