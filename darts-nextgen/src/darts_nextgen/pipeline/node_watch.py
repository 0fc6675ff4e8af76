"""Says in the log of a run which nodes its cluster loses, and when none is left on which it could go on."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping

from darts_nextgen.pipeline.ray_cluster import working_nodes
from darts_utils.logging import get_logger

_logger = get_logger(__name__)

_EVERY_SECONDS = 5.0

Nodes = Mapping[str, str]
"""Ray's id of each node with CPUs → its address."""


@contextlib.contextmanager
def watched_nodes(
    nodes: Callable[[], Nodes] = working_nodes, *, every_seconds: float = _EVERY_SECONDS
) -> Iterator[None]:
    """Warn of nodes that are lost while this is entered; a thread of its own asks for them.

    Args:
        nodes: Says which there are.
        every_seconds: How often it is asked.
    """
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(nodes, over, every_seconds), daemon=True, name="node-watch")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(timeout=every_seconds)  # where the cluster is gone it may hang


def _watch(nodes: Callable[[], Nodes], over: threading.Event, every_seconds: float) -> None:
    try:
        before = nodes()
        while not over.wait(every_seconds):
            now = nodes()
            for line in news(before, now):
                _logger.warning(line)
            before = now
    except Exception:
        _logger.debug("the nodes of the cluster are not watched any more", exc_info=True)


def news(before: Nodes, now: Nodes) -> list[str]:
    """What has become of the nodes, a line each.

    Examples:
        >>> news({"a1": "10.0.0.1", "b2": "10.0.0.2"}, {"b2": "10.0.0.2"})
        ['node 10.0.0.1 a1 was lost, 1 with CPUs left: what ran there is done again elsewhere']
        >>> news({"b2": "10.0.0.2"}, {})
        ['node 10.0.0.2 b2 was lost, none with CPUs left: the run waits until one joins the cluster']
        >>> news({}, {"c3": "10.0.0.3"})
        ['node 10.0.0.3 c3 has joined the cluster, 1 with CPUs now']
    """
    then = "what ran there is done again elsewhere" if now else "the run waits until one joins the cluster"
    lost = [
        f"node {before[each]} {each[:8]} was lost, {len(now) or 'none'} with CPUs left: {then}"
        for each in before
        if each not in now
    ]
    joined = [
        f"node {now[each]} {each[:8]} has joined the cluster, {len(now)} with CPUs now"
        for each in now
        if each not in before
    ]
    return lost + joined
