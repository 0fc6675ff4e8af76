"""How fast a run goes, how busy its networks are, and how long it will still take."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from darts_nextgen.pipeline.report import TileRow


@dataclass(frozen=True)
class Rates:
    """How a run goes, from its start until now."""

    tiles_per_second: float = 0.0
    """Tiles that have ended, in whatever way."""
    km2_per_hour: float = 0.0
    """Area with data that was mapped."""
    device_share: float = 0.0
    """Share of the time in which the processes with models were at inference, 0 to 1."""
    remaining_seconds: float | None = None
    """Seconds until all tiles have ended, at this pace; None where nobody knows how many there are, or none has ended."""

    def text(self) -> str:
        """Say it in one line.

        Examples:
            >>> Rates(0.5, 1234.5, 0.876, 150.0).text()
            '0.50 tiles/s, 1234 km²/h, inference 88 % of the time, 0:02:30 left'
        """
        parts = [
            f"{self.tiles_per_second:.2f} tiles/s",
            f"{self.km2_per_hour:.0f} km²/h",
            f"inference {self.device_share:.0%} of the time".replace("%", " %"),
        ]
        if self.remaining_seconds is not None:
            minutes, seconds = divmod(round(self.remaining_seconds), 60)
            parts.append(f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d} left")
        return ", ".join(parts)


class Pace:
    """Counts what has ended.

    Args:
        total: Number of tiles of the run; None where nobody knows it.
        workers: Processes that are at inference at the same time.
        clock: Gives seconds.
    """

    def __init__(self, total: int | None, *, workers: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.finished = 0
        self._workers = workers
        self._clock = clock
        self._started = clock()
        self._area_km2 = 0.0
        self._inference_seconds = 0.0

    def after(self, row: TileRow) -> Rates:
        """Count a tile that has ended."""
        self.finished += 1
        self._area_km2 += row.area_km2 or 0.0
        self._inference_seconds += row.seconds.get("inference", 0.0)
        seconds = max(self._clock() - self._started, 1e-9)
        per_second = self.finished / seconds
        return Rates(
            per_second,
            self._area_km2 / seconds * 3600,
            min(1.0, self._inference_seconds / (seconds * self._workers)),
            None if self.total is None else (self.total - self.finished) / per_second,
        )
