"""Scenes that arrive while a run goes on: paths from standard input, or from a named pipe."""

import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

STANDARD_INPUT = "-"
"""The entry that means standard input."""


def is_stream(entry: str) -> bool:
    """Whether an entry is a list that arrives while the run goes on: standard input, or a named pipe."""
    if entry == STANDARD_INPUT:
        return True
    try:
        return stat.S_ISFIFO(Path(entry).stat().st_mode)
    except (OSError, ValueError):
        return False


def streamed_scenes(entry: str, *, standard_input: TextIO | None = None) -> Iterator[Path]:
    """Read the paths of a stream, a line each, as they come; empty lines and lines that start with ``#`` do not count.

    Args:
        entry: ``"-"``, or the path of a named pipe.
        standard_input: What to read for ``"-"``; None: that of the process.
    """
    if entry == STANDARD_INPUT:
        yield from _paths(sys.stdin if standard_input is None else standard_input, folder=Path.cwd())
        return
    with Path(entry).open(encoding="utf-8") as pipe:
        yield from _paths(pipe, folder=Path(entry).absolute().parent)


def _paths(lines: TextIO, *, folder: Path) -> Iterator[Path]:
    for line in iter(lines.readline, ""):  # as soon as a line is there; iterating over a file reads ahead
        name = line.strip()
        if name and not name.startswith("#"):
            yield folder / name
