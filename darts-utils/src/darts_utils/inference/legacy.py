"""Older shapes of model files: recognised by name, so that their refusal says how to convert them; imports no torch."""

from collections.abc import Mapping
from pathlib import Path

from darts_utils.errors import CheckpointError

LIGHTNING_KEY = "pytorch-lightning_version"
"""A key that every checkpoint of Lightning has."""

_WRITE_IT = "and write both with darts_utils.inference.write_checkpoint"

_CONFIG = "model_framework, model, input_combination, patch_size and normalization"

_LIGHTNING = (
    "a checkpoint of Lightning",
    (
        "take config from hyper_parameters and statedict from state_dict, without the prefix 'model.' of its names, complete "
        f"config ({_CONFIG}), {_WRITE_IT}; torch.load needs weights_only=False where hyper_parameters hold objects, which runs "
        "code that is in the file: only for files that you trust"
    ),
)
_BARE_WEIGHTS = (
    "a state_dict alone, as in the run folders of thaw-slump-segmentation",
    (
        f"take it as statedict, without the prefix 'module.' of its names, make config ({_CONFIG}) from the run's config.yml, "
        f"{_WRITE_IT}"
    ),
)
_RUN_FOLDER = (
    "a run folder of thaw-slump-segmentation",
    (
        "take the file of one epoch in checkpoints/ as statedict, without the prefix 'module.' of its names, make config "
        f"({_CONFIG}) from config.yml, {_WRITE_IT}"
    ),
)
_NORM_FACTORS = (
    "a checkpoint with norm_factors",
    (
        "replace config['norm_factors'] by config['normalization'] = {name: {'offset': 0.0, 'scale': factor, 'clip': True}, "
        f"...}}, with factors that hold for tile units, {_WRITE_IT}"
    ),
)
_BANDS = (
    "a checkpoint with bands",
    (
        "replace config['bands'] by config['input_combination'] = [name, ...] and config['normalization'] = {name: "
        "{'offset': ..., 'scale': ..., 'clip': True}, ...}, so that the network's input is clip((x - offset) * scale, 0, 1) in "
        f"tile units, {_WRITE_IT}"
    ),
)


def refuse_legacy(content: object) -> None:
    """Raise if the content of a model file has an older shape.

    Args:
        content: What ``torch.load`` gave.

    Raises:
        CheckpointError: Names the shape and says how to convert it.
    """
    if not isinstance(content, Mapping):
        return
    if LIGHTNING_KEY in content or {"state_dict", "hyper_parameters"} <= set(content):
        raise _refusal(_LIGHTNING)
    if content and all(
        isinstance(name, str) and hasattr(value, "is_floating_point") for name, value in content.items()
    ):
        raise _refusal(_BARE_WEIGHTS)
    refuse_legacy_config(content.get("config"))


def refuse_legacy_config(config: object) -> None:
    """Raise if a config states its normalisation in an older way, and in no other.

    Args:
        config: The ``config`` of a model file.

    Raises:
        CheckpointError: Names the shape and says how to convert it.
    """
    if not isinstance(config, Mapping) or config.get("normalization") is not None:
        return
    if "norm_factors" in config:
        raise _refusal(_NORM_FACTORS)
    if "bands" in config:
        raise _refusal(_BANDS)


def refuse_legacy_folder(folder: Path) -> None:
    """Raise if a folder is a run of thaw-slump-segmentation.

    Args:
        folder: Any path.

    Raises:
        CheckpointError: Says how to convert it.
    """
    if (folder / "config.yml").is_file() and (folder / "checkpoints").is_dir():
        raise CheckpointError(f"model folder '{folder}' cannot be used: {_refusal(_RUN_FOLDER)}")


def refuse_lightning(pickled: bytes) -> None:
    """Raise if a pickle that could not be read safely is Lightning's: its hyper-parameters are often objects.

    Args:
        pickled: The pickle; it is searched, not run.

    Raises:
        CheckpointError: Says how to convert it.
    """
    if LIGHTNING_KEY.encode() in pickled:
        raise _refusal(_LIGHTNING)


def _refusal(shape: tuple[str, str]) -> CheckpointError:
    what, how = shape
    return CheckpointError(
        f"expected the keys config and statedict, the only shape that this version reads, but it is {what}: convert it by "
        f"hand: {how}"
    )
