"""What each stage of a Ray run may use, from its options and what the cluster has; knows nothing of Ray itself."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darts_utils.errors import ConfigError

_GB = 1_000_000_000


@dataclass(frozen=True)
class RayConfig:
    """How a run uses a Ray cluster; without effect on the results, and on runs in one process.

    Raises:
        ConfigError: A number makes no sense; names the key.
    """

    address: str | None = None
    """Address of the cluster; None: the one that ``RAY_ADDRESS`` names, else one is started on this machine for the run."""
    task_cpus: float | None = None
    """CPUs of a task that loads and preprocesses a scene, or postprocesses and exports it; None: 1, without GPUs a half."""
    task_memory_gb: float | None = None
    """Memory that such a task needs, 10⁹ bytes; None: its CPUs' share of the memory of the smallest node with CPUs."""
    model_workers: int | None = None
    """Processes that hold the models; None: as many as the GPUs allow, without GPUs one for each CPU."""
    model_cpus: float | None = None
    """CPUs of such a process, for Ray's scheduling; None: 1, without GPUs a half, so that tasks run beside it."""
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
        worker = f"{self.model_workers} workers of {self.model_cpus:g} CPU and {self.model_gpus:g} GPU on {self.device}"
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
    share = min(1.0 if on_gpu else 0.5, cpus / 2)  # without GPUs all compute everywhere, and the system shares the CPUs
    task_cpus = share if config.task_cpus is None else config.task_cpus
    model_cpus = share if config.model_cpus is None else config.model_cpus
    most = int(gpus / model_gpus) if on_gpu else int(cpus / 2 / model_cpus)
    workers = max(1, most) if config.model_workers is None else config.model_workers
    _check_places(working, has, cpus=max(task_cpus, model_cpus), gpus=model_gpus)
    if workers * model_cpus + task_cpus > cpus or workers * model_gpus > gpus:
        raise ConfigError(
            f"expected room for {workers} model workers of {model_cpus:g} CPU and {model_gpus:g} GPU beside a task of "
            f"{task_cpus:g} CPU, but {has}: ask for less, or add nodes"
        )
    memory = [node.get("memory", 0) * min(1, task_cpus / node["CPU"]) for node in working]
    store = sum(node.get("object_store_memory", 0) for node in nodes)
    return Resources(
        task_cpus=task_cpus,
        task_memory_bytes=int(min(memory) if config.task_memory_gb is None else config.task_memory_gb * _GB),
        model_workers=workers,
        model_cpus=model_cpus,
        model_gpus=model_gpus,
        tiles_per_call=(4 if on_gpu else 1) if config.tiles_per_call is None else config.tiles_per_call,
        in_flight_bytes=int(store / 2 if config.in_flight_gb is None else config.in_flight_gb * _GB),
        device="cuda" if on_gpu else "cpu",
    )


def _check_places(nodes: Sequence[Mapping[str, float]], has: str, *, cpus: float, gpus: float) -> None:
    """A task runs on one node: together the nodes may have enough, and still no place for it."""
    if not any(node.get("CPU", 0) >= cpus for node in nodes) or not any(node.get("GPU", 0) >= gpus for node in nodes):
        largest = max(node.get("CPU", 0) for node in nodes)
        raise ConfigError(
            f"expected a node with {cpus:g} CPUs and one with {gpus:g} GPUs, but {has}, the largest with {largest:g} CPUs: ask "
            "for less"
        )
