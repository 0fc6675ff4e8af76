"""Writing the products of a tile, so that what is there is complete."""

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import xarray as xr

from darts_export.config import ExportConfig
from darts_export.contents import Contents
from darts_export.metadata import acquisition_times
from darts_export.naming import safe_tile_id
from darts_export.options import plain_options
from darts_export.products import STAC, Product, product
from darts_utils.errors import OutputError, TileContractError
from darts_utils.files import atomic_path, remove_leftovers
from darts_utils.logging import get_logger, timed
from darts_utils.tiles import check_tile

_logger = get_logger(__name__)


def export_tile(
    tile: xr.Dataset,
    out_dir: str | os.PathLike[str],
    *,
    products: Collection[str] = ExportConfig.products,
    config: Mapping[str, object] | None = None,
) -> dict[str, Path]:
    """Write the products of a tile into ``<out_dir>/<tile_id>/``.

    Args:
        tile: Tile after `postprocess`. Arrays on a GPU are brought to host memory.
        out_dir: Folder for all tiles; created if missing.
        products: Names of products: those of `darts_export.products`, ``<product>-<model>`` for a member of an ensemble,
            or any variable of the tile. Without ``"stac"`` nothing marks the folder as complete.
        config: Effective options of the run, recorded in the files: text, numbers, truth values, None, paths, and lists,
            sets and tables of these.

    Returns:
        The files that were written, by asset: a product's first file has the product's name, the GeoParquet twin of a
        GeoPackage has the name with ``_parquet``.

    Raises:
        MissingVariableError: The tile lacks what a product needs; nothing has been written.
        TileContractError: The tile breaks the contract, its ``tile_id`` cannot be a folder, its ``date``, its sun angles, its
            CRS or another attribute cannot be written, the options of the members' objects differ, or two products would
            have the same file; nothing has been written.
        ConfigError: `config` holds what JSON cannot; nothing has been written.
        OutputError: A file cannot be written. Files that were finished before stay, without the STAC item.
        TypeError: `products` is a string instead of a collection of names.

    Notes:
        Every file appears under its final name only when it is complete. A folder holds the files of one export: its
        former item is removed before the first file is written, whichever files are, and the new one is written last.
        Where an item is, all its files are, and they are of one export. Files of products that are not asked for are left
        alone, and no item lists them any more.
        The folder of a tile has one writer at a time; two that write the same tile must take turns.
        The content of a file depends on the tile alone, not on the other products, their order, or the time.
        What is read lazily (dask) is read after the checks and before the first file, so an input that cannot be read
        raises its own error.

    Examples:
        >>> import tempfile
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["probabilities_percent"], shape=(8, 8))
        >>> written = export_tile(tile, tempfile.mkdtemp(), products=["probabilities", "stac"])
        >>> [path.name for path in written.values()]
        ['probabilities.tif', 'example-0.json']
    """
    return export_tile_batched([tile], out_dir, products=products, config=config)[0]


def export_tile_batched(
    tiles: Sequence[xr.Dataset],
    out_dir: str | os.PathLike[str],
    *,
    products: Collection[str] = ExportConfig.products,
    config: Mapping[str, object] | None = None,
) -> list[dict[str, Path]]:
    """Do `export_tile` for each tile of a list; all are checked before anything is written.

    Pixels are read, and objects found, for one tile at a time.

    Raises:
        TileContractError: Two tiles have the same ``tile_id``; and all that `export_tile` raises.
    """
    rows, options = _rows(products), plain_options(config)
    prepared = [_prepare(tile, rows, options) for tile in tiles]
    tile_ids = [contents.tile_id for contents in prepared]
    for tile_id in tile_ids:
        if tile_ids.count(tile_id) > 1:
            raise TileContractError(
                f"tiles of one export must differ in tile_id, but {tile_id!r} came {tile_ids.count(tile_id)} times: "
                "the second would overwrite the first; rename one"
            )
    return [_write(contents, rows, Path(out_dir) / contents.tile_id) for contents in prepared]


