"""Semantic segmentation of tiles with networks of segmentation-models-pytorch.

==================  ====================================================================================
`segmenter`         `Segmenter`: load a checkpoint, infer probabilities; a `darts_utils.models.TileModel`
`networks`          `build_network`: from a checkpoint's ``config["model"]`` to a network
`model_files`       `convert_model`: a model file of any shape into today's; `check_usable`
`training`          from patches of labelled scenes to a model file; behind the extra ``[train]``
`cli`               ``darts segment``, ``darts model inspect``, ``darts model convert``
==================  ====================================================================================

The window that moves over the tile, the normalisation and the format of model files are shared with every other model
package, in `darts_utils.inference`. Checkpoints carry ``model_framework = "smp"``; the entry point ``darts.models``
leads from there to `Segmenter`. torch is imported when a name is used, not before.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts_segmentation.model_files import convert_model
    from darts_segmentation.networks import build_network
    from darts_segmentation.segmenter import Segmenter

__all__ = ["Segmenter", "build_network", "convert_model"]

_HOMES = {"Segmenter": "segmenter", "build_network": "networks", "convert_model": "model_files"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
