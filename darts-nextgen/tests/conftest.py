"""Scenes as files, and nodes of a Ray cluster as processes."""

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from darts_nextgen.demo.sample import MODELS
from darts_utils.synthetic import synthetic_scene, write_scene


@pytest.fixture(scope="session")
def models():
    """The folder of the demo's networks."""
    return MODELS


@pytest.fixture(scope="session")
def planet_scene():
    """A PlanetScope scene with clouds."""
    return synthetic_scene(100_018, shape=(200, 220), slump_density_per_km2=14.0)


@pytest.fixture(scope="session")
def planet(planet_scene, tmp_path_factory):
    """Its files; not to be changed."""
    return write_scene(planet_scene, tmp_path_factory.mktemp("planet"))


@pytest.fixture(scope="session")
def sentinel(tmp_path_factory):
    """The files of a Sentinel-2 scene, with reflectance 0 at count 0; not to be changed."""
    scene = synthetic_scene(100_001, shape=(160, 170), resolution_m=10.0, sensor="sentinel2")
    return write_scene(scene, tmp_path_factory.mktemp("sentinel"))


class Node:
    """A node of a Ray cluster: `ray start --block` in a session of its own, with its raylet, object store and workers."""

    def __init__(self, log, *, options, environment, wrapper=()):
        self.log = log
        command = [*wrapper, sys.executable, "-u", "-m", "ray.scripts.scripts", "start", "--block", *map(str, options)]
        self._command = [*command, "--num-gpus", "0", "--object-store-memory", "100000000", "--disable-usage-stats"]
        self._environment = {**os.environ, **environment}
        self._begin()

    def _begin(self):
        with self.log.open("wb") as file:
            self._process = subprocess.Popen(
                self._command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True, env=self._environment
            )

    def wait(self):
        """Wait until the node belongs to the cluster."""
        attempts = 1
        while "Ray runtime started" not in self.log.read_text():
            if self._process.poll() is not None:  # Ray waits 30 seconds for a raylet; a busy machine may need more
                assert "timed out during startup" in self.log.read_text(), self.log.read_text()
                assert attempts < 5
                self._begin()
                attempts += 1
            time.sleep(0.1)

    def processes(self, beginning=""):
        """The ids of its processes whose command begins so, or whose program's name is this."""
        found = []
        for path in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                command = (path / "cmdline").read_bytes().decode().split("\0")[0]
                if os.getsid(int(path.name)) == self._process.pid and (
                    command.startswith(beginning) or Path(command).name == beginning
                ):
                    found.append(int(path.name))
        return found

    def kill(self, beginning=""):
        """Send SIGKILL to such processes, all of them if nothing is said; returns how many they were."""
        killed = 0
        for process in self.processes(beginning):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
                killed += 1
        if not beginning:
            self._process.wait()
        return killed


class RayNodes:
    """A head without CPUs and, as they are started, nodes that work, each at an address of its own on the loopback device."""

    def __init__(self, folder):
        self._folder, self._started = folder, 0
        self.environment = {
            "OGR_CURRENT_DATE": "2026-01-01T00:00:00.000Z", "SOURCE_DATE_EPOCH": "1767225600", "OMP_NUM_THREADS": "1",
            "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }  # fmt: skip
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = [
            "--head",
            "--port",
            port,
            "--num-cpus",
            0,
            "--include-dashboard",
            "false",
            "--include-log-monitor",
            "false",
            "--temp-dir",
            folder / "ray",
        ]
        self.workers = []
        self.head = Node(folder / "head.log", options=options, environment=self.environment)
        self.head.wait()
        self.address = re.search(r"Local node IP: (\S+)", self.head.log.read_text())[1] + f":{port}"

    def start(self, *, cpus=2, wrapper=(), environment=None):
        """Start one more node that works."""
        self._started += 1
        options = ["--address", self.address, "--node-ip-address", f"127.0.0.{1 + self._started}", "--num-cpus", cpus]
        node = Node(
            self._folder / f"node{self._started}.log",
            options=options, wrapper=wrapper, environment={**self.environment, **(environment or {})},
        )  # fmt: skip
        self.workers.append(node)
        return node

    def remove(self, node):
        """End a node."""
        node.kill()
        self.workers.remove(node)


@pytest.fixture(scope="module")
def ray_nodes():
    """A Ray cluster of several nodes on this machine; the test starts those that work."""
    folder = Path(tempfile.mkdtemp(prefix="darts"))  # short: names of sockets have at most 107 characters
    nodes = RayNodes(folder)
    yield nodes
    for node in (*nodes.workers, nodes.head):
        node.kill()
    shutil.rmtree(folder, ignore_errors=True)
