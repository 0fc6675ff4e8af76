"""How far a run is: a bar on a terminal, log lines elsewhere."""

import io
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from darts_nextgen.commands.progress import follow
from darts_nextgen.pipeline import local
from darts_nextgen.pipeline.rates import Pace, Rates
from darts_nextgen.pipeline.report import TileRow

DONE = TileRow("good", Path("good"), status="done", objects=2, seconds={"load": 1.0, "export": 0.5})
FAILED = TileRow("bad", Path("bad"), status="failed", failed_stage="load", error="SceneError: no")
SAID = "0.50 tiles/s, 120 km²/h, inference 80 % of the time, 0:01:01 left"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def tell(progress):
    rates = Rates(0.5, 120.0, 0.8, 61.0)
    progress(None, finished=0, total=2, rates=Rates())
    progress(DONE, finished=1, total=2, rates=rates)
    progress(FAILED, finished=2, total=2, rates=rates)


def test_log_lines_where_there_is_no_terminal(monkeypatch, caplog):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with caplog.at_level(logging.INFO, logger="darts"), follow() as progress:
        assert progress is local.log_progress
        tell(progress)
    assert [record.getMessage() for record in caplog.records] == [
        "scenes to map: 2",
        f"1/2 good done in 1.5 s, thaw slumps: 2 ({SAID})",
        f"2/2 bad failed in load: SceneError: no ({SAID})",
    ]
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "ERROR"]


@pytest.fixture
def handler():
    """A handler like the one that the command line sets up."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("darts")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_a_bar_on_a_terminal_with_failures_above_it(monkeypatch, handler):
    terminal = Terminal()
    before = handler.stream
    monkeypatch.setattr("sys.stderr", terminal)
    with follow() as progress:
        tell(progress)
        assert handler.stream is not before
    assert handler.stream is before
    shown = terminal.getvalue()
    assert "2/2" in shown
    assert "bad failed in load: SceneError: no" in shown
    assert "good done" not in shown
    assert "0.50 tiles/s" in shown


def test_without_a_known_end_nothing_is_said_about_it(caplog):
    with caplog.at_level(logging.INFO, logger="darts"):
        local.log_progress(None, finished=0, total=None, rates=Rates())
        local.log_progress(DONE, finished=7, total=None, rates=Rates(0.5, 120.0, 0.8))
    assert [record.getMessage() for record in caplog.records] == [
        "scenes to map: as they come",
        "7 good done in 1.5 s, thaw slumps: 2 (0.50 tiles/s, 120 km²/h, inference 80 % of the time)",
    ]


def test_rates_are_counted_from_the_start_of_the_run():
    seconds = iter([100.0, 110.0, 120.0])
    pace = Pace(4, workers=2, clock=lambda: next(seconds))
    rates = pace.after(replace(DONE, area_km2=5.0, seconds={"inference": 10.0, "load": 3.0}))
    assert rates == Rates(0.1, 1800.0, 0.5, 30.0)
    assert pace.after(FAILED) == Rates(0.1, 900.0, 0.25, 20.0)
    seconds = iter([0.0, 1.0])
    assert Pace(None, clock=lambda: next(seconds)).after(DONE).remaining_seconds is None
