"""Checkpoints of Lightning: ``hyper_parameters["config"]`` and ``state_dict`` with the prefix ``model.``; imports no torch."""

from collections.abc import Mapping
from typing import Any

from darts_utils.errors import CheckpointError

VERSION_KEY = "pytorch-lightning_version"
"""A key that every checkpoint of Lightning has."""

_PREFIX = "model."
_COMPILED = "_orig_mod."
"""What ``torch.compile`` puts in front of the names of a network."""


def is_lightning(content: Mapping[str, Any]) -> bool:
    """Whether the content of a model file is a checkpoint of Lightning."""
    return VERSION_KEY in content or {"state_dict", "hyper_parameters"} <= set(content)


def unwrap_lightning(content: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take config and weights out of a checkpoint of Lightning.

    Args:
        content: What ``torch.load`` gave.

    Returns:
        Config, of whatever shape, with what the file says about its training under ``training``; ``state_dict`` of the
        network alone.

    Raises:
        CheckpointError: There is no config, or no weight has the prefix.
    """
    hyper_parameters = content.get("hyper_parameters")
    config = hyper_parameters.get("config") if isinstance(hyper_parameters, Mapping) else None
    if not isinstance(config, Mapping):
        held = ", ".join(map(str, hyper_parameters)) if isinstance(hyper_parameters, Mapping) else "nothing"
        raise CheckpointError(
            f"expected hyper_parameters of the checkpoint of Lightning to hold config, but it holds {held or 'nothing'}: take the "
            "config from the training and write it and the weights with darts_utils.inference.write_checkpoint"
        )
    weights = content.get("state_dict")
    if not isinstance(weights, Mapping):
        raise CheckpointError(
            f"expected the checkpoint of Lightning to have state_dict, but it has {', '.join(map(str, content))}"
        )
    network = {
        str(name).removeprefix(_PREFIX).removeprefix(_COMPILED): tensor
        for name, tensor in weights.items()
        if str(name).startswith(_PREFIX)
    }
    if not network:
        raise CheckpointError(
            f"expected weights with the prefix {_PREFIX!r} in the checkpoint of Lightning, but got "
            f"{', '.join(map(str, list(weights)[:3])) or 'none'}: name the network of the module so"
        )
    return {**config, "training": {**_training(content, hyper_parameters), **_table(config.get("training"))}}, network


def _training(content: Mapping[str, Any], hyper_parameters: object) -> dict[str, Any]:
    counted = {key: content[key] for key in ("epoch", "global_step") if isinstance(content.get(key), int)}
    named = {
        str(key): value
        for key, value in _table(hyper_parameters).items()
        if value is None or type(value) in {str, int, float, bool}
    }
    return {**counted, **named}


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
