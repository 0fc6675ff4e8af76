"""What a run says of the nodes of its cluster; that it goes on without them is tested on a cluster, in test_ray_cluster.py."""

import logging
import threading

from darts_nextgen.pipeline.node_watch import news, watched_nodes
from darts_nextgen.pipeline.ray_cluster import Node


class Listing:
    """Nodes as they are listed, one listing after the other; the last one stays."""

    def __init__(self, *listings):
        self._listings = list(listings)
        self.exhausted = threading.Event()

    def __call__(self):
        found = self._listings.pop(0) if len(self._listings) > 1 else self._listings[0]
        if len(self._listings) == 1:
            self.exhausted.set()
        if isinstance(found, Exception):
            raise found
        return found


def said(caplog, *listings):
    nodes = Listing(*listings)
    with caplog.at_level(logging.DEBUG, logger="darts"), watched_nodes(nodes, every_seconds=0.01):
        assert nodes.exhausted.wait(timeout=20)
        nodes.exhausted.clear()
        nodes.exhausted.wait(timeout=0.2)
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_each_change_is_told_once(caplog):
    a, b = {"a1": Node("10.0.0.1")}, {"b2": Node("10.0.0.2")}
    assert said(caplog, a | b, a | b, b, b, {}, {}, a, a) == [
        ("WARNING", "node 10.0.0.1 a1 was lost, 1 left: what ran there is done again elsewhere"),
        ("WARNING", "node 10.0.0.2 b2 was lost, none left: the run waits until one joins the cluster"),
        ("WARNING", "node 10.0.0.1 a1 has joined the cluster, 1 now"),
    ]


def test_lost_gpus_are_not_passed_off_as_replaced():
    a, b, c = Node("10.0.0.1", gpus=1.0), Node("10.0.0.2", gpus=1.0), Node("10.0.0.3")
    (line,) = news({"a": a, "b": b, "c": c}, {"a": a, "c": c}, needs_gpus=True)
    assert "2 left: the tiles that its model workers had wait until a GPU is free" in line
    (line,) = news({"a": a, "c": c}, {"a": a}, needs_gpus=True)
    assert "1 left: what ran there is done again elsewhere" in line


def test_a_cluster_that_does_not_answer_for_a_while_is_asked_on(caplog):
    gone = ConnectionError("gone")
    assert said(caplog, {"a1": Node("10.0.0.1")}, gone, gone, {}, gone, gone) == [
        ("WARNING", "the cluster does not say which nodes it has (ConnectionError: gone); asking on"),
        ("WARNING", "node 10.0.0.1 a1 was lost, none left: the run waits until one joins the cluster"),
        ("WARNING", "the cluster does not say which nodes it has (ConnectionError: gone); asking on"),
    ]
