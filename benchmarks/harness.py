"""Ours against a peer: results first, then both in turns, medians."""

import statistics
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

RUNS = 5
"""Timed runs of each side."""
SLOW_SECONDS = 10.0
"""A peer slower than this runs `SLOW_RUNS` times."""
SLOW_RUNS = 2

REGISTRY: dict[str, Callable[[], "Row | Sequence[Row]"]] = {}
"""Name of each benchmark → function that runs it."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    """What was done, on how much data."""
    peer: str
    """What it is compared with."""
    ours: str
    """What ours needs, with unit."""
    theirs: str
    """What the peer needs, with unit."""
    ratio: float
    """How many times better ours is, or what the limit speaks of."""
    limit: float | None
    """What the ratio should be: at least, or at most where `at_most`; None where nothing is asked of it."""
    at_most: bool = False
    """True where a smaller ratio is better."""
    note: str = ""
    """How far the results agree, and what else a reader must know."""

    @property
    def holds(self) -> bool:
        """Whether the limit is kept; True where there is none."""
        if self.limit is None:
            return True
        return self.ratio <= self.limit if self.at_most else self.ratio >= self.limit


def benchmark(name: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Register a function that returns one row or several."""

    def register(function: Callable[[], Any]) -> Callable[[], Any]:
        if name in REGISTRY:
            raise ValueError(f"expected unique names of benchmarks, but got {name!r} twice")
        REGISTRY[name] = function
        return function

    return register


@dataclass
class Timer:
    """Runs several sides in turns."""

    runs: int = RUNS
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def compare(
        self, sides: dict[str, Callable[[], Any]], *, warm: bool = True, slow: Collection[str] = ()
    ) -> dict[str, float]:
        """Time each side and return the medians in seconds.

        Args:
            sides: Name → what to run.
            warm: Run each side once before, untimed: kernels are compiled, caches filled.
            slow: Sides that are known to be slower than `SLOW_SECONDS`.
        """
        counts = {name: SLOW_RUNS if name in slow else self.runs for name in sides}
        if warm:
            for name, run in sides.items():
                if _seconds_of(run) > SLOW_SECONDS:
                    counts[name] = SLOW_RUNS
        self.seconds = {name: [] for name in sides}
        for turn in range(self.runs):
            for name, run in sides.items():
                if turn < counts[name]:
                    self.seconds[name].append(_seconds_of(run))
        return {name: statistics.median(times) for name, times in self.seconds.items()}

    def runs_of(self, name: str) -> int:
        """How many timed runs a side had."""
        return len(self.seconds[name])


def against(
    what: str,
    *,
    ours: Callable[[], Any],
    peer: str,
    theirs: Callable[[], Any],
    limit: float | None,
    agree: Callable[[Any, Any], str],
) -> Row:
    """Compare the results of ours and of a peer, then time both.

    Args:
        what: What is done, on how much data.
        ours: Our side.
        peer: Name of the other one.
        theirs: The other side.
        limit: How many times faster ours should be at least; None asks for nothing.
        agree: Function of both results; says how far they agree, raises where they do not.
    """
    mine = ours()
    started = time.perf_counter()
    other = theirs()
    slow = ["theirs"] if time.perf_counter() - started > SLOW_SECONDS else []
    note = agree(mine, other)
    del mine, other
    timer = Timer()
    medians = timer.compare({"ours": ours, "theirs": theirs}, warm=False, slow=slow)  # both are warm by now
    if timer.runs_of("theirs") < timer.runs:
        note = f"{note}; peer run {timer.runs_of('theirs')} times"
    return Row(
        what,
        peer,
        as_seconds(medians["ours"]),
        as_seconds(medians["theirs"]),
        medians["theirs"] / medians["ours"],
        limit,
        note=note,
    )


def as_seconds(seconds: float) -> str:
    """Seconds or milliseconds, as people read them."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def as_megabytes(size_bytes: float) -> str:
    """Megabytes (10⁶ bytes)."""
    return f"{size_bytes / 1e6:.0f} MB"


def _seconds_of(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
