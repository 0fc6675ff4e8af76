"""Work shared among processes that never outlive the one that started them."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_processes(work: Callable[[Task], Result], tasks: Sequence[Task], *, workers: int) -> Iterator[Result]:
    """Call `work` for each task.

    Args:
        work: A function of a module.
        tasks: What to call it with.
        workers: Number of processes; 1: this one.

    Yields:
        The results, in the order of the tasks.

    Raises:
        Exception: That of the first task that failed; those that had not begun are never begun.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from map(work, tasks)
        return
    # A fresh interpreter: a fork would inherit the locks that other threads hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        running = [pool.submit(work, task) for task in tasks]
        try:
            for number, each in enumerate(running):
                yield each.result()
                running[number] = None  # type: ignore[call-overload]  # a result may be large
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """A parent that is killed cannot end its workers, which would go on writing beside the next build."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
