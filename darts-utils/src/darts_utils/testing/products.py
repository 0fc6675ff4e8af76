"""What the result of a verb must look like, beside the tile that it was given."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_utils.grids import geobox_of
from darts_utils.tiles import check_tile
from darts_utils.variables import VARIABLES


@dataclass(frozen=True)
class Promise:
    """What a verb says about its results."""

    adds: Collection[str]
    """Names of the variables that it adds."""
    changes: Collection[str] = ()
    """Names of the variables that it may replace."""
    changes_attrs: Collection[str] = ()
    """Names of the tile's attributes that it may replace or remove."""
    nodata_where: str | None = None
    """Name of a mask of the result: where it is False, `written` variables hold nodata, or 0 where they have none."""

    @property
    def written(self) -> tuple[str, ...]:
        """Names of the variables that the verb writes."""
        return tuple(dict.fromkeys([*self.adds, *self.changes]))


def assert_product(tile: xr.Dataset, result: xr.Dataset, *, promise: Promise, has_data: bool = False) -> None:
    """Assert that the result of a verb is the tile that was promised.

    Args:
        tile: What the verb was given.
        result: What it returned.
        promise: What it may add and change.
        has_data: Whether every variable that it writes must hold at least one value that is not nodata.
    """
    check_tile(result)
    expected = set(map(str, tile.data_vars)) | set(promise.adds)
    assert set(map(str, result.data_vars)) == expected, (
        f"expected exactly {sorted(expected)}, got {sorted(map(str, result.data_vars))}"
    )
    _assert_grid(tile, result)
    for key, value in tile.attrs.items():
        if key not in promise.changes_attrs:
            kept = key in result.attrs and _equal_attrs(value, result.attrs[key])
            assert kept, f"the verb changed attribute {key!r}: {value!r} became {result.attrs.get(key)!r}"
    for name in set(map(str, tile.data_vars)) - set(promise.written):
        assert same_variable(result[name], tile[name]), f"the verb changed {name!r}"
    for name in promise.written:
        _assert_registered(result[name])
        if has_data:
            assert not _is_nodata(name, result[name].values).all(), f"{name}: a good tile gave nothing but nodata"
        if promise.nodata_where is not None:
            _assert_nodata(name, result, mask=promise.nodata_where)


def same_variable(one: xr.DataArray, other: xr.DataArray) -> bool:
    """Tell whether two variables agree in values, dtype, dims and attributes, whatever their coordinates."""
    first: Any = one.variable
    return bool(one.dtype == other.dtype and first.identical(other.variable))


def _assert_grid(tile: xr.Dataset, result: xr.Dataset) -> None:
    assert geobox_of(result) == geobox_of(tile), "the verb changed the grid"
    assert set(result.coords) == set(tile.coords), (
        f"the verb changed the coordinates: {sorted(map(str, tile.coords))} became {sorted(map(str, result.coords))}"
    )
    for name in tile.coords:
        assert same_variable(result[name], tile[name]), f"the verb changed coordinate {name!r}"


def _assert_registered(array: xr.DataArray) -> None:
    row = VARIABLES[str(array.name)]
    assert array.dtype == np.dtype(row.dtype), f"{array.name}: expected {row.dtype}, got {array.dtype}"
    for key, value in row.attrs.items():
        assert array.attrs.get(key) == value, (
            f"{array.name}: attribute {key} must be {value!r}, got {array.attrs.get(key)!r}"
        )
    assert array.attrs.get("source"), f"{array.name}: attribute 'source' must say where the values come from"
    values = array.values[~_is_nodata(str(array.name), array.values)]
    if np.issubdtype(values.dtype, np.floating):
        values = values[~np.isnan(values)]
        assert not np.isinf(values).any(), f"{array.name}: got infinity"
    if values.size and row.valid_min is not None and row.valid_max is not None:
        assert row.valid_min <= values.min(), f"{array.name}: {values.min()} is below {row.valid_min}"
        assert values.max() <= row.valid_max, f"{array.name}: {values.max()} is above {row.valid_max}"


def _assert_nodata(name: str, result: xr.Dataset, *, mask: str) -> None:
    invalid = ~result[mask].values
    values = result[name].values
    empty = values == 0 if VARIABLES[name].nodata is None else _is_nodata(name, values)
    seen = np.unique(values[invalid & ~empty])[:3].tolist()
    assert not seen, f"{name}: expected nodata where {mask} is False, got {seen}"


def _is_nodata(name: str, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a variable holds its nodata value; nowhere if it has none."""
    nodata = VARIABLES[name].nodata
    if nodata is None:
        return np.zeros(values.shape, dtype=bool)
    return np.asarray(np.isnan(values) if np.isnan(nodata) else values == nodata)


def _equal_attrs(one: object, other: object) -> bool:
    # xarray compares lists, arrays and NaN in attributes as one would hope
    return xr.Dataset(attrs={"value": one}).identical(xr.Dataset(attrs={"value": other}))
