"""Sliding-window inference on torch, shared by every model package (extra ``[torch]``).

==================  ====================================================================================
`engine`            `predict_probabilities`: patches of all tiles share the network's batches; `check_network`
`batches`           windows of many tiles, in order, in groups of one size
`canvas`            one tile under the moving window: what is seen, what becomes of the answers
`borders`           the pixels of one axis, continued by a mirrored border
`blending`          weighted mean of overlapping patches, summed for a band of rows only
`lanes`, `cuda`     how a batch travels to the network and back, on the CPU and to a CUDA device
`forward`           what is asked of the network: probabilities, in the memory that there is
`precision`         in which numbers it computes
`augmentation`      the mean over the eight symmetries of the square
`rewriting`         `rewrite_for_inference`: batch normalisation folded, channels last
`normalization`     from tile units to network input; the same function for training and inference
`checkpoint`        `read_checkpoint`, `write_checkpoint`: model files, read without running code
`weights`           `load_weights`: from a model file into a network, all of them and nothing else
`torch_files`       files of ``torch.save``: damage and code are refused
`safetensors_files` weights as ``.safetensors`` with a JSON twin, for publishing
`nesting`           tables and lists that would fill the memory are refused
`legacy`            older shapes of model files, each converted in one place
`description`       `describe_checkpoint`: what a model file is, what it needs, how it was normalised, in words
`network_faults`    what networks of others raise
`requirements`      what a model needs of a tile, and how to get it
`agreement`         whether a tile's inputs were made as those of the training: units of bands, radius of surroundings
`drift`             whether a tile's values lie where those of the training lay
`temperature`       calibrated probabilities, where a model says so
`devices`           `resolve_device`: "auto" may fall back to the CPU, a named device never does
`config`            `InferenceConfig`: overlap, batch size, padding, blending, precision, symmetries
==================  ====================================================================================

torch is imported when one of the names that need it is used, not before.
"""

import importlib
from typing import TYPE_CHECKING, Any

from darts_utils.inference.config import DEFAULT_INFERENCE, InferenceConfig
from darts_utils.inference.description import ModelDescription, describe_checkpoint
from darts_utils.inference.legacy import LEGACY_NORMALIZATIONS
from darts_utils.inference.normalization import Normalization, Scaling, network_input, parse_normalization
from darts_utils.inference.requirements import require_model_inputs

if TYPE_CHECKING:
    from darts_utils.inference.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
    from darts_utils.inference.devices import resolve_device
    from darts_utils.inference.engine import check_network, predict_probabilities
    from darts_utils.inference.rewriting import rewrite_for_inference
    from darts_utils.inference.weights import load_weights

__all__ = [
    "DEFAULT_INFERENCE",
    "LEGACY_NORMALIZATIONS",
    "Checkpoint",
    "InferenceConfig",
    "ModelDescription",
    "Normalization",
    "Scaling",
    "check_network",
    "describe_checkpoint",
    "load_weights",
    "network_input",
    "parse_normalization",
    "predict_probabilities",
    "read_checkpoint",
    "require_model_inputs",
    "resolve_device",
    "rewrite_for_inference",
    "write_checkpoint",
]

_NEED_TORCH = {
    "Checkpoint": "checkpoint",
    "read_checkpoint": "checkpoint",
    "write_checkpoint": "checkpoint",
    "resolve_device": "devices",
    "check_network": "engine",
    "predict_probabilities": "engine",
    "load_weights": "weights",
    "rewrite_for_inference": "rewriting",
}


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEED_TORCH[name]}"), name)
