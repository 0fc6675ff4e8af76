"""How far a run is: a bar on a terminal, log lines elsewhere."""

import io
import logging
from pathlib import Path

import pytest

from darts_nextgen.commands.progress import follow
from darts_nextgen.pipeline import local
from darts_nextgen.pipeline.report import TileRow

DONE = TileRow("good", Path("good"), status="done", objects=2, seconds={"load": 1.0, "export": 0.5})
FAILED = TileRow("bad", Path("bad"), status="failed", failed_stage="load", error="SceneError: no")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def tell(progress):
    progress(None, finished=0, total=2)
    progress(DONE, finished=1, total=2)
    progress(FAILED, finished=2, total=2)


def test_log_lines_where_there_is_no_terminal(monkeypatch, caplog):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with caplog.at_level(logging.INFO, logger="darts"), follow() as progress:
        assert progress is local.log_progress
        tell(progress)
    assert [record.getMessage() for record in caplog.records] == [
        "scenes to map: 2",
        "1/2 good done in 1.5 s, thaw slumps: 2",
        "2/2 bad failed in load: SceneError: no",
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
