"""Writing the products of a tile, so that what is there is complete."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from darts_export.config import ExportConfig
from darts_export.contents import SOFTWARE, Contents
from darts_export.fingerprints import sha256_of
from darts_export.manifest import MANIFEST_FILE, Manifest, Origin, WrittenFile, read_manifest, write_manifest
from darts_export.metadata import acquisition_times
from darts_export.naming import safe_tile_id
from darts_export.options import plain_options
from darts_export.parallel import in_threads
from darts_export.products import STAC, Product, ProductFile, product
from darts_export.staleness import lacking
from darts_utils.errors import OutputError, TileContractError
from darts_utils.files import atomic_path, remove_leftovers, sole_writer, sync_folder
from darts_utils.logging import get_logger, timed
from darts_utils.tiles import check_tile

_logger = get_logger(__name__)


def export_tile(
    tile: xr.Dataset,
    out_dir: str | os.PathLike[str],
    *,
    products: Collection[str] = ExportConfig.products,
    compression: str = ExportConfig.compression,
    lerc_max_error: float = ExportConfig.lerc_max_error,
    overviews: bool = ExportConfig.overviews,
    simplify_tolerance_m: float = ExportConfig.simplify_tolerance_m,
    styles: bool = ExportConfig.styles,
    config: Mapping[str, object] | None = None,
    origin: Origin | None = None,
    summary: Mapping[str, int] | None = None,
) -> dict[str, Path]:
    """Write the products of a tile into ``<out_dir>/<tile_id>/``.

    Args:
        tile: Tile after `postprocess`. Arrays on a GPU are brought to host memory.
        out_dir: Folder for all tiles; created if missing.
        products: Names of products: those of `darts_export.products`, ``<product>-<model>`` for a member of an ensemble,
            or any variable of the tile.
        compression: Of the rasters: ``"ZSTD"``, ``"DEFLATE"``, ``"LZW"`` or ``"LERC"``.
        lerc_max_error: How far LERC may move a stored value; 0 keeps every value. Classes and values beside a nodata
            value are always kept.
        overviews: Whether rasters hold coarser copies of themselves.
        simplify_tolerance_m: Size of the details that outlines may lose, metres; 0 keeps the edges of the pixels.
        styles: Whether a QGIS style (``.qml``) stands beside each raster and each table.
        config: Effective options of the run, recorded in the files: text, numbers, truth values, None, paths, and lists,
            sets and tables of these.
        origin: What the tile was made from, recorded in the manifest, so that a later run can tell whether the files are
            current; None: `config` alone.
        summary: Numbers for the manifest that are worth knowing without opening a file.

    Returns:
        The files that were written, by asset: a product's first file has the product's name, the GeoParquet twin of a
        GeoPackage has the name with ``_parquet``, and a style that of its product with ``_qml``.

    Raises:
        MissingVariableError: The tile lacks what a product needs; nothing has been written.
        TileContractError: The tile breaks the contract, its ``tile_id`` cannot be a folder, its ``date``, its sun angles, its
            CRS or another attribute cannot be written, the options of the members' objects differ, or two products would
            have the same file; nothing has been written.
        ConfigError: `config` holds what JSON cannot, or an option makes no sense; nothing has been written.
        OutputError: A file cannot be written. Files that were finished before stay, without STAC item and manifest. Or
            another process is writing the same tile; nothing has been written.
        TypeError: `products` is a string instead of a collection of names.

    Notes:
        Every file appears under its final name only when it is complete and on disk. A folder holds the files of one
        export: its former manifest and item are removed before the first file is written, whichever files are, and the
        new ones are written last, the item and then the manifest, which lists size and SHA-256 of every file. Where a
        manifest is, all its files are, and they are of one export. Files of products that are not asked for are left
        alone, and neither item nor manifest lists them any more.
        The folder of a tile has one writer at a time; a second one is refused. What killed writers left is removed.
        The content of a file depends on the tile alone, not on the other products, their order, or the time.
        What is read lazily (dask) is read after the checks and before the first file, so an input that cannot be read
        raises its own error.

    Examples:
        >>> import tempfile
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["probabilities_percent"], shape=(8, 8))
        >>> written = export_tile(tile, tempfile.mkdtemp(), products=["probabilities", "stac"])
        >>> [path.name for path in written.values()]
        ['probabilities.tif', 'probabilities.qml', 'example-0.json']
    """
    return export_tile_batched(
        [tile],
        out_dir,
        products=products,
        compression=compression,
        lerc_max_error=lerc_max_error,
        overviews=overviews,
        simplify_tolerance_m=simplify_tolerance_m,
        styles=styles,
        config=config,
        origins=None if origin is None else [origin],
        summaries=None if summary is None else [summary],
    )[0]


def export_tile_batched(
    tiles: Sequence[xr.Dataset],
    out_dir: str | os.PathLike[str],
    *,
    products: Collection[str] = ExportConfig.products,
    compression: str = ExportConfig.compression,
    lerc_max_error: float = ExportConfig.lerc_max_error,
    overviews: bool = ExportConfig.overviews,
    simplify_tolerance_m: float = ExportConfig.simplify_tolerance_m,
    styles: bool = ExportConfig.styles,
    config: Mapping[str, object] | None = None,
    origins: Sequence[Origin] | None = None,
    summaries: Sequence[Mapping[str, int]] | None = None,
) -> list[dict[str, Path]]:
    """Do `export_tile` for each tile of a list; all are checked before anything is written.

    Pixels are read, and objects found, for one tile at a time. `origins` and `summaries` have one entry for each tile.

    Raises:
        TileContractError: Two tiles have the same ``tile_id``; and all that `export_tile` raises.
    """
    rows, recorded = _rows(products), plain_options(config)
    options = ExportConfig(
        compression=compression,
        lerc_max_error=lerc_max_error,
        overviews=overviews,
        simplify_tolerance_m=simplify_tolerance_m,
        styles=styles,
    )
    prepared = [_prepare(tile, rows, options, recorded) for tile in tiles]
    tile_ids = [contents.tile_id for contents in prepared]
    for tile_id in tile_ids:
        if tile_ids.count(tile_id) > 1:
            raise TileContractError(
                f"tiles of one export must differ in tile_id, but {tile_id!r} came {tile_ids.count(tile_id)} times: "
                "the second would overwrite the first; rename one"
            )
    manifests = [
        Manifest(contents.tile_id, origin, (), dict(summary))
        for contents, origin, summary in zip(
            prepared, _origins(origins, recorded, len(tiles)), summaries or [{}] * len(tiles), strict=True
        )
    ]
    return [
        _write(contents, rows, Path(out_dir) / contents.tile_id, manifest)
        for contents, manifest in zip(prepared, manifests, strict=True)
    ]


def missing_products(
    tile_dir: str | os.PathLike[str], products: Collection[str] = ExportConfig.products
) -> tuple[str, ...]:
    """Say which products are still to be written.

    Args:
        tile_dir: Folder of a tile, ``<out_dir>/<tile_id>``; it may be absent.
        products: Names of the products that should be there.

    Returns:
        `products` (``"stac"`` last) or nothing: all are named where the manifest is absent or damaged, does not list one
        of them, or lists a file that is missing or has another size, because the files of a folder are of one export.

    Raises:
        TileContractError: Two products would have the same file.
        TypeError: `products` is a string instead of a collection of names.

    Notes:
        ``export_tile(tile, out_dir, products=missing_products(out_dir / tile_id, products))`` leaves nothing missing.

    Examples:
        >>> missing_products("nowhere/4372514", ["binarized", "stac"])
        ('binarized', 'stac')
    """
    names = tuple(row.name for row in _rows(products))
    folder = Path(tile_dir)
    try:
        manifest = read_manifest(folder)
    except OutputError:
        return names
    return names if names and lacking(names, manifest, folder) else ()


def _origins(origins: Sequence[Origin] | None, options: Mapping[str, Any], count: int) -> list[Origin]:
    if origins is None:
        return [Origin(config=options, software=dict([SOFTWARE.split(" ", 1)]))] * count
    return [replace(origin, config=plain_options(origin.config)) for origin in origins]


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


def _prepare(tile: xr.Dataset, rows: Sequence[Product], options: ExportConfig, recorded: Mapping[str, Any]) -> Contents:
    """Check everything but the pixels."""
    check_tile(tile)
    tile_id = safe_tile_id(tile)
    if f"{tile_id}.json" == MANIFEST_FILE:
        raise TileContractError(
            f"expected a tile_id whose STAC item can lie beside {MANIFEST_FILE}, but got {tile_id!r}: rename the tile"
        )
    acquisition_times(tile)  # refuses a date that is none
    for row in rows:
        row.check(tile)
    assets = tuple(asset for row in rows if row.name != STAC for asset in row.assets(tile, tile_id, options))
    contents = Contents(tile=tile, tile_id=tile_id, config=recorded, assets=assets, options=options)
    for row in rows:
        row.verify(contents)
    return contents


def _write(prepared: Contents, rows: Sequence[Product], folder: Path, manifest: Manifest) -> dict[str, Path]:
    if not rows:
        return {}
    contents = prepared.with_pixels(name for row in rows for name in row.reads(prepared.tile))
    with sole_writer(folder) as is_certain:
        sync_folder(folder.parent)
        remove_leftovers(folder, all_writers=is_certain)
        _withdraw(folder)
        files = _write_files(contents, rows, folder)
        write_manifest(replace(manifest, files=tuple(files)), folder)
    return {file.asset: folder / file.name for file in files}


def _write_files(contents: Contents, rows: Sequence[Product], folder: Path) -> list[WrittenFile]:
    """Write all files, several at a time, and the item after the others."""

    def write(task: tuple[Product, ProductFile]) -> WrittenFile:
        row, file = task
        return _write_file(file, contents, folder, product=row.name)

    tasks = [(row, file) for row in rows for file in row.files_with(contents.options)]
    before, last = ([task for task in tasks if (task[0].name == STAC) == is_last] for is_last in (False, True))
    return [*in_threads(write, before), *map(write, last)]


def _write_file(file: ProductFile, contents: Contents, folder: Path, *, product: str) -> WrittenFile:
    path = folder / file.name_for(contents.tile_id)
    with timed(f"writing {path.name}", logger=_logger), atomic_path(path) as temporary:
        file.write(contents, temporary)
        return WrittenFile(product, file.asset, path.name, temporary.stat().st_size, sha256_of(temporary))


def _withdraw(folder: Path) -> None:
    """Remove the manifest and the item, which would soon be wrong."""
    for name in (MANIFEST_FILE, f"{folder.name}.json"):
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot replace '{folder / name}' ({error}): choose another folder, or one whose files you may change"
            ) from error
    sync_folder(folder)
