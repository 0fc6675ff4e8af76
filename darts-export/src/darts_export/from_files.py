"""Tile file in, folder of products out."""

from dataclasses import asdict
from pathlib import Path

from darts_export.config import ExportConfig
from darts_export.contents import SOFTWARE
from darts_export.exporting import export_tile
from darts_export.fingerprints import fingerprint
from darts_export.manifest import Origin
from darts_export.naming import safe_tile_id
from darts_utils.tile_io import read_tile

DEFAULT_EXPORT = ExportConfig()
"""What is written when no options are given."""

_OF_EXPORT_TILE = ("compression", "lerc_max_error", "overviews", "simplify_tolerance_m", "styles")


def export_file(file: str | Path, out_dir: str | Path, *, options: ExportConfig = DEFAULT_EXPORT) -> Path:
    """Export a tile that is kept in a file.

    Args:
        file: Tile file, see `darts_utils.tile_io`.
        out_dir: Folder for all tiles.
        options: What to write, and how; as the keyword arguments of `export_tile`.

    Returns:
        Folder of the tile. Its manifest names the file, with its hash, as the input ``"tile"``.

    Raises:
        OSError: The file cannot be read.
        DartsError: As `darts_utils.tile_io.read_tile` and `export_tile` do.
    """
    path = Path(file)
    looked_at = fingerprint(path, name=path.name)
    tile = read_tile(path)
    manner = {name: value for name, value in asdict(options).items() if name in _OF_EXPORT_TILE}
    origin = Origin(inputs={"tile": (looked_at,)}, config={"export": manner}, software=dict([SOFTWARE.split(" ", 1)]))
    export_tile(tile, out_dir, products=options.products, origin=origin, **manner)
    return Path(out_dir) / safe_tile_id(tile)