def missing_products(
    tile_dir: str | os.PathLike[str], products: Collection[str] = ExportConfig.products
) -> tuple[str, ...]:
    """Say which products are still to be written.

    Args:
        tile_dir: Folder of a tile, ``<out_dir>/<tile_id>``; it may be absent.
        products: Names of the products that should be there.

    Returns:
        What to export, in the order of `products` (``"stac"`` last); empty when all is done. With ``"stac"`` among
        `products` it is all or nothing: where a file is missing, or the item is, or does not list one, all are named,
        because the files of a folder must be of one export. Without it, those are named whose files are missing, or are
        not listed by an item that is there.

    Raises:
        TileContractError: Two products would have the same file.
        TypeError: `products` is a string instead of a collection of names.

    Notes:
        ``export_tile(tile, out_dir, products=missing_products(out_dir / tile_id, products))`` leaves nothing missing.

    Examples:
        >>> missing_products("nowhere/4372514", ["binarized", "stac"])
        ('binarized', 'stac')
    """
    folder = Path(tile_dir)
    if folder.name in {"", ".."}:
        folder = folder.resolve()
    rows = _rows(products)
    names = tuple(row.name for row in rows)
    listed = _listed_files(folder / f"{folder.name}.json")
    missing = tuple(row.name for row in rows if not _is_complete(row, folder, listed))
    if STAC in names:
        return names if missing or listed is None else ()
    return missing


def _rows(products: Collection[str]) -> list[Product]:
    if isinstance(products, str):
        raise TypeError(
            f"products must be a collection of names, but got the string {products!r}: write [{products!r}]"
        )
    rows = [product(name) for name in dict.fromkeys(products)]
    _check_distinct(rows)
    return sorted(rows, key=lambda row: row.name == STAC)  # stable: the item comes last


def _check_distinct(rows: Iterable[Product]) -> None:
    owners: dict[tuple[str, str], str] = {}
    for row in rows:
        for file in row.files:
            for kind, name in (("an asset", file.asset), ("a file", file.name)):
                owner = owners.setdefault((kind, name), row.name)
                if owner != row.name:
                    raise TileContractError(
                        f"products must have files of their own, but {owner!r} and {row.name!r} would both have {kind} "
                        f"called {name!r}: rename the model or the variable, or export one of them"
                    )


def _prepare(tile: xr.Dataset, rows: Sequence[Product], options: Mapping[str, Any]) -> Contents:
    """Check everything but the pixels."""
    check_tile(tile)
    tile_id = safe_tile_id(tile)
    acquisition_times(tile)  # refuses a date that is none
    for row in rows:
        row.check(tile)
    assets = tuple(asset for row in rows if row.name != STAC for asset in row.assets(tile, tile_id))
    contents = Contents(tile=tile, tile_id=tile_id, config=options, assets=assets)
    for row in rows:
        row.verify(contents)
    return contents


def _write(prepared: Contents, rows: Sequence[Product], folder: Path) -> dict[str, Path]:
    written: dict[str, Path] = {}
    if not rows:
        return written
    contents = prepared.with_pixels(name for row in rows for name in row.reads(prepared.tile))
    _withdraw(folder)
    for file in (file for row in rows for file in row.files):
        path = folder / file.name_for(contents.tile_id)
        with timed(f"writing {path.name}", logger=_logger), atomic_path(path) as temporary:
            file.write(contents, temporary)
        written[file.asset] = path
    return written


def _withdraw(folder: Path) -> None:
    """Remove the item, which would soon be wrong, and what a killed export left behind."""
    item = folder / f"{folder.name}.json"
    try:
        remove_leftovers(folder)
        item.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot replace '{item}' ({error}): choose another folder, or one whose files you may change"
        ) from error


def _listed_files(item: Path) -> set[str] | None:
    """Names of an item and of the files that it lists; none where it cannot be read, None where there is no item."""
    try:
        assets = json.loads(item.read_text(encoding="utf-8"))["assets"].values()
        return {item.name, *(unquote(PurePosixPath(asset["href"]).name) for asset in assets)}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _is_complete(row: Product, folder: Path, listed: set[str] | None) -> bool:
    names = {file.name_for(folder.name) for file in row.files}
    return (listed is None or names <= listed) and all(_has_content(folder / name) for name in names)


def _has_content(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:  # a folder that may not be looked into
        return False
