"""Writing the products of a tile, so that what is there is complete."""

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import xarray as xr

from darts_export.config import ExportConfig
from darts_export.contents import Contents
from darts_export.metadata import acquisition_times
from darts_export.naming import safe_tile_id
from darts_export.products import STAC, Product, product
from darts_utils.errors import OutputError, TileContractError
from darts_utils.files import TEMPORARY_PREFIX, atomic_path
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
        config: Effective options of the run, recorded in the files.

    Returns:
        The files that were written, by asset: a product's first file has the product's name, the GeoParquet twin of a
        GeoPackage has the name with ``_parquet``.

    Raises:
        MissingVariableError: The tile lacks what a product needs; nothing has been written.
        TileContractError: The tile breaks the contract, its ``tile_id`` cannot be a folder, or its ``date`` is none; nothing has been written.
        OutputError: A file cannot be written. Files that were finished before stay, without the STAC item.
        TypeError: `products` is a string instead of a collection of names.

    Notes:
        Every file appears under its final name only when it is complete. An item that speaks of files that are about
        to be replaced is removed first, and the new one is written last: where an item is, all its files are, and they
        are of one export. Files of products that are not asked for are left alone, and the item does not list them.
        The content of a file depends on the tile alone, not on the other products, their order, or the time.

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

    Raises:
        TileContractError: Two tiles have the same ``tile_id``; and all that `export_tile` raises.
    """
    rows = _rows(products)
    prepared = [_prepare(tile, rows, config) for tile in tiles]
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
        The names of those that are not complete, in the order of `products` (``"stac"`` last); empty when all is done. If ``"stac"`` is
        among `products` and the item is absent or damaged, the last export did not end, and all of them are named: its
        files may be of two exports.

    Examples:
        >>> missing_products("nowhere/4372514", ["binarized", "stac"])
        ('binarized', 'stac')
    """
    folder = Path(tile_dir)
    rows = _rows(products)
    if STAC in (row.name for row in rows):
        listed = _listed_files(folder / f"{folder.name}.json")
        if listed is None:
            return tuple(row.name for row in rows)
        there = listed | {f"{folder.name}.json"}
    else:
        there = None
    return tuple(row.name for row in rows if not _is_complete(row, folder, there))


def _rows(products: Collection[str]) -> list[Product]:
    if isinstance(products, str):
        raise TypeError(
            f"products must be a collection of names, but got the string {products!r}: write [{products!r}]"
        )
    rows = [product(name) for name in dict.fromkeys(products)]
    return sorted(rows, key=lambda row: row.name == STAC)  # stable: the item comes last


def _prepare(tile: xr.Dataset, rows: Iterable[Product], config: Mapping[str, object] | None) -> Contents:
    check_tile(tile)
    tile_id = safe_tile_id(tile)
    acquisition_times(tile)  # refuses a date that is none
    for row in rows:
        row.check(tile)
    assets = tuple(asset for row in rows if row.name != STAC for asset in row.assets(tile, tile_id))
    return Contents(tile=tile, tile_id=tile_id, config={} if config is None else config, assets=assets)


def _write(contents: Contents, rows: Iterable[Product], folder: Path) -> dict[str, Path]:
    files = [file for row in rows for file in row.files]
    names = {file.name_for(contents.tile_id) for file in files}
    _withdraw(folder, names)
    written = {}
    for file in files:
        path = folder / file.name_for(contents.tile_id)
        with timed(f"writing {path.name}", logger=_logger), atomic_path(path) as temporary:
            file.write(contents, temporary)
        written[file.asset] = path
    return written


def _withdraw(folder: Path, names: set[str]) -> None:
    """Remove an item that would soon be wrong, and what a killed export left behind."""
    item = folder / f"{folder.name}.json"
    try:
        for leftover in folder.glob(f"{TEMPORARY_PREFIX}*"):
            leftover.unlink(missing_ok=True)
        listed = _listed_files(item)
        if listed is None or listed & names or item.name in names:
            item.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot replace '{item}' ({error}): choose another folder, or one whose files you may change"
        ) from error


def _listed_files(item: Path) -> set[str] | None:
    """Names of the files that an item lists; None where there is no item or it is damaged."""
    try:
        assets = json.loads(item.read_text(encoding="utf-8"))["assets"].values()
        return {Path(asset["href"]).name for asset in assets}
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_complete(row: Product, folder: Path, there: set[str] | None) -> bool:
    for file in row.files:
        path = folder / file.name_for(folder.name)
        if (there is not None and path.name not in there) or not path.is_file() or path.stat().st_size == 0:
            return False
    return True
