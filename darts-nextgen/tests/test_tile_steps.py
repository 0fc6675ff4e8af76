"""Steps that are done to one tile, and what becomes of errors; the same in every runtime."""

import errno
import logging
import os
import warnings

import pytest

from darts_nextgen.pipeline.report import TileRow
from darts_nextgen.pipeline.stages import TileOutcome
from darts_nextgen.pipeline.tile_steps import Handling, take_steps, traceback_path
from darts_utils.errors import DartsWarning, SceneError
from darts_utils.testing import example_tile


class Unsteady:
    """Fails as often as it is told to."""

    def __init__(self, number, *, times):
        self.number, self.times, self.calls = number, times, 0

    def __call__(self, _):
        self.calls += 1
        if self.calls <= self.times:
            error = OSError(self.number, os.strerror(self.number))
            raise SceneError("cannot read") from error
        return example_tile(["red"], shape=(4, 5))


@pytest.fixture
def row(tmp_path):
    return TileRow("a", tmp_path / "a")


def handling(out, **options):
    return Handling(out, **{"retries": 2, "pause_seconds": 0.0, **options})


def test_a_tile_goes_through_all_steps_and_is_done_at_the_end(row, tmp_path):
    tile = example_tile(["red"], shape=(4, 5))
    outcome = TileOutcome(3, {"stac": "a.json"}, area_km2=2.0, nbytes=70)

    def export(passed):
        assert passed is tile
        warnings.warn("covers half", DartsWarning, stacklevel=1)
        return outcome

    traceback_path(tmp_path, "a").parent.mkdir()
    traceback_path(tmp_path, "a").write_text("of an earlier run")
    done, passed = take_steps(row, None, [("load", lambda _: tile), ("export", export)], handling=handling(tmp_path))
    assert passed is outcome
    assert (done.status, done.objects, done.area_km2, done.products) == ("done", 3, 2.0, {"stac": "a.json"})
    assert (set(done.seconds), done.bytes) == ({"load", "export"}, {"load": tile.nbytes, "export": 70})
    assert done.warnings == ("covers half",)
    assert not traceback_path(tmp_path, "a").exists()


def test_a_step_that_fails_ends_the_tile_and_leaves_its_traceback(row, tmp_path):
    failed, passed = take_steps(
        row, None, [("load", lambda _: 1 // 0), ("export", pytest.fail)], handling=handling(tmp_path)
    )
    assert passed is None
    assert (failed.status, failed.failed_stage) == ("failed", "load")
    assert failed.error == "ZeroDivisionError: integer division or modulo by zero"
    assert failed.traceback == tmp_path / "errors" / "a.txt"
    text = failed.traceback.read_text()
    assert text.startswith(f"{row.scene}\nload: {failed.error}\n\nTraceback (most recent call last):")
    assert "1 // 0" in text
    assert "seconds" not in failed.bytes


def test_where_the_traceback_cannot_be_kept_the_row_says_the_error(row, tmp_path, caplog):
    (tmp_path / "errors").write_text("in the way")
    failed, _ = take_steps(row, None, [("load", lambda _: 1 // 0)], handling=handling(tmp_path))
    assert (failed.status, failed.traceback) == ("failed", None)
    assert "the traceback cannot be kept" in caplog.text


@pytest.mark.parametrize(
    ("number", "times", "calls", "status"),
    [(errno.ESTALE, 2, 3, "pending"), (errno.ESTALE, 5, 3, "failed"), (errno.ENOSPC, 1, 1, "failed")],
)
def test_only_what_may_pass_is_tried_again(number, times, calls, status, row, tmp_path, caplog):
    step = Unsteady(number, times=times)
    with caplog.at_level(logging.WARNING, logger="darts"):
        made, _ = take_steps(row, None, [("load", step)], handling=handling(tmp_path))
    assert (step.calls, made.status) == (calls, status)
    assert caplog.text.count("trying again") == calls - 1
