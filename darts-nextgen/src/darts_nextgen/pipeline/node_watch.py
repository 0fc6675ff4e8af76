"""Says in the log of a run which nodes its cluster loses, and what that means for it."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from darts_nextgen.pipeline.ray_cluster import Node, working_nodes
from darts_utils.faults import describe_error
from darts_utils.logging import get_logger

_logger = get_logger(__name__)

_EVERY_SECONDS = 5.0

Nodes = Mapping[str, Node]
"""Ray's id of each node with CPUs → what it is."""


@contextlib.contextmanager
def watched_nodes(
    nodes: Callable[[], Nodes] = working_nodes, *, needs_gpus: bool = False, every_seconds: float = _EVERY_SECONDS
) -> Iterator[None]:
    """Warn of nodes that are lost while this is entered; a thread of its own asks for them.

    Args:
        nodes: Says which there are.
        needs_gpus: Whether the model workers of the run have GPUs.
        every_seconds: How often it is asked.
    """
    over = threading.Event()
    watch = partial(_watch, nodes, over, every_seconds, needs_gpus=needs_gpus)
    watcher = threading.Thread(target=watch, daemon=True, name="node-watch")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(timeout=every_seconds)  # where the cluster is gone it may hang


def _watch(nodes: Callable[[], Nodes], over: threading.Event, every_seconds: float, *, needs_gpus: bool) -> None:
    before: Nodes | None = None
    is_told = False
    while not over.is_set():
        try:
            now = nodes()
        except Exception as error:  # noqa: BLE001 - the cluster may answer again; if it is gone, the run says so
            if not is_told:
                _logger.warning("the cluster does not say which nodes it has (%s); asking on", describe_error(error))
            is_told = True
        else:
            for line in news(now if before is None else before, now, needs_gpus=needs_gpus):
                _logger.warning(line)
            before, is_told = now, False
        over.wait(every_seconds)


def news(before: Nodes, now: Nodes, *, needs_gpus: bool = False) -> list[str]:
    """What has become of the nodes, a line each.

    Examples:
        >>> a, b = Node("10.0.0.1"), Node("10.0.0.2", gpus=1.0)
        >>> news({"a1": a, "b2": b}, {"a1": a})
        ['node 10.0.0.2 b2 was lost, 1 left: what ran there is done again elsewhere']
        >>> news({"a1": a, "b2": b}, {"a1": a}, needs_gpus=True)
        ['node 10.0.0.2 b2 was lost, 1 left, without GPUs: the run waits until a node with GPUs joins the cluster']
        >>> news({"a1": a}, {})
        ['node 10.0.0.1 a1 was lost, none left: the run waits until one joins the cluster']
        >>> news({}, {"b2": b})
        ['node 10.0.0.2 b2 has joined the cluster, 1 now']
    """
    lost = [
        f"node {node.address} {each[:8]} was lost, {_consequence(node, now, needs_gpus=needs_gpus)}"
        for each, node in before.items()
        if each not in now
    ]
    joined = [
        f"node {node.address} {each[:8]} has joined the cluster, {len(now)} now"
        for each, node in now.items()
        if each not in before
    ]
    return lost + joined


def _consequence(lost: Node, now: Nodes, *, needs_gpus: bool) -> str:
    if not now:
        return "none left: the run waits until one joins the cluster"
    if needs_gpus and not any(node.gpus > 0 for node in now.values()):
        return f"{len(now)} left, without GPUs: the run waits until a node with GPUs joins the cluster"
    if needs_gpus and lost.gpus > 0:
        # Ray does not give tiles of a worker that waits for a place to another one.
        return (
            f"{len(now)} left: the tiles that its model workers had wait until a GPU is free, on a node that joins or when "
            "other workers have no more to do"
        )
    return f"{len(now)} left: what ran there is done again elsewhere"
