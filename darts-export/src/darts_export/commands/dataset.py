"""``darts dataset build``, ``darts dataset check`` and ``darts dataset diff``."""

from pathlib import Path
from typing import Annotated

import typer

EXIT_INCOMPLETE = 1
"""Exit code of a build that left folders out, of a check that found something, and of editions that differ."""


def dataset_build(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Folders of results, and folders of single tiles.")
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the data set.")],
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Options and what the data set says about itself, in TOML.")
    ] = None,
    previous: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The last edition: its slumps keep their names.")
    ] = None,
    mixed_models: Annotated[
        str | None, typer.Option(help="Results of different models: apart keeps them apart, refuse refuses them.")
    ] = None,
    edge_tolerance_m: Annotated[
        float | None, typer.Option(help="Objects this near to each other are one where a tile edge cuts both.")
    ] = None,
    reach_m: Annotated[
        float | None, typer.Option(help="Outlines this near to each other stand together in the tables.")
    ] = None,
    cell_m: Annotated[float | None, typer.Option(help="Edge length of the cells of the coverage.")] = None,
    min_overlap: Annotated[
        float | None, typer.Option(help="Share of the smaller outline from which two years see the same slump.")
    ] = None,
    footprint: Annotated[
        str | None, typer.Option(help="Areas of Level 3 are those of the median, or the union.")
    ] = None,
    outline_error_m: Annotated[
        float | None, typer.Option(help="How far outlines are off: 3.4 for Sentinel-2, 1.0 for PlanetScope.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Partitions and files at a time; no result depends on it.")
    ] = None,
    partition_objects: Annotated[
        int | None, typer.Option(help="Outlines worked on at a time; fewer need less memory, no result depends on it.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build also what is current.")] = False,
) -> None:
    """Make one data set of the results of many tiles, ready for a repository.

    DIR receives Levels 1 to 3 and the coverage as GeoParquet and GeoPackage, in EPSG:3413 and EPSG:4326, with a STAC
    collection, a data dictionary, checksums, citation and licence. Folders that are not finished, damaged, undated or doubled
    are named and left out. A build that was interrupted goes on where it was; a data set that stands in DIR stays complete
    until its successor is. Where nothing has changed, and none of the folders that were left out can be used by now, there is
    nothing to do.

    Exit codes: 0 done, 1 done, but folders were left out, 2 wrong usage or nothing built.
    """
    from darts_export.dataset.config import DatasetConfig
    from darts_export.dataset.publishing.config import Publication
    from darts_export.dataset.publishing.datasets import build_dataset
    from darts_export.dataset.publishing.settings import read_settings
    from darts_utils.commands.options import given_options
    from darts_utils.commands.progress import progress_bar

    given = given_options(context.params, of=DatasetConfig)
    options, publication = (given, Publication()) if config is None else read_settings(config, instead=given)
    with progress_bar("files") as bar:
        outcome = build_dataset(
            paths,
            out,
            config=DatasetConfig(**options),
            publication=publication,
            previous=previous,
            force=force,
            progress=bar,
        )
    for folder in outcome.unused:
        typer.echo(f"not used: {folder.folder}: {folder.reason}", err=True)
    rows = ", ".join(f"{name} {count}" for name, count in outcome.record.rows.items())
    typer.echo(
        f"{'built' if outcome.is_new else 'current'}: {out}: {outcome.record.counts['tiles']} tiles; rows: {rows}"
    )
    if outcome.is_empty:
        typer.echo("darts: warning: the data set is empty: no tile that was used has an object", err=True)
    if not publication.authors:
        typer.echo("darts: warning: the data set names no authors: name them in [publication] of --config", err=True)
    raise typer.Exit(EXIT_INCOMPLETE if outcome.unused else 0)


def dataset_check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A published data set.")],
    *,
    fast: Annotated[
        bool, typer.Option("--fast", help="Compare sizes only; damage that keeps the size is not seen.")
    ] = False,
) -> None:
    """Say what is complete, missing or damaged in a published data set.

    Every file is compared with the size and the hash in manifest.json, which SHA256SUMS must agree with; every table with the
    registry of columns, its number of rows, the validity of its geometries and the uniqueness of its keys. Named are missing,
    damaged, unfinished and unknown files, and what is wrong in tables.

    Exit codes: 0 the data set is complete, 1 something is wrong, 2 wrong usage.
    """
    from darts_export.dataset.published import check_published
    from darts_utils.commands.progress import progress_bar
    from darts_utils.errors import ConfigError

    if not folder.is_dir():
        raise ConfigError(f"expected the folder of a data set at '{folder}', but there is none")
    with progress_bar("files") as bar:
        found = check_published(folder, sizes_only=fast, progress=bar)
    for problem in found.problems:
        typer.echo(problem)
    if found.record is not None:
        rows = ", ".join(f"{name} {count}" for name, count in found.record.rows.items())
        typer.echo(f"{len(found.record.files)} files; rows: {rows}")
    typer.echo("incomplete" if found.problems else "complete")
    raise typer.Exit(EXIT_INCOMPLETE if found.problems else 0)


def dataset_diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The edition before.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The edition after.")],
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Table of all objects that differ: *.csv or *.parquet.")
    ] = None,
    tables: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="What to compare, such as level2,level3; all if not given.")
    ] = None,
) -> None:
    """Say which objects two editions of a data set gained, lost or changed.

    Slumps are compared by their names, and where these differ by their ground; objects of Levels 1 and 2, whose numbers are
    those of an edition, by their ground within the same image or year.

    Exit codes: 0 nothing differs, 1 something does, 2 wrong usage.
    """
    from darts_export.dataset.differences import compare, difference_table, write_differences
    from darts_export.dataset.publishing.tables import TABLES
    from darts_utils.commands.progress import progress_bar
    from darts_utils.errors import ConfigError

    chosen = None if tables is None else [name.strip() for name in tables.split(",")]
    for name in chosen or ():
        if name not in TABLES:
            raise ConfigError(f"expected --tables to name some of {', '.join(TABLES)}, but got {name!r}")
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"expected --out to be a *.csv or *.parquet file, but got '{out}'")
    differences = []
    with progress_bar("tables") as bar:
        for found in compare(old, new, tables=chosen, progress=bar):
            differences.append(found)
            typer.echo(
                f"{found.table}: {found.gained} gained, {found.lost} lost, {found.changed} changed, {found.unchanged} unchanged"
            )
    if out is not None:
        write_differences(difference_table(differences), out)
        typer.echo(str(out))
    raise typer.Exit(EXIT_INCOMPLETE if any(len(found.rows) for found in differences) else 0)
