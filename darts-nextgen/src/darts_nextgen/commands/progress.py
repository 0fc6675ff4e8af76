"""How far a run is: a bar where standard error is a terminal, log lines where it is not."""

from collections.abc import Iterator
from contextlib import contextmanager

from darts_nextgen.pipeline import local
from darts_nextgen.pipeline.rates import Rates
from darts_nextgen.pipeline.report import TileRow
from darts_utils.commands.progress import progress_bar


@contextmanager
def follow() -> Iterator[local.Progress]:
    """Give what `run_local` and `run_ray` tell their progress to.

    Yields:
        `darts_nextgen.pipeline.local.log_progress`, or something that moves a bar on a terminal.
    """
    with progress_bar("scenes") as bar:
        if bar is None:
            yield local.log_progress
            return

        def move(row: TileRow | None, *, finished: int, total: int | None, rates: Rates) -> None:
            bar(finished, total, "" if row is None else rates.text())
            if row is not None and row.status == "failed":
                local.log_progress(row, finished=finished, total=total, rates=rates)

        yield move
