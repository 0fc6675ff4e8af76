"""Build a segmentation network from a checkpoint's ``config["model"]``; weights are never downloaded."""

import difflib
import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
from segmentation_models_pytorch.encoders import get_encoder_names

from darts_utils.errors import CheckpointError
from darts_utils.inference.network_faults import NETWORK_FAULTS

_REFUSED = {"self", "kwargs", "aux_params"}
"""``kwargs`` reach timm, which can open files and addresses; ``aux_params`` give the network a second output."""

_OF_TIMM = {"dynamic_img_size": bool, "img_size": int}
"""Arguments of timm's encoders that do no harm: whether a transformer takes patches of any size, or of which."""

_OLDER_NAMES = {"decoder_use_batchnorm": "decoder_use_norm", "psp_use_batchnorm": "decoder_use_norm"}
"""Names that segmentation-models-pytorch had before 0.5 → today's."""

_TIMM = "tu-"
"""Encoders that begin with this are models of timm."""


def build_network(model_config: Mapping[str, Any]) -> torch.nn.Module:
    """Build a network with random weights.

    Args:
        model_config: ``arch`` (a class of segmentation-models-pytorch, any case), ``encoder_name`` (one of its
            encoders, or ``tu-<name>`` for one of timm's), ``in_channels``, and further named arguments of the class. For
            transformers of timm also ``dynamic_img_size`` (True: patches of any size) or ``img_size`` (pixels).
            ``classes`` is 1 and ``activation`` None: the network gives one logit per pixel. ``encoder_weights`` may stand
            in model files of other makers, where it says what their training started from; it is not acted upon.

    Returns:
        The network in training mode, on the CPU: ``(B, C, H, W)`` float32 → logits ``(B, 1, H, W)``.

    Raises:
        CheckpointError: An argument is missing, unknown, not allowed, or the class does not accept its value.

    Examples:
        >>> network = build_network({"arch": "Unet", "encoder_name": "tu-test_resnet", "in_channels": 4})
        >>> network(torch.zeros(2, 4, 64, 64)).shape
        torch.Size([2, 1, 64, 64])
    """
    arguments = dict(model_config)
    unnamed = [key for key in arguments if not isinstance(key, str)]
    if unnamed:
        raise CheckpointError(
            f"expected the arguments in the model config to have names (text), but got {unnamed}: rename them"
        )
    absent = [key for key in ("arch", "encoder_name", "in_channels") if key not in arguments]
    if absent:
        raise CheckpointError(
            f"expected the model config to have {', '.join(absent)}, but it has {', '.join(arguments)}"
        )
    architecture = _architecture(arguments.pop("arch"))
    _check_encoder(arguments["encoder_name"])
    _check_values(arguments)
    allowed = [name for name in inspect.signature(architecture.__init__).parameters if name not in _REFUSED]
    if arguments["encoder_name"].startswith(_TIMM):
        allowed += _OF_TIMM
    arguments = _renamed(arguments, allowed)
    for name in arguments:
        if name not in allowed:
            raise CheckpointError(
                f"expected arguments of {architecture.__name__} in the model config, but got {name!r}"
                f"{_nearest(name, allowed)}: remove it"
            )
    for name, only in (("classes", 1), ("activation", None)):
        if arguments.setdefault(name, only) != only:
            raise CheckpointError(
                f"expected {name} to be {only} (one logit per pixel), but got {arguments[name]!r}: train the network so"
            )
    try:
        with warnings.catch_warnings():  # a trained model keeps the encoder that it has, whatever its name is today
            warnings.simplefilter("ignore", DeprecationWarning)
            network: torch.nn.Module = architecture(**{**arguments, "encoder_weights": None})
    except NETWORK_FAULTS as error:
        raise CheckpointError(
            f"{architecture.__name__} cannot be built from {dict(model_config)}: {' '.join(str(error).split())}"
        ) from error
    return network


def check_channels(model_config: Mapping[str, Any], *, inputs: Sequence[str]) -> None:
    """Raise if a network was not made for as many inputs as there are.

    Args:
        model_config: As for `build_network`.
        inputs: Names of the input variables.

    Raises:
        CheckpointError: ``in_channels`` is another number.
    """
    channels = model_config.get("in_channels")
    if isinstance(channels, int) and channels != len(inputs):
        raise CheckpointError(
            f"expected in_channels to be {len(inputs)}, one for each of {', '.join(inputs)}, but got {channels}"
        )


def network_stride_px(network: torch.nn.Module) -> int:
    """Return the number of pixels by which a patch's edge must be divisible.

    Args:
        network: A network of `build_network`.
    """
    encoder: Any = network.encoder
    return int(encoder.output_stride)


def _architecture(name: object) -> Any:
    known = {architecture.__name__: architecture for architecture in smp.MODEL_ARCHITECTURES_MAPPING.values()}
    found = [key for key in known if key.lower() == str(name).lower()]
    if not found:
        raise CheckpointError(
            f"expected arch to be one of {', '.join(known)}, but got {name!r}{_nearest(str(name), list(known))}"
        )
    return known[found[0]]


def _renamed(arguments: Mapping[str, Any], allowed: Sequence[str]) -> dict[str, Any]:
    """Arguments under today's names."""
    renamed: dict[str, Any] = {}
    for name, value in arguments.items():
        today = _OLDER_NAMES.get(name, name)
        if today != name and today in allowed:
            renamed[today] = "batchnorm" if value is True else value
        else:
            renamed[name] = value
    return renamed


def _check_values(arguments: Mapping[str, Any]) -> None:
    """Look at the arguments that would be taken for something else without a word."""
    for name in ("in_channels", "encoder_depth"):
        value = arguments.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise CheckpointError(f"expected {name} to be a whole number of at least 1, but got {value!r}")
    for name, kind in _OF_TIMM.items():
        if name in arguments and type(arguments[name]) is not kind:
            raise CheckpointError(f"expected {name} to be of type {kind.__name__}, but got {arguments[name]!r}")


def _check_encoder(name: object) -> None:
    known = get_encoder_names()
    # timm would take names that begin with hf-hub: or local-dir: for places to fetch code and weights from
    if name in known or (isinstance(name, str) and name.startswith(_TIMM) and timm.is_model(name.removeprefix(_TIMM))):
        return
    candidates = [*known, *(f"{_TIMM}{each}" for each in timm.list_models())]
    raise CheckpointError(
        f"expected encoder_name to be an encoder of segmentation-models-pytorch or 'tu-' and a model of timm, "
        f"but got {name!r}{_nearest(str(name), candidates)}"
    )


def _nearest(name: str, candidates: list[str]) -> str:
    nearest = difflib.get_close_matches(name, candidates, n=1)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""
