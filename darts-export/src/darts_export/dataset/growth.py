"""How fast areas grow, and how well that is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_DAYS_PER_YEAR = 365.2425
_NORMAL_95 = 1.959963984540054
"""Half the width of the central 95 % of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Growth:
    """Rates of many slumps, ``(S,)`` each; NaN where no two years can be compared."""

    rate: Values
    """m² per year."""
    std: Values
    """Its standard deviation."""
    low: Values
    """Lower end of its 95 % interval."""
    high: Values
    """Upper end."""
    n_years: NDArray[np.int64]
    """Number of years that the rate rests on."""


def area_std_m2(perimeter_m: Values, *, outline_error_m: float) -> Values:
    """Say how well areas are known: perimeter × how far the outline is off.

    Args:
        perimeter_m: Perimeters, holes included.
        outline_error_m: Standard deviation of the distance by which an outline lies too far out or in.

    Notes:
        The outline is taken to be off by the same distance all around, as a too high or too low threshold makes it; errors
        that differ along the outline cancel in part, so this is the cautious end. Pixels alone give
        0.6872 × ½ × pixel size (Hanshaw and Bookhagen 2014): 3.4 m at 10 m, 1.0 m at 3 m.

    References:
        Hanshaw and Bookhagen 2014, Glacial areas, lake areas, and snow lines from 1975 to 2012,
        doi:10.5194/tc-8-359-2014; Granshaw and Fountain 2006, Glacier change (1958-1998) in the North Cascades National
        Park Complex, doi:10.3189/172756506781828782 (the buffer around the outline).

    Examples:
        >>> area_std_m2(np.array([400.0]), outline_error_m=3.4).tolist()
        [1360.0]
    """
    return perimeter_m * outline_error_m


def years_since_1970(dates: NDArray[np.datetime64]) -> Values:
    """Turn dates into years, of 365.2425 days."""
    return dates.astype("datetime64[D]").astype("float64") / _DAYS_PER_YEAR


def fit_growth(
    time_years: Values,
    area_m2: Values,
    std_m2: Values,
    *,
    stretch: NDArray[np.int64],
    slump_of_stretch: NDArray[np.int64],
) -> Growth:
    """Fit a straight line through the areas of each slump, weighted by how well they are known.

    Args:
        time_years: ``(N,)`` when each area was seen.
        area_m2: ``(N,)`` the areas.
        std_m2: ``(N,)`` their standard deviations, above 0.
        stretch: ``(N,)`` which stretch of time each belongs to: 0, 1, …; between two stretches of a slump its area jumped.
        slump_of_stretch: ``(T,)`` which slump each stretch belongs to: 0, 1, …, each of them with a stretch.

    Returns:
        The rates.

    Notes:
        All stretches of a slump share one rate and each has a level of its own. With wᵢ = 1/σᵢ² and means weighted by w
        within each stretch::

            rate = Σ wᵢ (tᵢ − t̄)(Aᵢ − Ā) / Σ wᵢ (tᵢ − t̄)²
            std  = max(1, √(χ²/ν)) / √Σ wᵢ (tᵢ − t̄)²

        where χ² = Σ wᵢ (Aᵢ − Ā − rate·(tᵢ − t̄))² and ν = years − stretches − 1, over the stretches of two years and more.
        So the uncertainty is that of the areas, and more where they scatter more than they should (Birge 1932,
        doi:10.1103/PhysRev.40.207); with ν = 0, as for two years, it is that of the areas alone. The interval is
        rate ± 1.96 std. Areas of different years are taken to err independently.

    Examples:
        >>> t, one = np.array([0.0, 1, 3]), np.ones(3)
        >>> growth = fit_growth(t, 5 + 2 * t, one, stretch=np.zeros(3, int), slump_of_stretch=np.zeros(1, int))
        >>> growth.rate.tolist(), growth.n_years.tolist()
        ([2.0], [3])
    """
    stretches, slumps = len(slump_of_stretch), int(slump_of_stretch.max(initial=-1)) + 1
    length = np.bincount(stretch, minlength=stretches)
    useful = length >= 2
    kept = useful[stretch]
    time, area, stretch = time_years[kept], area_m2[kept], stretch[kept]
    weight = 1 / std_m2[kept] ** 2
    slump = slump_of_stretch[stretch]

    def within(values: Values) -> Values:
        total = np.bincount(stretch, weight, stretches)
        mean = np.bincount(stretch, weight * values, stretches) / np.where(total > 0, total, 1)
        return values - mean[stretch]

    time, area = within(time), within(area)
    spread = np.bincount(slump, weight * time**2, slumps)
    known = spread > 0
    spread = np.where(known, spread, np.nan)
    rate = np.bincount(slump, weight * time * area, slumps) / spread
    chi2 = np.bincount(slump, weight * (area - rate[slump] * time) ** 2, slumps)
    years = np.bincount(slump, minlength=slumps)
    freedom = years - np.bincount(slump_of_stretch[useful], minlength=slumps) - 1
    scatter = np.sqrt(np.where(freedom > 0, chi2 / np.maximum(freedom, 1), 1.0))
    std = np.maximum(1.0, scatter) / np.sqrt(spread)
    return Growth(rate, std, rate - _NORMAL_95 * std, rate + _NORMAL_95 * std, np.where(known, years, 0))
