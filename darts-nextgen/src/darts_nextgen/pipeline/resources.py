"""What each stage of a Ray run may use, from its options and what the cluster has; knows nothing of Ray itself."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darts_utils.errors import ConfigError, DartsWarning

_GB = 1_000_000_000

_ROUNDING = 1e-4
"""Ray counts CPUs and GPUs in steps of this size."""


@dataclass(frozen=True)
class RayConfig:
    """How a run uses a Ray cluster; without effect on the results, and on runs in one process.

    Raises:
        ConfigError: A number makes no sense; names the key.
    """

    address: str | None = None
    """Address of the cluster; None: the one that ``RAY_ADDRESS`` names, else one is started on this machine for the run."""
    task_cpus: float | None = None
    """CPUs of a task that loads and preprocesses a scene, or postprocesses and exports it; None: 1, without GPUs what
    a model worker leaves of a CPU."""
    task_memory_gb: float | None = None
    """Memory that such a task needs, 10⁹ bytes; None: its CPUs' share of the memory of the smallest node with CPUs."""
    model_workers: int | None = None
    """Processes that hold the models; None: as many as the GPUs allow, without GPUs one for each CPU."""
    model_cpus: float | None = None
    """CPUs of such a process, for Ray's scheduling; None: 1, without GPUs a half, and less where all of them together would
    take more than half of a node that they may end up on."""
    model_gpus: float | None = None
    """GPUs of such a process, also a part of one; None: 1 where the cluster has GPUs and `device` is not ``"cpu"``, else 0."""
    tiles_per_call: int | None = None
    """Tiles whose patches share the batches of a network; None: 4 on a GPU, else 1."""
    in_flight_gb: float | None = None
    """Tiles on their way between stages, 10⁹ bytes in the whole cluster; None: half of its object stores."""

    def __post_init__(self) -> None:
        for name in ("task_cpus", "task_memory_gb", "model_cpus", "in_flight_gb"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"ray.{name} must be a finite number above 0, but got {value}")
        for name in ("model_workers", "tiles_per_call"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"ray.{name} must be at least 1, but got {value}")
        if self.model_gpus is not None and not 0 <= self.model_gpus < math.inf:
            raise ConfigError(f"ray.model_gpus must be a finite number of at least 0, but got {self.model_gpus}")


@dataclass(frozen=True)
class Resources:
    """What the stages of a run use."""

    task_cpus: float
    """CPUs of a task of the CPU stages."""
    task_memory_bytes: int
    """Memory of such a task."""
    model_workers: int
    """Processes with models."""
    model_cpus: float
    """CPUs of each."""
    model_gpus: float
    """GPUs of each."""
    tiles_per_call: int
    """Tiles that a process with models takes at once."""
    in_flight_bytes: int
    """Most bytes between the stages."""
    device: str
    """Where the networks run in a process with models: ``"cpu"`` or ``"cuda"``."""

    def lines(self) -> list[str]:
        """Say it to a reader, one line for each stage."""
        task = f"tasks of {self.task_cpus:g} CPU and {self.task_memory_bytes / _GB:.2f} GB"
        count = "1 worker" if self.model_workers == 1 else f"{self.model_workers} workers"
        worker = f"{count} of {self.model_cpus:g} CPU and {self.model_gpus:g} GPU on {self.device}"
        return [
            f"load, preprocess: {task}",
            f"inference: {worker}, {self.tiles_per_call} tiles per call",
            f"postprocess, export: {task}",
            f"in flight: at most {self.in_flight_bytes / _GB:.2f} GB",
        ]


