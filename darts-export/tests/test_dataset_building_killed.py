"""The streaming build, killed again and again."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from darts_export.dataset import DatasetConfig
from darts_export.dataset.building import build_levels
from darts_export.dataset.testing.archives import random_archive
from darts_export.dataset.testing.levels import digest

_BUILD = """
import sys
from pathlib import Path
from darts_export.dataset import DatasetConfig
from darts_export.dataset.building import build_levels

if __name__ == "__main__":
    config = DatasetConfig(partition_objects=10, edge_tolerance_m=1, reach_m=2, workers=int(sys.argv[3]))
    build_levels([Path(sys.argv[1])], Path(sys.argv[2]), config=config)
"""


@pytest.mark.parametrize(
    ("kills", "workers"), [pytest.param(3, 1, id="few"), pytest.param(20, 2, id="many", marks=pytest.mark.slow)]
)
def test_a_build_that_is_killed_goes_on_and_ends_with_the_same_bytes(tmp_path: Path, kills: int, workers: int) -> None:
    random_archive(tmp_path / "tiles", seed=2)
    config = DatasetConfig(partition_objects=10, edge_tolerance_m=1, reach_m=2)
    expected = digest(build_levels([tmp_path / "tiles"], tmp_path / "undisturbed", config=config))
    script = tmp_path / "build.py"
    script.write_text(_BUILD)
    chance = np.random.default_rng(kills)
    work = tmp_path / "work"
    for _ in range(kills):
        command = [sys.executable, str(script), str(tmp_path / "tiles"), str(work), str(workers)]
        build = subprocess.Popen(command, start_new_session=True)
        written = _files_in(work)
        aim = written + int(chance.integers(0, 7))
        while build.poll() is None and _files_in(work) <= aim:
            time.sleep(0.002)
        build.kill()
        build.wait()
    assert digest(build_levels([tmp_path / "tiles"], work, config=config)) == expected
    assert not list(work.rglob(".darts-incomplete-*"))


def _files_in(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))
