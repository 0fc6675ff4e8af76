import logging
import re

import pytest

from darts_utils.logging import configure_logging, get_logger, log_tile, timed


@pytest.fixture
def _restored_logging():
    yield
    logging.captureWarnings(False)
    for name in ("darts", "py.warnings"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


@pytest.mark.usefixtures("_restored_logging")
def test_lines_carry_the_tile(capsys):
    configure_logging()
    with log_tile("42-7"):
        get_logger("darts_test").info("found %d slumps", 3)
    get_logger("darts_test").info("done")
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO \[42-7\] found 3 slumps", first)
    assert second.endswith("INFO done")


@pytest.mark.usefixtures("_restored_logging")
@pytest.mark.parametrize(("debug", "lines"), [(True, 1), (False, 0)])
def test_timings_are_details(capsys, debug, lines):
    configure_logging(debug=debug)
    with timed("warp", logger=get_logger("darts_test")):
        pass
    err = capsys.readouterr().err
    assert err.count("warp took") == lines


def test_a_failed_step_is_timed_too():
    with pytest.raises(RuntimeError, match="broken"), timed("warp", logger=get_logger("darts_test")) as timing:
        raise RuntimeError("broken")
    assert timing.seconds >= 0
