"""Tile file in, folder of products out."""

from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import xarray as xr

from darts_export.config import ExportConfig
from darts_export.contents import SOFTWARE
from darts_export.exporting import export_tile
from darts_export.fingerprints import Fingerprint, fingerprint
from darts_export.manifest import Origin
from darts_export.naming import safe_tile_id
from darts_export.staleness import Demand, judge
from darts_utils.errors import ConfigError, TileContractError
from darts_utils.logging import get_logger
from darts_utils.tile_io import read_tile

DEFAULT_EXPORT = ExportConfig()
"""What is written when no options are given."""

_OF_EXPORT_TILE = ("compression", "lerc_max_error", "overviews", "simplify_tolerance_m", "styles")

_INPUT = "tile"
"""Role of the tile file among the inputs in the manifest."""

_logger = get_logger(__name__)


def export_file(
    file: str | Path, out_dir: str | Path, *, options: ExportConfig = DEFAULT_EXPORT, force: bool = False
) -> Path:
    """Export a tile that is kept in a file, unless its products are complete and current.

    Args:
        file: Tile file, see `darts_utils.tile_io`.
        out_dir: Folder for all tiles.
        options: What to write, and how; as the keyword arguments of `export_tile`.
        force: Write in any case.

    Returns:
        Folder of the tile. Its manifest names the file, with its hash, as the input ``"tile"``.

    Raises:
        OSError: The file cannot be read.
        ConfigError: `options` has what `export_tile` does not take.
        DartsError: As `darts_utils.tile_io.read_tile` and `export_tile` do.
    """
    return exporter(out_dir, options=options, force=force)(Path(file))


def exporter(
    out_dir: str | Path, *, options: ExportConfig = DEFAULT_EXPORT, force: bool = False
) -> Callable[[Path], Path]:
    """Make a function that does `export_file` for one file after the other, and refuses a second file of a tile.

    Args:
        out_dir: Folder for all tiles.
        options: What to write, and how.
        force: Write in any case.

    Raises:
        ConfigError: `options` has what `export_tile` does not take.
    """
    _check_options(options)
    owners: dict[str, Path] = {}

    def export(file: Path) -> Path:
        looked_at = fingerprint(file, name=file.name)
        tile = read_tile(file)
        folder = Path(out_dir) / safe_tile_id(tile)
        owner = owners.setdefault(folder.name, file)
        if owner != file:
            raise TileContractError(
                f"expected a tile_id of its own for each file, but '{owner}' and '{file}' both hold {folder.name!r}, and the "
                "second would overwrite the first: rename one, or export them into other folders"
            )
        reasons = ("forced",) if force else _reasons(folder, file, options)
        if not reasons:
            _logger.info("%s is complete and current", folder)
            return folder
        _logger.debug("%s is to be exported: %s", folder, "; ".join(reasons))
        _export(tile, out_dir, looked_at, options)
        return folder

    return export


def _reasons(folder: Path, file: Path, options: ExportConfig) -> tuple[str, ...]:
    demand = Demand(
        products=options.products,
        inputs={_INPUT: {file.name: file}},
        models={},
        config={"export": _manner(options)},
        software=_software(),
    )
    return judge(folder, demand).reasons


def _export(tile: xr.Dataset, out_dir: str | Path, looked_at: Fingerprint, options: ExportConfig) -> None:
    manner = _manner(options)
    origin = Origin(inputs={_INPUT: (looked_at,)}, config={"export": manner}, software=_software())
    export_tile(tile, out_dir, products=options.products, origin=origin, **manner)


def _manner(options: ExportConfig) -> dict[str, Any]:
    return {name: value for name, value in asdict(options).items() if name in _OF_EXPORT_TILE}


def _software() -> dict[str, str]:
    return dict([SOFTWARE.split(" ", 1)])


def _check_options(options: ExportConfig) -> None:
    for row in fields(options):
        value = getattr(options, row.name)
        if row.name not in {*_OF_EXPORT_TILE, "products"} and value != row.default:
            raise ConfigError(
                f"{row.name} is not an option of an export, but got {value!r}: expected one of "
                f"products, {', '.join(_OF_EXPORT_TILE)}"
            )
