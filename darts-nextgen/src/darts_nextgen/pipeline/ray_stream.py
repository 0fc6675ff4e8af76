"""The operators of a run on Ray Data: tables of tiles through tasks, model workers and tasks again, within the limits of a plan.

What the operators do is handed in: a run hands in its stages, a simulation of a cluster the time that they would take.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from ray.data import ActorPoolStrategy, DataContext, Dataset

from darts_nextgen.pipeline.resources import Resources

Operator = Callable[[pa.Table], Iterator[pa.Table]]
"""Takes a table of tiles and gives tables of tiles."""

CALLS_AHEAD = 2
"""Calls that a process with models is given at once: the tiles of the next are fetched while it computes."""


@dataclass(frozen=True)
class Operators:
    """What is done to the tiles."""

    prepare: Operator
    """Done by a task: from a scene to a tile."""
    worker: type[Any]
    """A class: made once in each model worker, and called there for `Resources.tiles_per_call` tiles at once."""
    worker_arguments: tuple[Any, ...]
    """What the worker is made from. Ray keeps it, with all that the stages need, on the driver's node, from where workers that
    were lost are made anew on any other."""
    finish: Operator
    """Done by a task: from a tile to a row of the report."""


def stream_tables(source: Callable[[], Dataset], operators: Operators, *, resources: Resources) -> Dataset:
    """Chain the operators; nothing runs before someone asks for results.

    Args:
        source: Makes the data set of one table for each scene, a block each, of which it lets in as many as there is room for.
        operators: What is done.
        resources: What each operator may use.

    Returns:
        What `Operators.finish` gives, in the order in which it comes, a block for each row. Work whose worker was lost is
        given to another one, without end: `darts_nextgen.pipeline.ray_board` is how a run puts an end to it.

    Notes:
        A tile is a block of its own wherever it goes.
    """
    context = DataContext.get_current().copy()
    # The source lets in what has room. Shares of Ray's would only block what is let in: an operator whose share is smaller than
    # its task waits for ever, as long as another one works, and the source always does.
    context.op_resource_reservation_enabled = False
    context.execution_no_progress_timeout_s = -1  # nothing may come for hours: new scenes, or a node
    context.target_max_block_size = 1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    with DataContext.current(context):
        # Ray would run these tasks inside of the model workers if they asked for the same resources; a worker asks for no memory.
        prepared = source().map_batches(
            operators.prepare,
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=resources.task_cpus,
            memory=resources.task_memory_bytes,
        )
        mapped = prepared.map_batches(
            operators.worker,
            fn_constructor_args=operators.worker_arguments,
            batch_size=resources.tiles_per_call,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=resources.model_workers, max_tasks_in_flight_per_actor=CALLS_AHEAD),
            num_cpus=resources.model_cpus,
            num_gpus=resources.model_gpus,
        )
        finished: Dataset = mapped.map_batches(
            operators.finish,
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=resources.task_cpus,
            memory=resources.task_memory_bytes,
        )
        return finished
