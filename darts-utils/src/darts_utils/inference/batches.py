"""Windows of many tiles, in order, in groups of one size."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from darts_utils.inference.canvas import Canvas
from darts_utils.patches import PatchWindow


@dataclass(frozen=True)
class Job:
    """One patch to be answered."""

    index: int
    """Number of the tile."""
    canvas: Canvas
    """The tile."""
    window: PatchWindow
    """Where the patch is."""
    is_first: bool
    """Whether it is the tile's first one."""
    is_last: bool
    """Whether it is the tile's last one."""


def jobs_of(canvases: Sequence[Canvas]) -> Iterator[Job]:
    """Yield the windows of all tiles, tile by tile.

    Args:
        canvases: The tiles.
    """
    for index, canvas in enumerate(canvases):
        windows = canvas.windows()
        window, is_first = next(windows, None), True
        while window is not None:
            following = next(windows, None)
            yield Job(index, canvas, window, is_first=is_first, is_last=following is None)
            window, is_first = following, False


def grouped(jobs: Iterable[Job], *, size: int) -> Iterator[list[Job]]:
    """Yield groups of jobs, whatever tiles they belong to; the last group may be smaller.

    Args:
        jobs: In order.
        size: Jobs in a group.
    """
    group: list[Job] = []
    for job in jobs:
        group.append(job)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
