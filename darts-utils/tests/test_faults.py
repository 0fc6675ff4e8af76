"""The boundary of one tile."""

import logging
import warnings

import pytest

from darts_utils.errors import DartsWarning
from darts_utils.faults import attempt, collected_warnings, describe_error

LOGGER = logging.getLogger("darts.test")


def test_what_succeeds_gives_its_value():
    done = attempt(lambda: 7, step="count", logger=LOGGER)
    assert (done.value, done.error) == (7, None)
    assert done.seconds >= 0


@pytest.mark.parametrize("error", [ValueError("a\n  b"), MemoryError("a b"), RecursionError("a b")])
def test_whatever_fails_gives_its_error_in_one_line(error):
    def fail():
        raise error

    done = attempt(fail, step="count", logger=LOGGER)
    assert done.value is None
    assert done.error == f"{type(error).__name__}: a b"


def test_what_may_pass_is_done_again_and_the_last_failure_counts(caplog):
    calls = []

    def fail_until(number):
        calls.append(number)
        if len(calls) < number:
            raise TimeoutError(f"call {len(calls)}")
        return "done"

    options = {"step": "count", "logger": LOGGER, "retries": 2, "pause_seconds": 0.0}
    done = attempt(lambda: fail_until(3), may_pass=lambda error: isinstance(error, TimeoutError), **options)
    assert (done.value, done.error, done.traceback, len(calls)) == ("done", None, None, 3)
    assert caplog.text.count("which may pass; trying again") == 2
    calls.clear()
    done = attempt(lambda: fail_until(9), may_pass=lambda _: True, **options)
    assert (done.error, len(calls)) == ("TimeoutError: call 3", 3)
    assert "in fail_until" in done.traceback
    calls.clear()
    assert attempt(lambda: fail_until(9), **options).error == "TimeoutError: call 1"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_is_not_caught(stop):
    def fail():
        raise stop

    with pytest.raises(stop):
        attempt(fail, step="count", logger=LOGGER)


def test_errors_are_one_line():
    assert describe_error(ValueError("a\n  b")) == "ValueError: a b"
    assert describe_error(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_warnings_of_the_packages_are_collected_and_others_pass():
    def work():
        with collected_warnings() as notes:
            for _ in range(2):
                warnings.warn("the model\n covers half", DartsWarning, stacklevel=1)
            warnings.warn("not ours", UserWarning, stacklevel=1)
        return notes

    with pytest.warns(UserWarning, match="not ours"):
        notes = work()
    assert notes == ["the model covers half"]
