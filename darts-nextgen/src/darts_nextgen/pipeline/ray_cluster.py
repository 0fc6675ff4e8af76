"""A connection to a Ray cluster, and what its nodes are and have."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from darts_nextgen.pipeline.software import Versions, check_versions, versions
from darts_utils.errors import ConfigError, DartsError
from darts_utils.faults import describe_error
from darts_utils.files import exists

KEEP_PROCESSES = "RAY_idle_worker_killing_time_threshold_ms"
"""How long a node of Ray keeps processes that wait for a task beyond the number of its free CPUs; read when the node is started.
The second that Ray gives them is less than what a process needs to start."""

_KEEP_PROCESSES_MS = 600_000


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to a cluster.

    Args:
        address: Where it is; None: where the environment variable ``RAY_ADDRESS`` says, else a new one on this machine. Where this
            process is already connected to a cluster, that one is used.

    Raises:
        ConfigError: There is no cluster at the address.
    """
    if ray.is_initialized():
        yield
        return
    keep_processes()
    # Without an address Ray would take whichever cluster was started last on this machine, by whomever.
    found = address or os.environ.get("RAY_ADDRESS") or "local"
    try:
        ray.init(address=found, include_dashboard=False if found == "local" else None, log_to_driver=True)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"cannot use the Ray cluster at {found!r} ({error}): check ray.address") from error
    try:
        yield
    finally:
        ray.shutdown()


def keep_processes() -> None:
    """Let the nodes that this process starts keep processes that wait for a task, unless the environment says otherwise."""
    os.environ.setdefault(KEEP_PROCESSES, str(_KEEP_PROCESSES_MS))


def node_resources() -> list[dict[str, float]]:
    """What each living node has, by Ray's names."""
    return [dict(node["Resources"]) for node in _nodes()]


@dataclass(frozen=True)
class Node:
    """A node on which something can run."""

    address: str
    """Where it listens."""
    gpus: float = 0.0
    """Its GPUs."""


def working_nodes() -> dict[str, Node]:
    """Ray's id of each living node with CPUs → what it is."""
    working = (node for node in _nodes() if node["Resources"].get("CPU", 0) > 0)
    return {
        str(node["NodeID"]): Node(str(node["NodeManagerAddress"]), node["Resources"].get("GPU", 0.0))
        for node in working
    }


def check_nodes(
    *,
    read: Collection[Path] = (),
    write: Path | None = None,
    same: Callable[[], Mapping[str, str]] = dict,
    timeout_seconds: float = 120.0,
) -> None:
    """Ask every node for its versions and for what it can read, and refuse nodes that could not do the work.

    Args:
        read: Files and folders that every node must be able to read.
        write: Folder that every node must be able to write into; it may not be there yet.
        same: Called on every node: names of files, as a reader knows them → their digests, which must be those of this process.
        timeout_seconds: How long a node may take to answer.

    Raises:
        ConfigError: A node cannot run DARTS, does not answer, has other versions than this process, or cannot read or write
            what it must, or has other files; names it.
    """
    nodes = working_nodes()
    asked = {
        node_id: _ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)).remote(
            [*map(str, read)], None if write is None else str(write), same
        )
        for node_id in nodes
    }
    expected, digests = versions(), same()
    for node_id, reference in asked.items():
        name = f"{nodes[node_id].address} {node_id[:8]}"
        try:
            found, troubles, other = ray.get(reference, timeout=timeout_seconds)
            check_versions(found, expected=expected, node=name)
            check_paths(troubles, node=name)
            check_files(other, expected=digests, node=name)
        except ray.exceptions.GetTimeoutError as error:
            raise ConfigError(
                f"expected node {name} to say within {timeout_seconds:g} s which software and files it has, but it did not: look at "
                "its storage and its load"
            ) from error
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


def check_files(found: Mapping[str, str], *, expected: Mapping[str, str], node: str) -> None:
    """Refuse a node whose files have other contents.

    Raises:
        ConfigError: Digests differ; names the files.
    """
    other = [name for name, digest in expected.items() if found.get(name) != digest]
    if other:
        raise ConfigError(
            f"expected the same files on every node, but on node {node} {', '.join(other)} differs: copy the files, or keep "
            "them on storage that all nodes share"
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
def _ask(
    read: list[str], write: str | None, same: Callable[[], Mapping[str, str]]
) -> tuple[Versions, list[str], Mapping[str, str]]:
    troubles = path_troubles(read, write)
    try:
        digests = {} if troubles else same()
    except DartsError as error:
        troubles, digests = [describe_error(error)], {}
    return versions(), troubles, digests
