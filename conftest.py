"""Fixtures for every package of the workspace."""

import logging
import os
from collections.abc import Iterator

import pytest

pytest_plugins = ["darts_utils.testing.plugin"]


# Before anything reads it: the tests run in several processes and start more, and these must not fight for cores. Some of
# them fork, too, and the pool of an OpenMP library does not survive that.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """What a command in this process does to logging ends with its test."""
    loggers = [logging.getLogger("darts"), logging.getLogger("py.warnings")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    logging.captureWarnings(capture=False)
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)
