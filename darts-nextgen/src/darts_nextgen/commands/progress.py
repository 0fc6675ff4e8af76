"""How far a run is: a bar where standard error is a terminal, log lines where it is not."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from darts_nextgen.pipeline import local
from darts_nextgen.pipeline.report import TileRow


@contextmanager
def follow() -> Iterator[local.Progress]:
    """Give what `run_local` tells its progress to.

    Yields:
        `darts_nextgen.pipeline.local.log_progress`, or something that moves a bar on a terminal.
    """
    if not sys.stderr.isatty():
        yield local.log_progress
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar, _log_above_bar():
        task = bar.add_task("scenes", total=None)

        def move(row: TileRow | None, *, finished: int, total: int) -> None:
            bar.update(task, completed=finished, total=total)
            if row is not None and row.status == "failed":
                local.log_progress(row, finished=finished, total=total)

        yield move


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
