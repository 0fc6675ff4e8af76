"""``darts dataset build`` in processes that are killed."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from darts_export.dataset.testing.archives import files_in
from darts_export.dataset_folders import WORK
from darts_utils.files import TEMPORARY_PREFIX

_BUILD = "import sys; from darts_utils.cli import main; sys.argv[0] = 'darts'; main()"


def build_killed_after(seconds: float, archive: Path, out: Path) -> bool:
    """Build in a process of its own, and kill it; whether it was still at work."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _BUILD, "dataset", "build", archive, "--out", out],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def assert_kills_do_not_matter(archive: Path, dataset: Path, out: Path, *, kills: int, seed: int) -> None:
    start = time.monotonic()
    assert not build_killed_after(500, archive, out)
    whole = time.monotonic() - start
    assert files_in(out) == files_in(dataset)
    chance = random.Random(seed)  # noqa: S311
    done = 0
    while done < kills:
        if chance.random() < 0.5 and not (out / WORK).exists():
            shutil.rmtree(out, ignore_errors=True)
        elif (out / "manifest.json").exists():  # also a data set that is replaced
            (out / "tiles.csv").unlink(missing_ok=True)  # a build may be killed before it does anything
        done += build_killed_after(chance.uniform(0.2, 1) * whole, archive, out)
        if chance.random() < 0.3:
            build_killed_after(500, archive, out)
            assert files_in(out) == files_in(dataset)
    build_killed_after(500, archive, out)
    assert files_in(out) == files_in(dataset)
    assert not list(out.rglob(f"{TEMPORARY_PREFIX}*"))


def test_a_build_that_is_killed_ends_with_the_same_bytes(archive: Path, dataset: Path, tmp_path: Path) -> None:
    assert_kills_do_not_matter(archive, dataset, tmp_path / "out", kills=1, seed=1)


@pytest.mark.slow
def test_twenty_kills(archive: Path, dataset: Path, tmp_path: Path) -> None:
    assert_kills_do_not_matter(archive, dataset, tmp_path / "out", kills=20, seed=2)
