"""Hypothesis strategies for tiles, masks and patch grids."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from darts_utils.testing.examples import example_tile


def shapes(*, min_px: int = 1, max_px: int = 48) -> st.SearchStrategy[tuple[int, int]]:
    """Shapes ``(height, width)`` of small tiles, single rows and columns included."""
    return st.tuples(st.integers(min_px, max_px), st.integers(min_px, max_px))


def masks(*, min_px: int = 1, max_px: int = 32) -> st.SearchStrategy[NDArray[np.bool_]]:
    """Boolean ``(y, x)`` arrays, all-true and all-false included."""
    return npst.arrays(np.bool_, shapes(min_px=min_px, max_px=max_px))


def patch_grids(*, max_patch_px: int = 24, max_extra_px: int = 60) -> st.SearchStrategy[tuple[int, int, int]]:
    """Triples ``(length_px, patch_px, overlap_px)`` with ``0 ≤ overlap < patch ≤ length``."""
    return st.integers(1, max_patch_px).flatmap(
        lambda patch: st.tuples(st.integers(patch, patch + max_extra_px), st.just(patch), st.integers(0, patch - 1))
    )


def tiles(variables: Sequence[str], *, min_px: int = 1, max_px: int = 24) -> st.SearchStrategy[xr.Dataset]:
    """Valid tiles of random shape and values with the named variables."""
    return st.builds(
        lambda shape, seed: example_tile(variables, shape=shape, seed=seed),
        shapes(min_px=min_px, max_px=max_px),
        st.integers(0, 2**16),
    )
