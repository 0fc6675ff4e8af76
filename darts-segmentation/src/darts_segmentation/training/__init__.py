"""From patches of labelled scenes to a model file that says where it comes from and how good it is; the extra ``[train]``.

=====================  ================================================================================
`config`               `TrainingConfig`: every option, the same in TOML, on the command line and here
`preparation`          `prepare_training_data`: tiles and label polygons to patches
`preparation_config`   `PreparationConfig`: how
`training`             `train`, `resume`: after a kill it ends with the same weights, bit for bit on a CPU
`evaluation`           `evaluate`: a model of any shape on patches
`cross_validation`     `cross_validate`: as many trainings as folds, continued fold by fold
`tuning`               `tune`: a search with Optuna that several processes may share
`shared_study`         its study, which only processes of the same search may join
`search_space`         `SearchSpace`: what is tuned, and between which limits
`plan`                 what a training will do; all that can be refused is refused here
`other_scenes`         a warning of patches from before that nobody has named this time
`plan_checks`          what of a configuration does not go together, before anything is written
`monitoring`           which scores are logged and can be watched
`leakage`              whether a model has learnt from the patches that are to judge it
`traits`               how elevation and trends were made: from the tiles through the patches into the model
`run_folder`           the files of a training
`fitting`, `module`    Lightning at work
`scoring`, `scores`    how good a network is on patches, overall and by region
`finishing`            from the weights of the best epoch to a model file
`card`                 `model_card`: training data, scores by region, calibration, known limits
=====================  ================================================================================

Patches, losses, augmentation, splits and metrics are those of `darts_train_utils`. Names are imported when they are used:
without the extra, everything else of `darts_segmentation` works.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts_segmentation.training.card import model_card
    from darts_segmentation.training.config import TrainingConfig, read_training_config
    from darts_segmentation.training.cross_validation import CrossValidationResult, cross_validate
    from darts_segmentation.training.evaluation import evaluate
    from darts_segmentation.training.preparation import PreparationReport, prepare_training_data
    from darts_segmentation.training.preparation_config import PreparationConfig
    from darts_segmentation.training.scores import EvaluationResult, Scores
    from darts_segmentation.training.search_space import parse_search_space, read_search_space
    from darts_segmentation.training.training import TrainingResult, resume, train
    from darts_segmentation.training.tuning import TuningResult, tune

__all__ = [
    "CrossValidationResult",
    "EvaluationResult",
    "PreparationConfig",
    "PreparationReport",
    "Scores",
    "TrainingConfig",
    "TrainingResult",
    "TuningResult",
    "cross_validate",
    "evaluate",
    "model_card",
    "parse_search_space",
    "prepare_training_data",
    "read_search_space",
    "read_training_config",
    "resume",
    "train",
    "tune",
]

_HOMES = {
    "CrossValidationResult": "cross_validation",
    "EvaluationResult": "scores",
    "PreparationConfig": "preparation_config",
    "PreparationReport": "preparation",
    "Scores": "scores",
    "TrainingConfig": "config",
    "TrainingResult": "training",
    "TuningResult": "tuning",
    "cross_validate": "cross_validation",
    "evaluate": "evaluation",
    "model_card": "card",
    "parse_search_space": "search_space",
    "prepare_training_data": "preparation",
    "read_search_space": "search_space",
    "read_training_config": "config",
    "resume": "training",
    "train": "training",
    "tune": "tuning",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'training needs {error.name}, which is not installed: run `pip install "darts-segmentation[train]"`',
            name=error.name,
        ) from error
    return getattr(home, name)
