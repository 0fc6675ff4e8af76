"""What a run is going to do: everything that can be found out, and refused, before the first tile."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from darts_export.staleness import Verdict
from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.inputs import model_hashes
from darts_nextgen.pipeline.requirements import check_surroundings, required_features, trends_rule, usable_models
from darts_nextgen.pipeline.resuming import judge_task
from darts_nextgen.pipeline.stages import load_models
from darts_nextgen.pipeline.tasks import SceneTask, scene_tasks, streamed_tasks
from darts_utils.errors import ConfigError
from darts_utils.files import exists, is_file
from darts_utils.inference.agreement import Surroundings, trained_surroundings
from darts_utils.variables import TCVIS_BANDS

if TYPE_CHECKING:
    from darts_ensemble import Ensemble


@dataclass(frozen=True)
class RunPlan:
    """A run that may start."""

    config: RunConfig
    """The run, with what its models decide: the rule that chooses the release of the trends."""
    tasks: tuple[SceneTask, ...]
    """Its scenes that are known, in order."""
    ensemble: "Ensemble"
    """Its models, loaded."""
    model_hashes: Mapping[str, str]
    """Name of each model that takes part → SHA-256 of its file."""
    features: tuple[str, ...]
    """The features that preprocessing makes."""
    stream: Iterator[SceneTask] | None = None
    """Further scenes, which arrive while the run goes on, maybe without end; None: there are none."""

    @property
    def total(self) -> int | None:
        """Number of scenes; None where nobody knows it."""
        return len(self.tasks) if self.stream is None else None

    def judge(self, task: SceneTask, *, force: bool = False) -> Verdict:
        """Decide whether a tile must be made, and why, see `darts_nextgen.pipeline.resuming.judge_task`."""
        return judge_task(task, config=self.config, features=self.features, models=self.model_hashes, force=force)


def plan_run(config: RunConfig) -> RunPlan:
    """Find the scenes, load the models, and check that everything fits together; writes nothing.

    Raises:
        ConfigError: A scene, an elevation model or trends are not where they should be, two scenes have the same tile id,
            a GeoTIFF comes without ``bands``, the sliding window does not fit a model, a model or a product needs what
            the run cannot make, models were trained with different rules for the release of the trends, or one with an
            elevation relative to other surroundings than the run's.
        CheckpointError: A model file cannot be used.
        UnknownFrameworkError: No installed package provides a model's framework.
        DeviceError: A named device is not there.

    Warns:
        DartsWarning: A model is left out, because the run cannot make what it needs (``missing="skip"``), or was trained
            with another rule for the release of the trends than the run's.
    """
    tasks = tuple(scene_tasks(config))
    _check_files(config, tasks)
    hashes = model_hashes(config)
    ensemble = load_models(config)
    models = usable_models(config, models={name: model.required_variables for name, model in ensemble.members.items()})
    features = required_features(config, models=models)
    try:
        ensemble.inference_batched([], options=config.inference)  # looks at the options, and has nothing to do
    except ValueError as error:
        raise ConfigError(f"[inference]: {error}") from error
    check_surroundings(config, trained_with=_surroundings_of_training(ensemble, models))
    taking_part = {name: hashes[name] for name in models}
    rule = trends_rule(config, trained_with=_rules_of_training(ensemble, models))
    return RunPlan(replace(config, tcvis_rule=rule), tasks, ensemble, taking_part, features, streamed_tasks(config))


def _rules_of_training(ensemble: "Ensemble", models: Mapping[str, Collection[str]]) -> dict[str, object]:
    """What the models with trends among their inputs say about the rule; a framework need not keep a config."""
    named = {name: getattr(ensemble.members[name], "config", {}).get("tcvis_rule") for name in models}
    return {name: rule for name, rule in named.items() if rule is not None and {*models[name]} & {*TCVIS_BANDS}}


def _surroundings_of_training(ensemble: "Ensemble", models: Collection[str]) -> dict[str, Surroundings]:
    configs = {name: getattr(ensemble.members[name], "config", {}) for name in models}
    named = {name: trained_surroundings(config) for name, config in configs.items() if "input_combination" in config}
    return {name: surroundings for name, surroundings in named.items() if surroundings is not None}


def _check_files(config: RunConfig, tasks: tuple[SceneTask, ...]) -> None:
    for option, path in (("--dem", config.dem), ("--tcvis", config.tcvis)):
        if path is not None and not exists(path):
            raise ConfigError(
                f"expected a raster, or a folder of them, at '{path}' ({option}), but there is none that can be read: check "
                "the path"
            )
    files = [task.path for task in tasks if is_file(task.path)]
    if files and not config.bands:
        raise ConfigError(
            f"'{files[0]}' is a file, whose bands must be named: add --bands, for example blue=1,green=2,red=3,nir=4, or "
            "leave it out with a narrower pattern if it is no scene"
        )
