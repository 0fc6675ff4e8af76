"""A Ray cluster for a benchmark, and what its object store says of itself."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import ray
from ray._private.internal_api import get_memory_info_reply, get_state_from_address

from darts_nextgen.pipeline.ray_cluster import keep_processes


@contextmanager
def started_ray(*, cpus: int, store_bytes: int) -> Iterator[None]:
    """A cluster of one node, as a run starts it; each process computes with one thread."""
    keep_processes()
    ray.init(
        address="local", num_cpus=cpus, num_gpus=0, object_store_memory=store_bytes, include_dashboard=False,
        log_to_driver=False, runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
    )  # fmt: skip
    try:
        yield
    finally:
        ray.shutdown()


class StoreWatch:
    """Asks the object stores of the cluster for their figures as long as it is entered.

    Args:
        every_seconds: How often; asking takes part of a CPU.
    """

    def __init__(self, *, every_seconds: float = 0.2) -> None:
        self.peak_bytes = 0
        """Most bytes that were used at once, beside those that were there before."""
        self.spilled_bytes = 0
        """Bytes that were written to disk since then, for want of room."""
        self.samples = 0
        """How often the stores were asked."""
        self._every_seconds = every_seconds
        self._finished = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._state = get_state_from_address(ray.get_runtime_context().gcs_address)
        self._before = get_memory_info_reply(self._state).store_stats
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._finished.wait(self._every_seconds):
            found = get_memory_info_reply(self._state).store_stats
            used = found.object_store_bytes_used - self._before.object_store_bytes_used
            self.peak_bytes = max(self.peak_bytes, used)
            self.spilled_bytes = found.spilled_bytes_total - self._before.spilled_bytes_total
            self.samples += 1
