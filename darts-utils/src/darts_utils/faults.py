"""The boundary of one tile: whatever goes wrong inside becomes a value, and the other tiles go on."""

import logging
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from darts_utils.errors import DartsWarning
from darts_utils.logging import timed

Result = TypeVar("Result")


@dataclass(frozen=True)
class Attempt(Generic[Result]):
    """What became of a piece of work."""

    value: Result | None
    """What it returned; None where it failed."""
    error: str | None
    """One line that says what went wrong, see `describe_error`; None where nothing did."""
    seconds: float
    """Wall-clock seconds that it took, repetitions and the pauses between them included."""
    traceback: str | None = None
    """Where it went wrong, as Python prints it; None where nothing did."""


def attempt(
    work: Callable[[], Result],
    *,
    step: str,
    logger: logging.Logger,
    retries: int = 0,
    may_pass: Callable[[BaseException], bool] = lambda _: False,
    pause_seconds: float = 1.0,
) -> Attempt[Result]:
    """Do a piece of work and catch whatever it raises; the one place where DARTS catches everything.

    Args:
        work: What to do.
        step: What it is called in log lines.
        logger: Receives the duration, and the traceback of a failure, at debug level; each repetition as a warning.
        retries: How often it is done again at most where it failed for a reason that may pass.
        may_pass: Whether an error is such a reason; what it cannot judge must be False, not another error.
        pause_seconds: Pause before the first repetition; each further one is twice as long.

    Examples:
        >>> attempt(lambda: 1 // 0, step="divide", logger=logging.getLogger("example")).error
        'ZeroDivisionError: integer division or modulo by zero'
    """
    with timed(step, logger=logger) as timing:
        value, failure, told = None, None, None
        for repetition in range(retries + 1):
            try:
                value, failure, told = work(), None, None
                break
            except Exception as error:  # a broken tile must never stop the others
                failure, told = describe_error(error), traceback.format_exc()
                logger.debug("traceback of the failure in %s", step, exc_info=True)
                if repetition == retries or not may_pass(error):
                    break
                logger.warning("%s failed (%s), which may pass; trying again", step, failure)
            time.sleep(pause_seconds * 2**repetition)
    return Attempt(value, failure, timing.seconds, told)


def describe_error(error: BaseException) -> str:
    r"""Say in one line what went wrong.

    Examples:
        >>> describe_error(ValueError("expected 1,\n  got 2"))
        'ValueError: expected 1, got 2'
    """
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


@contextmanager
def caught_warnings() -> Iterator[list[DartsWarning]]:
    """Catch what the packages warn of (`DartsWarning`), and let all other warnings go their way.

    Yields:
        List that holds the warnings, in order, when the block has ended.
    """
    ours: list[DartsWarning] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DartsWarning)
        yield ours
    for warning in caught:
        if isinstance(warning.message, DartsWarning):
            ours.append(warning.message)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Catch warnings as `caught_warnings` does.

    Yields:
        List that holds one line for each warning, each once, when the block has ended.
    """
    notes: list[str] = []
    with caught_warnings() as ours:
        yield notes
    notes[:] = note_lines(ours)


def note_lines(ours: Iterable[DartsWarning], *, tile_id: str | None = None) -> list[str]:
    r"""Say warnings in one line each, each once.

    Args:
        ours: The warnings.
        tile_id: Only those about this tile, or about no tile in particular; None: all.

    Examples:
        >>> note_lines([DartsWarning("too\n dark", tile_id="a"), DartsWarning("half", tile_id="b")], tile_id="a")
        ['too dark']
    """
    chosen = (each for each in ours if tile_id is None or each.tile_id in (None, tile_id))
    return list(dict.fromkeys(" ".join(str(each).split()) for each in chosen))
