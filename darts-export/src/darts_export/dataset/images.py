"""Images, years, and other things that rows are grouped by."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from darts_export.dataset.grouping import Groups

IMAGE = ("sensor", "date", "models")
"""What makes an image: all that one sensor saw on one day, as the same models read it."""


def codes_of(table: pd.DataFrame, names: Sequence[str]) -> NDArray[np.int64]:
    """Number what rows hold in some columns, in the order of the first column, then of the second, and so on.

    Examples:
        >>> codes_of(pd.DataFrame({"date": ["b", "a", "b"], "models": ["x", "x", "w"]}), ["date", "models"]).tolist()
        [2, 0, 1]
    """
    codes = np.zeros(len(table), dtype="int64")
    for name in names:
        values, found = pd.factorize(table[name].to_numpy(dtype=object), sort=True)
        codes = np.unique(codes * (len(found) + 1) + values, return_inverse=True)[1].ravel()
    return codes


def years_of(table: pd.DataFrame) -> pd.Series:
    """The year of each row's date, as a column of that name."""
    return table["date"].str.slice(0, 4).astype("int64").rename("year")


def joined_texts(texts: NDArray[np.object_], groups: Groups) -> NDArray[np.object_]:
    """Put the different texts of each group together, sorted, separated by blanks."""
    joined = texts[groups.firsts]
    for group in np.flatnonzero(groups.sizes > 1).tolist():
        start = groups.starts[group]
        inside = texts[groups.members[start : start + groups.sizes[group]]]
        joined[group] = " ".join(sorted({word for text in inside for word in text.split(" ")}))
    return joined
