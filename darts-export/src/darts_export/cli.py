"""``darts export`` and ``darts export check``."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    context: typer.Context,
    tiles: Annotated[list[Path], typer.Argument(metavar="TILE.nc", help="Tile files, or folders of them.")],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the results, one folder in it per tile.")],
    products: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="What to write, such as probabilities,prediction_segments,stac."),
    ] = None,
    compression: Annotated[
        str | None, typer.Option(help="Compression of the rasters: ZSTD, DEFLATE, LZW or LERC.")
    ] = None,
    lerc_max_error: Annotated[
        float | None, typer.Option(help="How far LERC may move a stored value; 0 keeps every value.")
    ] = None,
    overviews: Annotated[
        bool | None, typer.Option("--overviews/--no-overviews", help="Keep coarser copies in the rasters.")
    ] = None,
    simplify_tolerance_m: Annotated[
        float | None, typer.Option(help="Size of the details that outlines may lose; 0 keeps the edges of pixels.")
    ] = None,
    styles: Annotated[
        bool | None, typer.Option("--styles/--no-styles", help="Write a QGIS style beside each raster and table.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Export all tiles, also those whose products are current.")
    ] = False,
) -> None:
    """Write the products of post-processed tiles: rasters, polygons, thumbnails, STAC items.

    For each tile file, DIR/<tile id>/ receives its products and a manifest; `darts export check DIR` compares the two.
    Products that are complete and current (same tile file, options and version) are left as they are; others are replaced,
    each file when its successor is complete. Of two files of one tile the second is refused. A tile that cannot be exported
    never stops the others.

    Exit codes: 0 all tiles are written, 1 some failed, 2 wrong usage.
    """
    from darts_export.config import ExportConfig
    from darts_export.from_files import exporter
    from darts_utils.commands.options import given_options
    from darts_utils.commands.steps import run_each, tile_files

    given = given_options(context.params, of=ExportConfig)
    if products is not None:
        given["products"] = tuple(name.strip() for name in products.split(","))
    code = run_each(
        tile_files(tiles),
        exporter(out, options=ExportConfig(**given), force=force),
        name=lambda file: file.stem,
        title="export",
    )
    raise typer.Exit(code)


def export_check(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR", help="Folders of results, or of single tiles.")],
    *,
    fast: Annotated[
        bool, typer.Option("--fast", help="Compare sizes only; damage that keeps the size is not seen.")
    ] = False,
) -> None:
    """Say what is complete, missing or damaged in folders of results.

    Every file of a tile is compared with the size and the hash that the tile's manifest.json has. Named are: tiles without
    a manifest (not finished), missing and damaged files, unfinished files that a killed run has left (or that a run is
    writing just now), and files that are not of the export that the manifest describes. Data sets among them are named, and
    left to darts dataset check.

    Exit codes: 0 all tiles are complete, 1 something is wrong, 2 wrong usage.
    """
    from darts_export.checking import check_tile_folder, named_folders, tile_folders, unfinished_beside
    from darts_export.dataset_folders import is_dataset
    from darts_utils.commands.progress import progress_bar

    places = tile_folders(folders)
    wrong = 0
    with progress_bar("tiles") as bar:
        for number, place in enumerate(places, start=1):
            found = check_tile_folder(place, sizes_only=fast)
            wrong += bool(found.problems)
            for problem in found.problems:
                typer.echo(f"{place.name}: {problem}")
            if bar is not None:
                bar(number, len(places))
    for place in filter(is_dataset, named_folders(folders)):
        typer.echo(f"{place.name}: a data set, see darts dataset check")
    leftovers = unfinished_beside(places)
    for path in leftovers:
        typer.echo(f"unfinished: {path}")
    typer.echo(f"{len(places) - wrong} of {len(places)} tiles complete")
    raise typer.Exit(1 if wrong or leftovers else 0)
