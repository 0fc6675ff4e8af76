"""Kernels: rows are covered once, whatever the number of threads."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_utils.kernels import kernel, over_rows, thread_count


@kernel
def count_rows(first, last, seen):
    for row in range(first, last):
        seen[row] += 1
    return last - first


@pytest.fixture(params=["1", "2", "7"])
def threads(request, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", request.param)
    return int(request.param)


@pytest.mark.parametrize("height", [0, 1, 2, 63, 64, 129, 1000])
def test_every_row_is_covered_once(height, threads):
    seen = np.zeros(height, dtype="int64")
    assert sum(over_rows(count_rows, height, seen)) == height
    assert (seen == 1).all()


@given(height=st.integers(0, 300), least=st.integers(1, 80))
def test_bands_are_in_order_and_not_too_small(height, least):
    bands = over_rows(lambda first, last: (first, last), height, least_rows=least)
    assert [first for first, _ in bands] == [0, *(last for _, last in bands[:-1])]
    assert bands[-1][1] == height
    assert all(last - first >= least for first, last in bands) or len(bands) == 1


def test_an_error_in_a_thread_is_raised(threads):
    def broken(first, last):
        raise ValueError("row 3")

    with pytest.raises(ValueError, match="row 3"):
        over_rows(broken, 1000)


def test_the_number_of_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_count() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    assert thread_count() == 4
    for nothing in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", nothing)
        assert thread_count() == len(os.sched_getaffinity(0))


def work_in_child(results):
    seen = np.zeros(500, dtype="int64")
    results.put(sum(over_rows(count_rows, 500, seen)))


def test_kernels_work_in_threads_and_after_a_fork(threads):
    def work(_):
        seen = np.zeros(500, dtype="int64")
        over_rows(count_rows, 500, seen)
        return int(seen.sum())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(20))) == [500] * 20
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    child = fork.Process(target=work_in_child, args=(results,))
    child.start()
    assert results.get(timeout=60) == 500
    child.join()
