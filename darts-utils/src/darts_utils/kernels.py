"""Compiled kernels: how they are made, and how their rows are shared among threads.

A kernel is a plain function of NumPy arrays, compiled by numba on first use and cached on disk. It works on a range of rows
and releases the GIL; `over_rows` calls it for bands of rows in threads. So a kernel is one sequential loop that is easy to
read, works in every process and thread (also after a fork, and inside other thread pools), and its result does not depend
on the number of threads.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a function with numba: without the GIL, cached, IEEE arithmetic (NaN and infinity keep their meaning).

    Args:
        function: Function of NumPy arrays and numbers.

    Examples:
        >>> import numpy as np
        >>> @kernel
        ... def double(first, last, values):
        ...     for row in range(first, last):
        ...         values[row] *= 2
        >>> values = np.ones(3)
        >>> _ = over_rows(double, 3, values)
        >>> values
        array([2., 2., 2.])
    """
    compiled: Any = numba.njit(nogil=True, cache=_has_file(function), error_model="numpy")(function)
    return compiled  # type: ignore[no-any-return]


def _has_file(function: Callable[..., Any]) -> bool:
    return os.path.exists(function.__code__.co_filename)  # noqa: PTH110 - numba asks the same


def thread_count() -> int:
    """Threads that a kernel may use: ``OMP_NUM_THREADS`` where it is set, else the CPUs of this process."""
    named = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if named.isdecimal() and int(named) > 0:
        return int(named)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def over_rows(function: Callable[..., object], height: int, *arguments: object, least_rows: int = 64) -> list[Any]:
    """Call a kernel for bands of rows that cover ``0 … height`` once, in threads.

    Args:
        function: ``function(first_row, last_row, *arguments)``; writes its rows of output arrays, and nothing else.
        height: Number of rows.
        *arguments: Passed on.
        least_rows: No band is smaller, unless there are fewer rows.

    Returns:
        What each call returned, from the first band to the last.
    """
    threads = max(1, min(thread_count(), height // least_rows))
    if threads == 1:
        return [function(0, height, *arguments)]
    edges = [height * number // threads for number in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        bands = [pool.submit(function, *band, *arguments) for band in pairwise(edges)]
        return [band.result() for band in bands]
