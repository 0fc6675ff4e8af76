"""A connection to a Ray cluster, and what its nodes are and have."""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from darts_nextgen.pipeline.software import Versions, check_versions, versions
from darts_utils.errors import ConfigError
from darts_utils.files import exists

KEEP_PROCESSES = "RAY_idle_worker_killing_time_threshold_ms"
"""How long a node of Ray keeps processes that wait for a task beyond the number of its free CPUs; read when the node is started.
The second that Ray gives them is less than what a process needs to start."""

KEEP_PROCESSES_MS = 600_000


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to a cluster: the one of this process if there is one, else that of the address, else a new one.

    Raises:
        ConfigError: There is no cluster at the address.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault(KEEP_PROCESSES, str(KEEP_PROCESSES_MS))  # for the nodes of a new cluster
    try:
        ray.init(address=address, include_dashboard=False if address is None else None, log_to_driver=True)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"cannot use the Ray cluster at {address!r} ({error}): check ray.address") from error
    try:
        yield
    finally:
        ray.shutdown()


def node_resources() -> list[dict[str, float]]:
    """What each living node has, by Ray's names."""
    return [dict(node["Resources"]) for node in _nodes()]


def working_nodes() -> dict[str, str]:
    """Ray's id of each living node with CPUs → its address."""
    working = (node for node in _nodes() if node["Resources"].get("CPU", 0) > 0)
    return {str(node["NodeID"]): str(node["NodeManagerAddress"]) for node in working}


def check_nodes(*, read: Collection[Path] = (), write: Path | None = None, timeout_seconds: float = 120.0) -> None:
    """Ask every node for its versions and for what it can read, and refuse nodes that could not do the work.

    Args:
        read: Files and folders that every node must be able to read.
        write: Folder that every node must be able to write into; it may not be there yet.
        timeout_seconds: How long a node may take to answer.

    Raises:
        ConfigError: A node cannot run DARTS, does not answer, has other versions than this process, or cannot read or write
            what it must; names it.
    """
    addresses = working_nodes()
    asked = {
        node_id: _ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)).remote(
            [*map(str, read)], None if write is None else str(write)
        )
        for node_id in addresses
    }
    expected = versions()
    for node_id, reference in asked.items():
        name = f"{addresses[node_id]} {node_id[:8]}"
        try:
            found, troubles = ray.get(reference, timeout=timeout_seconds)
            check_versions(found, expected=expected, node=name)
            check_paths(troubles, node=name)
        except ray.exceptions.RayError as error:
            if node_id not in working_nodes():
                continue  # it was lost just now, which a run survives
            raise ConfigError(
                f"node {name} cannot run DARTS ({' '.join(str(error).split())[-300:]}): install the same packages on every node"
            ) from error


def _nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def check_paths(troubles: Sequence[str], *, node: str) -> None:
    """Refuse a node that cannot read or write what it must.

    Raises:
        ConfigError: There are troubles; names the first ones.
    """
    if troubles:
        raise ConfigError(
            f"expected the same paths on every node, but on node {node} {'; '.join(troubles[:3])}: mount the storage there, or "
            "check the permissions"
        )


def path_troubles(read: Sequence[str], write: str | None) -> list[str]:
    """What this process cannot read, or write into, in words.

    Args:
        read: Files and folders to be read.
        write: Folder to be written into; where it is not there, the nearest folder above it counts.
    """
    troubles = [f"'{path}' cannot be read" for path in read if not _is_readable(Path(path))]
    if write is not None:
        place = Path(write).absolute()
        there = next(each for each in (place, *place.parents) if exists(each))
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            troubles.append(f"'{place}' cannot be written into")
    return troubles


def _is_readable(path: Path) -> bool:
    return exists(path) and os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))


@ray.remote(num_cpus=0, max_retries=0)
def _ask(read: list[str], write: str | None) -> tuple[Versions, list[str]]:
    return versions(), path_troubles(read, write)
