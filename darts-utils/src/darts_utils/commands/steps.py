"""Step commands: one verb over many tile files, each tile failing for itself."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import typer
import xarray as xr

from darts_utils.commands.progress import progress_bar
from darts_utils.errors import ConfigError
from darts_utils.faults import attempt, collected_warnings
from darts_utils.logging import get_logger, log_tile
from darts_utils.tile_io import read_tile, write_tile

TILE_SUFFIX = ".nc"
"""Ending of tile files."""

EXIT_SOME_FAILED = 1
"""Exit code of a command that has gone through all tiles, of which some failed."""

Item = TypeVar("Item")

_logger = get_logger(__name__)


def tile_files(paths: Sequence[Path]) -> list[Path]:
    """Find the tile files that a user names.

    Args:
        paths: Tile files, and folders whose ``*.nc`` are taken.

    Returns:
        The files, each once, in the order given, those of a folder by name.

    Raises:
        ConfigError: A path does not exist, a folder holds no tile file, or two files have the same name, under which both
            results would be written.
    """
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(path.glob(f"*{TILE_SUFFIX}")) if path.is_dir() else [path]
        if not inside or not path.exists():
            raise ConfigError(f"expected a tile file, or a folder of *{TILE_SUFFIX} files, at '{path}', but got none")
        found.update(dict.fromkeys(each.resolve() for each in inside))
    twice = [name for name, count in Counter(file.name for file in found).items() if count > 1]
    if twice:
        raise ConfigError(f"expected tile files of different names, but got {twice[0]!r} twice: rename one")
    return list(found)


def run_verb(verb: Callable[[xr.Dataset], xr.Dataset], paths: Sequence[Path], *, out: Path, title: str) -> int:
    """Read tile files, apply a verb to each, and write the results under the same names into a folder.

    Args:
        verb: Tile → tile.
        paths: What the user named, see `tile_files`.
        out: Folder of the results, made where it is missing; may be that of the inputs, whose files are then replaced.
        title: What is done, e.g. ``"postprocess"``.

    Returns:
        Exit code: 0 all done, 1 some tiles failed.

    Raises:
        ConfigError: See `tile_files`.
    """
    files = tile_files(paths)
    return run_each(
        files, lambda file: write_tile(verb(read_tile(file)), out / file.name), name=lambda file: file.stem, title=title
    )


def run_each(items: Sequence[Item], work: Callable[[Item], Path], *, name: Callable[[Item], str], title: str) -> int:
    """Do a piece of work for each item; one that fails is reported, and the others go on.

    Args:
        items: For example scene folders or tile files.
        work: What to do with one; returns what it has written.
        name: What an item is called in messages.
        title: What is done, e.g. ``"preprocess"``.

    Returns:
        Exit code: 0 all done, 1 some failed.
    """
    failed = 0
    with progress_bar(title) as bar:
        for number, item in enumerate(items, start=1):
            with log_tile(name(item)), collected_warnings() as notes:
                done = attempt(lambda item=item: work(item), step=title, logger=_logger)  # type: ignore[misc]
            with log_tile(name(item)):
                for note in notes:
                    _logger.warning("%s", note)
            failed += done.error is not None
            if done.error is not None:
                _logger.error("%d/%d %s failed: %s", number, len(items), name(item), done.error)
            else:
                level = logging.INFO if bar is None else logging.DEBUG
                _logger.log(level, "%d/%d %s in %.1f s", number, len(items), done.value, done.seconds)
            if bar is not None:
                bar(number, len(items))
    typer.echo(f"{title}: {len(items) - failed} of {len(items)} done")
    return EXIT_SOME_FAILED if failed else 0
