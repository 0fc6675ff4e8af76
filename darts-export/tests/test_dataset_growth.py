"""Growth rates, against numpy and against areas whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export.dataset.growth import Growth, area_std_m2, fit_growth, years_since_1970


def one(time: list[float], area: list[float], std: list[float], stretch: list[int] | None = None) -> Growth:
    places = np.zeros(len(time), dtype="int64") if stretch is None else np.array(stretch)
    return fit_growth(
        np.array(time, dtype=float),
        np.array(area, dtype=float),
        np.array(std, dtype=float),
        stretch=places,
        slump_of_stretch=np.zeros(places.max() + 1, dtype="int64"),
    )


def test_two_years_by_hand() -> None:
    growth = one([0, 2], [100, 160], [3, 4])
    assert growth.rate.tolist() == pytest.approx([30])
    assert growth.std.tolist() == pytest.approx([5 / 2])  # hypot(3, 4) over two years
    assert (growth.low[0], growth.high[0]) == pytest.approx((30 - 1.96 * 2.5, 30 + 1.96 * 2.5), rel=1e-4)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(10, 1e3), st.floats(0.2, 3)), min_size=3, max_size=9))
def test_a_fit_is_that_of_numpy(years: list[tuple[float, float, float]]) -> None:
    area, std, gap = (np.array(values) for values in zip(*years, strict=True))
    time = np.cumsum(gap)
    (rate, _), covariance = np.polyfit(time, area, 1, w=1 / std, cov="unscaled")
    growth = one(time.tolist(), area.tolist(), std.tolist())
    assert growth.rate[0] == pytest.approx(rate, rel=1e-6, abs=1e-6)
    chi2 = (((area - np.polyval(np.polyfit(time, area, 1, w=1 / std), time)) / std) ** 2).sum()
    scale = max(1, np.sqrt(chi2 / (len(time) - 2)))
    assert growth.std[0] == pytest.approx(scale * np.sqrt(covariance[0, 0]), rel=1e-6)


def test_stretches_share_a_rate_and_have_levels_of_their_own() -> None:
    time, stretch = np.array([0, 1, 2, 3, 4, 5.0]), np.array([0, 0, 1, 1, 1, 2])
    area = 10 * time + np.array([0, 700, -50])[stretch]
    std = np.array([1, 2, 1, 3, 1, 1.0])
    growth = one(time.tolist(), area.tolist(), std.tolist(), stretch.tolist())
    design = np.column_stack([time, *(stretch == number for number in range(3))])
    expected = np.linalg.lstsq(design / std[:, None], area / std, rcond=None)[0][0]
    assert growth.rate[0] == pytest.approx(expected) == pytest.approx(10)
    assert growth.n_years.tolist() == [5]  # the last year stands alone


def test_where_no_two_years_can_be_compared() -> None:
    growth = one([0, 1], [5, 9], [1, 1], [0, 1])
    assert np.isnan([growth.rate, growth.std, growth.low, growth.high]).all()
    assert growth.n_years.tolist() == [0]


def test_many_slumps_are_fitted_as_each_alone() -> None:
    rng = np.random.default_rng(1)
    slump = np.repeat(np.arange(50), rng.integers(1, 6, 50))
    time, area, std = rng.uniform(0, 9, len(slump)), rng.uniform(0, 99, len(slump)), rng.uniform(1, 9, len(slump))
    together = fit_growth(time, area, std, stretch=slump, slump_of_stretch=np.arange(50))
    for number in range(50):
        mine = slump == number
        alone = one(time[mine].tolist(), area[mine].tolist(), std[mine].tolist())
        np.testing.assert_allclose(together.rate[number], alone.rate[0], rtol=1e-9)
        np.testing.assert_allclose(together.std[number], alone.std[0], rtol=1e-9)


@pytest.mark.parametrize("years", [2, 3, 6])
def test_the_interval_holds_the_truth_in_95_of_100_cases(years: int) -> None:
    rng, count = np.random.default_rng(2), 20_000
    time, std = np.tile(np.arange(float(years)), count), rng.uniform(50, 300, years * count)
    slump = np.repeat(np.arange(count), years)
    area = 5_000 + 120 * time + std * rng.standard_normal(len(time))
    growth = fit_growth(time, area, std, stretch=slump, slump_of_stretch=np.arange(count))
    inside = ((growth.low <= 120) & (growth.high >= 120)).mean()
    assert 0.945 <= inside <= 0.99


def test_areas_are_known_to_the_perimeter_times_the_error_of_the_outline() -> None:
    side, error = 100.0, 0.5
    wider = (side + 2 * error) ** 2 - side**2
    assert area_std_m2(np.array([4 * side]), outline_error_m=error)[0] == pytest.approx(wider, rel=0.01)


def test_years_are_those_of_the_calendar() -> None:
    dates = np.array(["1970-01-01", "2370-01-01"], dtype="datetime64[D]")
    assert years_since_1970(dates).tolist() == [0, 400]
