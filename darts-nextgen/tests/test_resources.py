"""What the stages of a run may use of clusters of all kinds."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_nextgen.pipeline.resources import RayConfig, derive_resources
from darts_utils.errors import ConfigError, DartsWarning

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


@pytest.mark.parametrize(
    ("options", "nodes", "message"),
    [
        (
            {"task_memory_gb": 100},
            cluster(8, 8),
            "expected a node with 0.75 CPUs and 100.0 GB for a task, .* 8 CPUs and 16.0 GB",
        ),
        (
            {"model_cpus": 4},
            [*cluster(2, gpus=1), *cluster(64)],
            "1 model workers of 4 CPU and 1 GPU .* room for 0 such workers",
        ),
        (
            {"model_gpus": 0.6, "model_workers": 3},
            cluster(8, 8, gpus=1),
            "3 model workers .* with room for 2 such workers",
        ),
        ({"model_cpus": 3, "model_workers": 2}, cluster(4, 3), None),
        ({"model_cpus": 4}, cluster(3, 3, 3, 3, 3, 3, 3, 3, 8), None),  # what is chosen without being asked for fits
        ({"model_cpus": 3, "model_workers": 2}, cluster(4, 2, 2), "2 model workers .* with room for 1 such workers"),
    ],
)
@pytest.mark.filterwarnings("ignore:if nodes are lost")
def test_what_no_single_node_has_room_for_is_refused(options, nodes, message):
    config = RayConfig(**options)
    if message is None:
        assert derive_resources(config, device="auto", nodes=nodes).model_workers == 2
        return
    with pytest.raises(ConfigError, match=message):
        derive_resources(config, device="auto", nodes=nodes)
