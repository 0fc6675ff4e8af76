"""How far a command is: a bar where standard error is a terminal; nothing, because log lines tell it, where it is not."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bar(Protocol):
    """Moves a bar."""

    def __call__(self, finished: int, total: int | None, note: str = "") -> None:
        """Move it.

        Args:
            finished: Number of things done.
            total: Number of all; None where nobody knows it.
            note: What is said beside it.
        """
        ...


@contextmanager
def progress_bar(title: str) -> Iterator[Bar | None]:
    """Show a bar on a terminal; log lines stay apart from it.

    Args:
        title: What is counted, e.g. ``"scenes"``.

    Yields:
        What moves the bar; None where standard error is no terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    note_column = TextColumn("{task.fields[note]}")
    with Progress(*columns, note_column, console=Console(stderr=True), transient=True) as bar, _log_above_bar():
        task = bar.add_task(title, total=None, note="")
        yield lambda finished, total, note="": bar.update(task, completed=finished, total=total, note=note)


@contextmanager
def _log_above_bar() -> Iterator[None]:
    """Let log lines go through the bar's standard error, which keeps them apart from it."""
    handlers = [each for each in logging.getLogger("darts").handlers if isinstance(each, logging.StreamHandler)]
    before = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            if stream is not None:
                handler.setStream(stream)
