"""What the stages of a run may use of clusters of all kinds."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_nextgen.pipeline.resources import RayConfig, derive_resources
from darts_utils.errors import DartsWarning

STORES = {"memory": 16e9, "object_store_memory": 8e9}


def cluster(*cpus, gpus=0):
    return [{"CPU": float(count), "GPU": float(gpus), **STORES} for count in cpus]


@pytest.mark.parametrize(
    ("cpus", "expected"),
    [
        ([1], (1, 0.5, 0.5)),
        ([2], (2, 0.5, 0.5)),
        ([8], (8, 0.5, 0.5)),
        ([2, 2], (4, 0.25, 0.75)),
        ([0, 2, 2], (4, 0.25, 0.75)),
        ([16] * 10, (160, 0.05, 0.95)),
    ],
)
def test_without_gpus_there_is_a_model_worker_for_each_cpu_and_room_for_a_task_beside_it(cpus, expected):
    found = derive_resources(RayConfig(), device="auto", nodes=cluster(*cpus))
    assert (found.model_workers, found.model_cpus, found.task_cpus) == expected


@settings(deadline=None)
@given(cpus=st.lists(st.integers(1, 128), min_size=1, max_size=40))
def test_wherever_all_model_workers_meet_a_task_finds_room(cpus):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = derive_resources(RayConfig(), device="auto", nodes=cluster(*cpus))
    for node in cpus:
        assert found.model_workers * found.model_cpus + found.task_cpus <= node + 1e-9
    assert found.task_cpus >= 0.5 - 1e-9


@settings(deadline=None)
@given(
    cpus=st.lists(st.integers(1, 128), min_size=1, max_size=8),
    gpus=st.integers(1, 8),
    part=st.sampled_from([1, 0.5, 0.3]),
)
def test_where_all_gpus_are_taken_a_task_finds_room(cpus, gpus, part):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = derive_resources(RayConfig(model_gpus=part), device="auto", nodes=cluster(*cpus, gpus=gpus))
    of_a_node = gpus * int(1 / part)
    assert found.model_workers == of_a_node * len(cpus)
    assert of_a_node * found.model_cpus + found.task_cpus <= min(cpus) + 1e-9
    assert found.task_cpus <= 1


def test_nodes_without_gpus_have_no_model_workers():
    found = derive_resources(RayConfig(), device="auto", nodes=[*cluster(1), *cluster(16, gpus=2)])
    assert (found.model_workers, found.model_cpus, found.task_cpus, found.device) == (2, 1, 1, "cuda")


def test_options_by_which_a_run_may_stand_still_when_nodes_are_lost_are_warned_of():
    with pytest.warns(
        DartsWarning, match=r"4 model workers of 0.5 CPU may come to take all CPUs .* smaller ray.model_cpus"
    ):
        derive_resources(RayConfig(model_cpus=0.5), device="auto", nodes=cluster(2, 2))
