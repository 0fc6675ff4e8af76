"""Older shapes of model files, each converted into that of the tile contract in one place.

==============  ========================================================================================
`configs`       ``norm_factors`` and ``bands``: how a config states inputs and scaling
`lightning`     checkpoints of Lightning: where config and weights are
`run_folder`    run folders of thaw-slump-segmentation
`scalings`      the formulas of older projects in tile units; the names of the two generations
==============  ========================================================================================

What a file does not say is never guessed: `HOW_TO_STATE_IT` tells how to say it. Imports no torch.
"""

from collections.abc import Mapping
from typing import Any

from darts_utils.errors import CheckpointError
from darts_utils.inference.legacy.configs import config_shape, convert_config, is_contract_config
from darts_utils.inference.legacy.lightning import VERSION_KEY, is_lightning, unwrap_lightning
from darts_utils.inference.legacy.run_folder import convert_run, is_run_folder, last_epoch, run_of_epoch
from darts_utils.inference.legacy.scalings import HOW_TO_STATE_IT, LEGACY_NORMALIZATIONS

__all__ = [
    "HOW_TO_STATE_IT",
    "LEGACY_NORMALIZATIONS",
    "convert_content",
    "convert_run",
    "is_run_folder",
    "last_epoch",
    "refuse_objects_of_lightning",
    "run_of_epoch",
]


def convert_content(content: object, *, legacy_normalization: str | None) -> tuple[Any, Any]:
    """Find config and weights in the content of a model file, in the shape of the tile contract.

    Args:
        content: What ``torch.load`` gave.
        legacy_normalization: One of `LEGACY_NORMALIZATIONS`, where the file does not say how its inputs were scaled.

    Returns:
        Config and weights; neither is checked yet.

    Raises:
        CheckpointError: It is no model file of any known shape, or does not say what it needs to.
    """
    from_lightning = isinstance(content, Mapping) and is_lightning(content)
    config: Any
    weights: Any
    if isinstance(content, Mapping) and from_lightning:
        config, weights = unwrap_lightning(content)
    elif isinstance(content, Mapping) and {"config", "statedict"} <= set(content):
        config, weights = content["config"], content["statedict"]
    else:
        raise _unknown(content)
    if isinstance(config, Mapping):
        config = _converted(config, from_lightning=from_lightning, legacy_normalization=legacy_normalization)
    return config, weights


def refuse_objects_of_lightning(pickled: bytes) -> None:
    """Raise if a pickle that could not be read safely is Lightning's: its hyper-parameters are often objects.

    Args:
        pickled: The pickle; it is searched, not run.

    Raises:
        CheckpointError: Says how to convert it.
    """
    if VERSION_KEY.encode() in pickled:
        raise CheckpointError(
            "expected plain data in a checkpoint of Lightning, but its hyper_parameters hold objects, and code from a model file "
            "is never run: load it where it was trained, and save hyper_parameters as plain tables and lists"
        )


def _converted(
    config: Mapping[str, Any], *, from_lightning: bool, legacy_normalization: str | None
) -> Mapping[str, Any]:
    if is_contract_config(config):
        if legacy_normalization is not None:
            raise CheckpointError(
                f"expected no legacy_normalization, because the file states its normalization, but got "
                f"{legacy_normalization!r}: leave it out"
            )
        return {**config, "converted_from": {"shape": "Lightning"}} if from_lightning else config
    shape = config_shape(config)
    if shape == "no normalization" and legacy_normalization is None and not from_lightning:
        return config  # whoever needs the normalisation says so
    converted = convert_config(config, legacy_normalization=legacy_normalization)
    if from_lightning:
        converted["converted_from"]["shape"] = f"Lightning, {shape}"
    return converted


def _unknown(content: object) -> CheckpointError:
    if (
        isinstance(content, Mapping)
        and content
        and all(hasattr(value, "is_floating_point") for value in content.values())
    ):
        return CheckpointError(
            "expected the keys config and statedict, but it is a state_dict alone: if it is of a run folder of "
            "thaw-slump-segmentation, keep it in checkpoints/ beside config.yml; else write it with its config with "
            "darts_utils.inference.write_checkpoint"
        )
    found = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
    return CheckpointError(
        f"expected the keys config and statedict, but got {found or 'nothing'}: write it with write_checkpoint"
    )
