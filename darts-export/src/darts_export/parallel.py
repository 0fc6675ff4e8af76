"""Several files at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

from darts_utils.kernels import thread_count

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_threads(work: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result]:
    """Call `work` for each task, in as many threads as kernels may use.

    Args:
        work: A function; GDAL, compression and kernels let other threads run meanwhile.
        tasks: What to call it with.

    Returns:
        The results, in the order of the tasks.

    Raises:
        Exception: That of the first task that failed, in the order of the tasks; those that had not begun are never begun.

    Examples:
        >>> in_threads(str.upper, ["a", "b"])
        ['A', 'B']
    """
    threads = min(thread_count(), len(tasks))
    if threads <= 1:
        return [work(task) for task in tasks]
    with ThreadPoolExecutor(threads, thread_name_prefix="darts-export") as pool:
        running = [pool.submit(work, task) for task in tasks]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            for each in running:
                each.cancel()  # has no effect on those that have begun
    for each in running:
        if not each.cancelled() and (error := each.exception()) is not None:
            raise error
    return [each.result() for each in running]
