import threading

import pytest

from darts_export.parallel import in_threads


@pytest.mark.parametrize("threads", ["1", "3"])
def test_results_come_in_the_order_of_the_tasks(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert in_threads(lambda number: number * 2, range(20)) == list(range(0, 40, 2))
    assert in_threads(lambda number: number, []) == []


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_first_failure_is_told_and_ends_the_rest(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    begun = []
    failed = threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            failed.set()
            raise OSError("no space for file 0")
        failed.wait()

    with pytest.raises(OSError, match="no space for file 0"):
        in_threads(work, range(200))
    assert len(begun) < 200


def test_tasks_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    both = threading.Barrier(2, timeout=20)
    in_threads(lambda _: both.wait(), range(2))
