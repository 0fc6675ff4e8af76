"""What a run is going to do: everything that can be found out, and refused, before the first tile."""

from collections.abc import Mapping
from dataclasses import dataclass

from darts_ensemble import Ensemble
from darts_export.staleness import Verdict
from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.inputs import model_hashes
from darts_nextgen.pipeline.requirements import required_features, usable_models
from darts_nextgen.pipeline.resuming import judge_task
from darts_nextgen.pipeline.stages import load_models
from darts_nextgen.pipeline.tasks import SceneTask, scene_tasks
from darts_utils.errors import ConfigError
from darts_utils.files import is_file


@dataclass(frozen=True)
class RunPlan:
    """A run that may start."""

    config: RunConfig
    """The run."""
    tasks: tuple[SceneTask, ...]
    """Its scenes, in order."""
    ensemble: Ensemble
    """Its models, loaded."""
    model_hashes: Mapping[str, str]
    """Name of each model that takes part → SHA-256 of its file."""
    features: tuple[str, ...]
    """The features that preprocessing makes."""

    def judge(self, task: SceneTask, *, force: bool = False) -> Verdict:
        """Decide whether a tile must be made, and why, see `darts_nextgen.pipeline.resuming.judge_task`."""
        return judge_task(task, config=self.config, features=self.features, models=self.model_hashes, force=force)


def plan_run(config: RunConfig) -> RunPlan:
    """Find the scenes, load the models, and check that everything fits together; writes nothing.

    Raises:
        ConfigError: A scene, an elevation model or trends are not where they should be, two scenes have the same tile id,
            a GeoTIFF comes without ``bands``, the sliding window does not fit a model, or a model or a product needs what
            the run cannot make.
        CheckpointError: A model file cannot be used.
        UnknownFrameworkError: No installed package provides a model's framework.
        DeviceError: A named device is not there.

    Warns:
        DartsWarning: A model is left out, because the run cannot make what it needs (``missing="skip"``).
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
    taking_part = {name: hashes[name] for name in models}
    return RunPlan(config, tasks, ensemble, taking_part, features)


def _check_files(config: RunConfig, tasks: tuple[SceneTask, ...]) -> None:
    for option, path in (("--dem", config.dem), ("--tcvis", config.tcvis)):
        if path is not None and not is_file(path):
            raise ConfigError(
                f"expected a raster at '{path}' ({option}), but there is none that can be read: check the path"
            )
    files = [task.path for task in tasks if is_file(task.path)]
    if files and not config.bands:
        raise ConfigError(
            f"'{files[0]}' is a file, whose bands must be named: add --bands, for example blue=1,green=2,red=3,nir=4, or "
            "leave it out with a narrower pattern if it is no scene"
        )
