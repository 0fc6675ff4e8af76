"""One call that holds a verb to the tile contract."""

import functools
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pytest
import xarray as xr

from darts_utils.errors import DartsWarning, MissingVariableError, TileContractError
from darts_utils.testing.backends import read_only
from darts_utils.testing.products import Promise, assert_product, same_variable
from darts_utils.variables import VARIABLES

Verb = Callable[[xr.Dataset], xr.Dataset]
Twin = Callable[[Sequence[xr.Dataset]], list[xr.Dataset]]

_OTHER_DTYPES = {"float32": "float64", "uint16": "int32", "uint8": "int16", "bool": "uint8"}
"""For each dtype of the registry another one that holds the same values."""


def assert_verb_contract(
    verb: Verb,
    tile: xr.Dataset,
    *,
    adds: Collection[str],
    changes: Collection[str] = (),
    changes_attrs: Collection[str] = (),
    needs: Collection[str] = (),
    twin: Twin | None = None,
    nan_reach_px: int | None = None,
    nodata_where: str | None = None,
) -> xr.Dataset:
    """Assert that a verb keeps every promise of the tile contract.

    Checked: the input stays as it was (its arrays are read-only), and so do the twin's; exactly `adds` are added and, of
    what was there, at most `changes` and `changes_attrs` differ; dtype, dims, attributes and range of these follow the
    registry, without infinity, and hold some data; the grid is the same; each variable of `needs` is asked for by name
    when it is missing, and refused as (x, y) or in another dtype; the batched twin equals a loop over tiles of different
    shapes; tiles without any valid pixel, with one invalid corner, of one row, of one column and of one pixel pass
    through.

    Args:
        verb: Function or bound method of one tile; bind its options with ``functools.partial``.
        tile: A valid tile of at least 8 × 8 px with all that the verb needs, NumPy-backed.
        adds: Names of the variables that the verb adds.
        changes: Names of the variables that it may replace.
        changes_attrs: Names of the tile's attributes that it may replace or remove; it may always add some.
        needs: Names of the variables without which it must raise `MissingVariableError`.
        twin: The batched verb; by default found as ``<name>_batched`` beside `verb`, with the same bound options.
        nan_reach_px: If given, one invalid corner pixel may change the result only this far from the corner.
        nodata_where: If given, name of a mask of the result, e.g. ``"valid_data_mask"``: where it is False, all variables
            of `adds` and `changes` hold their nodata value, or 0 where they have none.

    Returns:
        The verb's result for `tile`, for further assertions.
    """
    promise = Promise(adds, changes, changes_attrs, nodata_where)
    result = _assert_pure(verb, tile)
    assert_product(tile, result, promise=promise, has_data=True)
    for name in needs:
        _assert_need(verb, tile, name)
    _assert_twin(twin if twin is not None else _find_twin(verb), verb, tile, promise)
    row, column = tile.isel(y=slice(0, 1)), tile.isel(x=slice(0, 1))
    for degenerate in (_invalid(tile, slice(None), slice(None)), row, column, row.isel(x=slice(0, 1))):
        assert_product(degenerate, _quietly(verb, degenerate), promise=promise)
    cornered = _invalid(tile, slice(0, 1), slice(0, 1))
    answer = _quietly(verb, cornered)
    assert_product(cornered, answer, promise=promise)
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
    assert _same_tile(frozen, before), "the verb changed its input"
    assert result is not frozen, "the verb returned its input instead of a new tile"
    return result


def _assert_need(verb: Verb, tile: xr.Dataset, name: str) -> None:
    with pytest.raises(MissingVariableError) as caught:
        _quietly(verb, tile.drop_vars(name))
    assert name in caught.value.missing, (
        f"expected {name!r} to be named as missing, got {list(caught.value.missing)}: {caught.value}"
    )
    side_px = min(tile.sizes["y"], tile.sizes["x"])
    square = tile.isel(y=slice(0, side_px), x=slice(0, side_px))  # transposed, it has the shape of the others
    odd = {"dims (x, y)": square[name].transpose("x", "y")}
    if name in VARIABLES:
        other = _OTHER_DTYPES[VARIABLES[name].dtype]
        odd[other] = square[name].astype(other)
    for form, array in odd.items():
        error = _contract_error(verb, square.assign({name: array}))
        assert error is not None, f"expected a TileContractError for {name!r} as {form}, but the verb took it"
        assert repr(name) in str(error), f"expected a TileContractError that names {name!r} as {form}, got: {error}"


def _contract_error(verb: Verb, tile: xr.Dataset) -> TileContractError | None:
    try:
        _quietly(verb, tile)
    except TileContractError as error:
        return error
    return None


def _find_twin(verb: Verb) -> Twin:
    options: dict[str, Any] = {}
    inner: Any = verb
    if isinstance(verb, functools.partial):
        inner, options = verb.func, dict(verb.keywords)
    owner = inner.__self__ if hasattr(inner, "__self__") else sys.modules[inner.__module__]
    twin: Twin | None = getattr(owner, f"{inner.__name__}_batched", None)
    assert twin is not None, f"{inner.__name__} has no twin {inner.__name__}_batched beside it"
    return functools.partial(twin, **options)


def _assert_twin(twin: Twin, verb: Verb, tile: xr.Dataset, promise: Promise) -> None:
    parts = [tile, tile.isel(y=slice(0, 7), x=slice(1, 6)), tile.isel(x=slice(2, 8))]
    tiles = [read_only(each) for each in parts]
    alone = [_quietly(verb, each) for each in tiles]  # first: whatever the twin does to its inputs comes too late
    before = [each.copy(deep=True) for each in tiles]
    together = _quietly(twin, tiles)
    assert len(together) == len(tiles), f"expected {len(tiles)} results of the twin, got {len(together)}"
    for each, copy, one, expected in zip(tiles, before, together, alone, strict=True):
        assert _same_tile(each, copy), "the twin changed its input"
        xr.testing.assert_identical(one, expected)
        assert _same_tile(one, expected), "the twin gives another dtype than the verb"
        assert_product(each, one, promise=promise)
    nothing = _quietly(twin, [])
    assert nothing == [], f"expected the twin to turn an empty list into one, got {nothing!r}"


def _same_tile(one: xr.Dataset, other: xr.Dataset) -> bool:
    return one.identical(other) and all(same_variable(one[name], other[name]) for name in one.variables)


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
