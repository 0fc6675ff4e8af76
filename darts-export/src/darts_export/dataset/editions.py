"""The slumps of the last edition, and where each of them has a say in who is called what in this one."""

from dataclasses import dataclass

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray

from darts_export.dataset.slump_ids import places_named


@dataclass(frozen=True)
class OldSlumps:
    """Slumps of the last edition, those among them whose names were given up too, by name."""

    outlines: geopandas.GeoDataFrame
    """Every outline under every name: `darts_export.dataset.tracking.closing_outlines`."""
    starts: NDArray[np.int64]
    """``(S,)`` where each slump begins in `outlines`."""
    bounds: NDArray[np.float64]
    """``(S, 4)`` minimal x and y, maximal x and y of all its outlines and of the place that its name speaks of. What is
    outside of a slump's box can neither inherit its name nor be given the same one anew."""

    def only(self, numbers: NDArray[np.int64]) -> geopandas.GeoDataFrame:
        """All outlines of some slumps, which are given by ascending numbers."""
        ends = np.append(self.starts[1:], len(self.outlines))
        sizes = (ends - self.starts)[numbers]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self.outlines.iloc[np.repeat(self.starts[numbers], sizes) + within].reset_index(drop=True)


def old_slumps(outlines: geopandas.GeoDataFrame) -> OldSlumps:
    """Tell the slumps of the last edition apart.

    Args:
        outlines: `darts_export.dataset.tracking.closing_outlines`: by name and year.
    """
    ids = outlines["slump_id"].to_numpy(dtype=object)
    starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1])[: len(ids)])
    if len(starts) == 0:
        return OldSlumps(outlines, starts, np.empty((0, 4)))
    bounds, named = shapely.bounds(outlines.geometry.to_numpy()), places_named(ids[starts])
    low = np.fmin(np.minimum.reduceat(bounds[:, :2], starts), named[:, :2])
    high = np.fmax(np.maximum.reduceat(bounds[:, 2:], starts), named[:, 2:])
    return OldSlumps(outlines, starts, np.column_stack([low, high]))