def derive_resources(config: RayConfig, *, device: str, nodes: Sequence[Mapping[str, float]]) -> Resources:
    """Fill in what the options leave open, and refuse what the cluster does not have.

    Args:
        config: The options.
        device: Where the networks are to run, as in ``RunConfig.device``.
        nodes: What each node of the cluster has, by Ray's names: ``CPU``, ``GPU``, ``memory``, ``object_store_memory``.

    Raises:
        ConfigError: A GPU is asked for and there is none, one of several GPUs of a machine is named, or a worker would never
            find a place; says what the cluster has.

    Warns:
        DartsWarning: By the options, model workers that come to a node from lost ones might leave no CPUs for tasks there.

    Notes:
        Ray starts the model workers of a lost node anew wherever there is room, before any task that waits. Were they to take
        all CPUs of the nodes that are left, nothing would ever run again. So by default they never take more than half of a
        node, even where all of them meet on it. Nodes without GPUs are taken to be of about the same size.

    Examples:
        >>> node = {"CPU": 8.0, "memory": 16e9, "object_store_memory": 8e9}
        >>> found = derive_resources(RayConfig(), device="auto", nodes=[node])
        >>> found.model_workers, found.model_gpus, found.task_memory_bytes, found.in_flight_bytes
        (8, 0, 1000000000, 4000000000)
    """
    working = [node for node in nodes if node.get("CPU", 0) > 0]
    cpus, gpus = (sum(node.get(name, 0) for node in nodes) for name in ("CPU", "GPU"))
    has = f"the cluster has {cpus:g} CPUs and {gpus:g} GPUs on {len(nodes)} nodes"
    if not working:
        raise ConfigError(f"expected a cluster with CPUs, but {has}: start nodes with CPUs")
    if device.startswith("cuda:"):
        raise ConfigError(f"device={device!r} names a GPU of one machine, but Ray hands out GPUs: say device='cuda'")
    if gpus == 0 and (device == "cuda" or (config.model_gpus or 0) > 0):
        raise ConfigError(f"expected a cluster with GPUs, but {has}: add nodes with GPUs, or say device='cpu'")
    if device == "cpu" and (config.model_gpus or 0) > 0:
        raise ConfigError(
            f"expected ray.model_gpus to be 0 with device='cpu', but got {config.model_gpus}: leave one out"
        )
    on_gpu = device != "cpu" and gpus > 0 and config.model_gpus != 0
    model_gpus = 0 if not on_gpu else 1 if config.model_gpus is None else config.model_gpus
    if on_gpu:
        places = [(node["CPU"], _gpu_places(node.get("GPU", 0), model_gpus)) for node in working]
        workers = config.model_workers or max(1, sum(count for _, count in places))
    else:
        asked = config.model_cpus or 0.5
        room = sum(_cpu_places(node["CPU"], asked) for node in working)
        workers = config.model_workers or max(1, min(int(cpus / 2 / asked), room))
        places = [(node["CPU"], workers) for node in working]
    places = [(node_cpus, min(count, workers)) for node_cpus, count in places if count > 0]
    model_cpus, task_cpus = _shares(config, places, on_gpu=on_gpu)
    task_memory_bytes = _task_memory_bytes(config, working, task_cpus)
    _check_task(working, has, cpus=task_cpus, memory_bytes=task_memory_bytes)
    _check_workers(working, has, workers=workers, cpus=model_cpus, gpus=model_gpus, task_cpus=task_cpus)
    if any(node_cpus - count * model_cpus < task_cpus - _ROUNDING for node_cpus, count in places):
        warnings.warn(
            f"if nodes are lost, {workers} model workers of {model_cpus:g} CPU may come to take all CPUs of those that are left, "
            "and the run would stand still: choose a smaller ray.model_cpus",
            DartsWarning,
            stacklevel=2,
        )
    store = sum(node.get("object_store_memory", 0) for node in nodes)
    return Resources(
        task_cpus=task_cpus,
        task_memory_bytes=task_memory_bytes,
        model_workers=workers,
        model_cpus=model_cpus,
        model_gpus=model_gpus,
        tiles_per_call=(4 if on_gpu else 1) if config.tiles_per_call is None else config.tiles_per_call,
        in_flight_bytes=int(store / 2 if config.in_flight_gb is None else config.in_flight_gb * _GB),
        device="cuda" if on_gpu else "cpu",
    )


def _gpu_places(gpus: float, model_gpus: float) -> int:
    """How many model workers the GPUs of a node hold; a part of a GPU is always one of a single GPU."""
    return int(gpus) * int(1 / model_gpus + _ROUNDING) if model_gpus < 1 else int(gpus / model_gpus)


def _cpu_places(node_cpus: float, model_cpus: float) -> int:
    """How many model workers the CPUs of a node hold."""
    return int(node_cpus / model_cpus + _ROUNDING)


def _shares(config: RayConfig, places: Sequence[tuple[float, int]], *, on_gpu: bool) -> tuple[float, float]:
    """CPUs of a model worker and of a task.

    Args:
        config: The options.
        places: Of each node that model workers may end up on, its CPUs and how many of them may meet there.
        on_gpu: Whether model workers have GPUs of their own.
    """
    half = min((cpus / 2 / count for cpus, count in places), default=1.0)
    usual = max(_ROUNDING, math.floor(min(1.0 if on_gpu else 0.5, half) / _ROUNDING) * _ROUNDING)
    model_cpus = round(usual, 4) if config.model_cpus is None else config.model_cpus
    # Without GPUs all compute everywhere, so that a worker and a task share a CPU.
    wanted = 1.0 if on_gpu else 1 - min(model_cpus, 0.5)
    left = min((cpus - count * model_cpus for cpus, count in places), default=wanted)
    task_cpus = round(min(wanted, left) if left > 0 else wanted, 4)
    return model_cpus, task_cpus if config.task_cpus is None else config.task_cpus


def _task_memory_bytes(config: RayConfig, nodes: Sequence[Mapping[str, float]], task_cpus: float) -> int:
    if config.task_memory_gb is not None:
        return int(config.task_memory_gb * _GB)
    return int(min(node.get("memory", 0) * min(1, task_cpus / node["CPU"]) for node in nodes))


# What is asked for must fit on a single node: together the nodes may have enough, and still no place for it.


def _check_task(nodes: Sequence[Mapping[str, float]], has: str, *, cpus: float, memory_bytes: int) -> None:
    if not any(node["CPU"] >= cpus - _ROUNDING and node.get("memory", 0) >= memory_bytes for node in nodes):
        sizes = sorted({(node["CPU"], node.get("memory", 0) / _GB) for node in nodes}, reverse=True)
        largest = ", ".join(f"{node_cpus:g} CPUs and {memory_gb:.1f} GB" for node_cpus, memory_gb in sizes[:3])
        raise ConfigError(
            f"expected a node with {cpus:g} CPUs and {memory_bytes / _GB:.1f} GB for a task, but {has}, the largest of which have "
            f"{largest}: choose a smaller ray.task_cpus or ray.task_memory_gb"
        )


def _check_workers(
    nodes: Sequence[Mapping[str, float]], has: str, *, workers: int, cpus: float, gpus: float, task_cpus: float
) -> None:
    places = 0
    for node in nodes:
        by_cpus = _cpu_places(node["CPU"], cpus)
        places += min(by_cpus, _gpu_places(node.get("GPU", 0), gpus)) if gpus > 0 else by_cpus
    if places < workers or workers * cpus + task_cpus > sum(node["CPU"] for node in nodes) + _ROUNDING:
        raise ConfigError(
            f"expected room for {workers} model workers of {cpus:g} CPU and {gpus:g} GPU beside a task of {task_cpus:g} CPU, but "
            f"{has}, with room for {places} such workers: ask for less, or add nodes"
        )
