"""Log lines that carry the tile they speak of, and the time that steps take."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current_tile: ContextVar[str] = ContextVar("darts_tile", default="")


class _TileFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        tile = _current_tile.get()
        record.tile = f"[{tile}] " if tile else ""
        return True


def configure_logging(*, debug: bool = False) -> None:
    """Send the log of all darts packages to standard error; for programs, never called by a library.

    Args:
        debug: Show timings and details too.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(tile)s%(message)s", datefmt="%H:%M:%S"))
    handler.addFilter(_TileFilter())
    root = logging.getLogger("darts")
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    root.propagate = False
    logging.captureWarnings(capture=True)
    warnings_log = logging.getLogger("py.warnings")
    warnings_log.handlers[:] = [handler]
    warnings_log.propagate = False


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module, below the common root ``darts``.

    Args:
        name: ``__name__`` of the module, e.g. ``darts_export.rasters``.

    Examples:
        >>> get_logger("darts_export.rasters").name
        'darts.darts_export.rasters'
    """
    return logging.getLogger(f"darts.{name}")


@contextmanager
def log_tile(tile_id: str) -> Iterator[None]:
    """Put the tile's id into every log line of the block."""
    token = _current_tile.set(tile_id)
    try:
        yield
    finally:
        _current_tile.reset(token)


class Timing:
    """Seconds that a `timed` block took."""

    seconds: float = float("nan")
    """Wall-clock seconds; NaN until the block has ended."""


@contextmanager
def timed(step: str, *, logger: logging.Logger) -> Iterator[Timing]:
    """Measure a block and log its duration at debug level, also when it fails.

    Args:
        step: What is done, for the log line.
        logger: Where to log.

    Yields:
        A `Timing` whose ``seconds`` are filled in at the end.

    Examples:
        >>> with timed("nothing", logger=get_logger("example")) as timing:
        ...     pass
        >>> timing.seconds >= 0
        True
    """
    timing = Timing()
    start = time.perf_counter()
    try:
        yield timing
    finally:
        timing.seconds = time.perf_counter() - start
        logger.debug("%s took %.3f s", step, timing.seconds)
