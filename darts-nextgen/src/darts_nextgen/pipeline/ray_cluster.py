"""A connection to a Ray cluster, and what its nodes are and have."""

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from darts_utils.errors import ConfigError

_DISTRIBUTIONS = ("darts-nextgen", "darts-utils", "numpy", "pyarrow", "rasterio", "ray", "torch", "xarray")
"""Packages whose versions decide results, or whether workers understand each other."""

Versions = Mapping[str, str]


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to a cluster: the one of this process if there is one, else that of the address, else a new one.

    Raises:
        ConfigError: There is no cluster at the address.
    """
    if ray.is_initialized():
        yield
        return
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


def check_nodes(*, timeout_seconds: float = 120.0) -> None:
    """Ask every node for its versions and refuse nodes that have others than this process.

    Raises:
        ConfigError: A node cannot run DARTS, does not answer, or has other versions; names it.
    """
    asked = {
        str(node["NodeManagerAddress"]) + " " + str(node["NodeID"])[:8]: _ask.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote()
        for node in _nodes()
        if node["Resources"].get("CPU", 0) > 0
    }
    expected = versions()
    for name, reference in asked.items():
        try:
            check_versions(ray.get(reference, timeout=timeout_seconds), expected=expected, node=name)
        except ray.exceptions.RayError as error:
            raise ConfigError(
                f"node {name} cannot run DARTS ({' '.join(str(error).split())[-300:]}): install the same packages on every node"
            ) from error


def versions() -> dict[str, str]:
    """The versions of this process: Python and the packages that decide."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in _DISTRIBUTIONS}}


def check_versions(found: Versions, *, expected: Versions, node: str) -> None:
    """Compare the versions of a node with those of this process.

    Raises:
        ConfigError: They differ; names all that do.
    """
    other = [
        f"{name} {found.get(name, 'none')} instead of {value}"
        for name, value in expected.items()
        if found.get(name) != value
    ]
    if other:
        raise ConfigError(
            f"expected the same versions on every node, but node {node} has {', '.join(other)}: install the same packages"
        )


def _nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


@ray.remote(num_cpus=0, max_retries=0)
def _ask() -> Versions:
    return versions()
