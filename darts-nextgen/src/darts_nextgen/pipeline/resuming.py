"""What is to be done for a tile, and why: the same decision in every runtime."""

import importlib.metadata
from collections.abc import Collection, Mapping
from typing import Any

from darts_export.products import member_of
from darts_export.staleness import Demand, Verdict, judge
from darts_nextgen.pipeline.config import RunConfig, config_table
from darts_nextgen.pipeline.inputs import input_paths
from darts_nextgen.pipeline.tasks import SceneTask

SOFTWARE: Mapping[str, str] = {"darts-nextgen": importlib.metadata.version("darts-nextgen")}
"""The version that decides; its siblings are pinned to the same."""

MEMBER_PRODUCTS = ("probabilities", "binarized", "prediction_segments")
"""Products that are written for each model too where the members are kept."""

_PLACES = ("scene", "scenes", "models", "out", "dem", "tcvis", "device", "retries", "ray")
"""Options that say where things are, and who does the work. What is there is compared by its content."""

_OF_THE_TILE = ("sensor", "date", "tcvis_release")
"""Options that the files tell as metadata of the tile, where the scene does not say it itself."""

_MANNER: Mapping[str, tuple[str, ...]] = {
    "inference": ("batch_size", "compile_network"),
    "export": ("products",),
}
"""Options of sections that do not decide what is in a file: how fast it goes, and which files there are."""


def judge_task(
    task: SceneTask,
    *,
    config: RunConfig,
    features: Collection[str],
    models: Mapping[str, str],
    force: bool = False,
) -> Verdict:
    """Decide whether a tile must be made, and why; writes nothing.

    Args:
        task: The scene.
        config: The run.
        features: The features that preprocessing makes.
        models: Name of each model → SHA-256 of its file, see `darts_nextgen.pipeline.inputs.model_hashes`.
        force: Make it in any case.

    Returns:
        The reasons; none where the folder of the tile is complete and current.
    """
    demand = Demand(
        products=product_names(config, members=models),
        inputs=input_paths(task, config=config, features=features),
        models=models,
        config=deciding_options(config),
        software=SOFTWARE,
    )
    verdict = judge(config.out / task.tile_id, demand)
    return Verdict(("forced", *verdict.reasons), verdict.manifest) if force else verdict


def product_names(config: RunConfig, *, members: Collection[str], left_out: Collection[str] = ()) -> tuple[str, ...]:
    """The products of a tile, those of the members of the ensemble included.

    Args:
        config: The run.
        members: The models that speak about the tile.
        left_out: Those that the tile does without; products of theirs that the run names are left out as well.

    Examples:
        >>> from darts_nextgen.pipeline.config import parse_config
        >>> config = parse_config({
        ...     "scene": "a", "models": "m", "out": "r", "postprocessing": {"keep_members": True},
        ...     "export": {"products": ["binarized", "stac"]},
        ... })
        >>> product_names(config, members=["full", "optical"])
        ('binarized-full', 'binarized-optical', 'binarized', 'stac')
    """
    kept = members if config.postprocessing.keep_members else ()
    wanted = [name for name in config.export.products if name in MEMBER_PRODUCTS]
    of_members = (f"{name}-{member}" for member in kept for name in wanted)
    return (*of_members, *(name for name in config.export.products if member_of(name) not in left_out))


def recorded_options(config: RunConfig) -> dict[str, Any]:
    """The options that decide the content of a tile's files: recorded in the files.

    Not among them: where things are, which products are written and how fast, and what the tile's own metadata say.
    """
    table = deciding_options(config)
    return {name: value for name, value in table.items() if name not in {*_OF_THE_TILE, "export"}}


def deciding_options(config: RunConfig) -> dict[str, Any]:
    """All options that decide the content of a tile's files: where one differs, the files are stale."""
    table = {name: value for name, value in config_table(config).items() if name not in _PLACES}
    for section, names in _MANNER.items():
        table[section] = {name: value for name, value in table[section].items() if name not in names}
    return {name: value for name, value in table.items() if value != {}}
