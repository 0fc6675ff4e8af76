"""One call that holds a verb to the tile contract."""

import functools
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pytest
import xarray as xr

from darts_utils.errors import DartsWarning, MissingVariableError
from darts_utils.grids import geobox_of
from darts_utils.testing.backends import read_only
from darts_utils.tiles import check_tile
from darts_utils.variables import VARIABLES

Verb = Callable[[xr.Dataset], xr.Dataset]
Twin = Callable[[Sequence[xr.Dataset]], list[xr.Dataset]]


def assert_verb_contract(
    verb: Verb,
    tile: xr.Dataset,
    *,
    adds: Collection[str],
    changes: Collection[str] = (),
    needs: Collection[str] = (),
    twin: Twin | None = None,
    nan_reach_px: int | None = None,
) -> xr.Dataset:
    """Assert that a verb keeps every promise of the tile contract.

    Checked: the input stays as it was (its arrays are read-only); exactly `adds` are added and, of what was there, at
    most `changes` differ; dtype, dims, attributes and range of these follow the registry; the grid is the same; each
    variable of `needs` is asked for by name when it is missing; the batched twin equals a loop over tiles of different
    shapes; tiles without any valid pixel, with one invalid corner and of one row pass through.

    Args:
        verb: Function or bound method of one tile; bind its options with ``functools.partial``.
        tile: A valid tile of at least 8 × 8 px with all that the verb needs, NumPy-backed.
        adds: Names of the variables that the verb adds.
        changes: Names of the variables that it may replace.
        needs: Names of the variables without which it must raise `MissingVariableError`.
        twin: The batched verb; by default found as ``<name>_batched`` beside `verb`, with the same bound options.
        nan_reach_px: If given, one invalid corner pixel may change the result only this far from the corner.

    Returns:
        The verb's result for `tile`, for further assertions.
    """
    result = _assert_pure(verb, tile)
    _assert_product(tile, result, adds=adds, changes=changes)
    for name in needs:
        with pytest.raises(MissingVariableError, match=name):
            verb(tile.drop_vars(name))
    _assert_twin(twin if twin is not None else _find_twin(verb), verb, tile)
    for degenerate in (_invalid(tile, slice(None), slice(None)), tile.isel(y=slice(0, 1))):
        _assert_product(degenerate, _quietly(verb, degenerate), adds=adds, changes=changes)
    cornered = _invalid(tile, slice(0, 1), slice(0, 1))
    answer = _quietly(verb, cornered)
    _assert_product(cornered, answer, adds=adds, changes=changes)
    if nan_reach_px is not None:
        _assert_far_pixels_equal(result, answer, names=adds, reach_px=nan_reach_px)
    return result


def _quietly(verb: Callable[..., Any], *args: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DartsWarning)  # what a verb says about odd tiles is its own business
        return verb(*args)


def _assert_pure(verb: Verb, tile: xr.Dataset) -> xr.Dataset:
    frozen = read_only(tile)
    before = frozen.copy(deep=True)
    result: xr.Dataset = _quietly(verb, frozen)
    assert frozen.identical(before), "the verb changed its input"
    assert result is not frozen, "the verb returned its input instead of a new tile"
    return result


def _assert_product(tile: xr.Dataset, result: xr.Dataset, *, adds: Collection[str], changes: Collection[str]) -> None:
    check_tile(result)
    expected = set(map(str, tile.data_vars)) | set(adds)
    assert set(map(str, result.data_vars)) == expected, (
        f"expected exactly {sorted(expected)}, got {sorted(map(str, result.data_vars))}"
    )
    assert geobox_of(result) == geobox_of(tile), "the verb changed the grid"
    for name in ("y", "x"):
        np.testing.assert_array_equal(result.coords[name].values, tile.coords[name].values)
    for name in set(map(str, tile.data_vars)) - set(changes) - set(adds):
        assert result[name].identical(tile[name]), f"the verb changed {name!r}"
    for name in {*adds, *changes}:
        _assert_registered(result[name])


def _assert_registered(array: xr.DataArray) -> None:
    row = VARIABLES[str(array.name)]
    assert array.dtype == np.dtype(row.dtype), f"{array.name}: expected {row.dtype}, got {array.dtype}"
    for key, value in row.attrs.items():
        assert array.attrs.get(key) == value, (
            f"{array.name}: attribute {key} must be {value!r}, got {array.attrs.get(key)!r}"
        )
    assert array.attrs.get("source"), f"{array.name}: attribute 'source' must say where the values come from"
    values = array.values
    if row.nodata is not None and not np.isnan(row.nodata):
        values = values[values != row.nodata]
    if np.issubdtype(values.dtype, np.floating):
        values = values[~np.isnan(values)]
    if values.size and row.valid_min is not None and row.valid_max is not None:
        assert row.valid_min <= values.min(), f"{array.name}: {values.min()} is below {row.valid_min}"
        assert values.max() <= row.valid_max, f"{array.name}: {values.max()} is above {row.valid_max}"


def _find_twin(verb: Verb) -> Twin:
    options: dict[str, Any] = {}
    inner: Any = verb
    if isinstance(verb, functools.partial):
        inner, options = verb.func, dict(verb.keywords)
    owner = inner.__self__ if hasattr(inner, "__self__") else sys.modules[inner.__module__]
    twin: Twin | None = getattr(owner, f"{inner.__name__}_batched", None)
    assert twin is not None, f"{inner.__name__} has no twin {inner.__name__}_batched beside it"
    return functools.partial(twin, **options)


def _assert_twin(twin: Twin, verb: Verb, tile: xr.Dataset) -> None:
    tiles = [tile, tile.isel(y=slice(0, 7), x=slice(1, 6)), tile.isel(x=slice(2, 8))]
    together = _quietly(twin, tiles)
    assert len(together) == len(tiles)
    for one, alone in zip(together, (_quietly(verb, each) for each in tiles), strict=True):
        xr.testing.assert_identical(one, alone)
    assert _quietly(twin, []) == []


def _invalid(tile: xr.Dataset, rows: slice, columns: slice) -> xr.Dataset:
    def emptied(array: xr.DataArray) -> xr.DataArray:
        values = np.array(array.values)
        values[rows, columns] = np.nan if np.issubdtype(values.dtype, np.floating) else 0
        return array.copy(data=values)

    return tile.map(emptied, keep_attrs=True)


def _assert_far_pixels_equal(before: xr.Dataset, after: xr.Dataset, *, names: Collection[str], reach_px: int) -> None:
    for name in names:
        far = np.ones(before[name].shape, dtype=bool)
        far[: reach_px + 1, : reach_px + 1] = False
        np.testing.assert_array_equal(
            after[name].values[far],
            before[name].values[far],
            err_msg=f"one invalid corner pixel reached further than {reach_px} px in {name!r}",
        )
