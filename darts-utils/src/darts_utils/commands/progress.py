"""How far a command is: a bar where standard error is a terminal; nothing, because log lines tell it, where it is not."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on a terminal; log lines stay apart from it.

    Args:
        title: What is counted, e.g. ``"scenes"``.

    Yields:
        Function of the number of things done and the number of all; None where standard error is no terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar, _log_above_bar():
        task = bar.add_task(title, total=None)
        yield lambda finished, total: bar.update(task, completed=finished, total=total)


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
