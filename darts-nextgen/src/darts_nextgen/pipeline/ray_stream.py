"""The operators of a run on Ray Data: tables of tiles through tasks, model workers and tasks again, within the limits of a plan.

What the operators do is handed in: a run hands in its stages, a simulation of a cluster the time that they would take.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray.data
from ray.data import ActorPoolStrategy, DataContext, Dataset, ExecutionResources

from darts_nextgen.pipeline.resources import Resources

Operator = Callable[[pa.Table], Iterator[pa.Table]]
"""Takes a table of tiles and gives tables of tiles."""


@dataclass(frozen=True)
class Operators:
    """What is done to the tiles."""

    prepare: Operator
    """Done by a task: from a scene to a tile."""
    worker: Callable[..., Operator]
    """Made once in each model worker, and called there for `Resources.tiles_per_call` tiles at once."""
    worker_arguments: tuple[Any, ...]
    """What the worker is made from."""
    finish: Operator
    """Done by a task: from a tile to a row of the report."""


def stream_tables(tables: Sequence[pa.Table], operators: Operators, *, resources: Resources, retries: int) -> Dataset:
    """Chain the operators; nothing runs before someone asks for results.

    Args:
        tables: One table for each scene.
        operators: What is done.
        resources: What each operator may use.
        retries: How often a piece of work is given to another worker where its worker was lost.

    Returns:
        What `Operators.finish` gives, in the order in which it comes. A tile whose workers were lost each time is not there.
    """
    context = DataContext.get_current().copy()
    context.execution_options.resource_limits = ExecutionResources.for_limits(
        object_store_memory=resources.in_flight_bytes
    )
    context.max_errored_blocks = -1  # tiles whose workers are lost for good do not stop the others
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    tasks = {"num_cpus": resources.task_cpus, "memory": resources.task_memory_bytes, "max_retries": retries}
    with DataContext.current(context):
        scenes = ray.data.from_blocks([*tables])
        prepared = scenes.map_batches(operators.prepare, batch_size=None, batch_format="pyarrow", **tasks)
        mapped = prepared.map_batches(
            operators.worker,
            fn_constructor_args=operators.worker_arguments,
            batch_size=resources.tiles_per_call if resources.tiles_per_call > 1 else None,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=resources.model_workers, max_tasks_in_flight_per_actor=2),
            num_cpus=resources.model_cpus,
            num_gpus=resources.model_gpus,
            max_restarts=-1,
            max_task_retries=retries,
        )
        finished: Dataset = mapped.map_batches(operators.finish, batch_size=None, batch_format="pyarrow", **tasks)
        return finished
