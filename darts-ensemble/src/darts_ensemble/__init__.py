"""Many models, one probability: the mean over the members of an ensemble.

==================  ====================================================================================
`ensemble`          `Ensemble`: load the members, average what they say; itself a `TileModel`
`averaging`         `RunningAverage`: weighted mean and spread, one array at a time
`weighting`         names and weights of the members: what they may be
`sources`           `model_files`: a file, a folder, a list of them, or names and files
==================  ====================================================================================

Members may differ in framework, input variables and patch size. The class of a checkpoint is found through the entry
points ``darts.models``, keyed by its ``model_framework``, so a new framework plugs in by being installed. torch is
imported when `Ensemble` is used, not before.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts_ensemble.ensemble import Ensemble

__all__ = ["Ensemble"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.ensemble"), name)
