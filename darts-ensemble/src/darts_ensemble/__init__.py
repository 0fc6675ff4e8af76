"""Many models, one probability: ensembles, and inference in stages.

==================  ====================================================================================
`ensemble`          `Ensemble`: load the members, average what they say; itself a `TileModel`
`membership`        which members can run on a tile, which are left out, and how that is recorded
`averaging`         `RunningAverage`: weighted mean and spread, one array at a time
`weighting`         names and weights of the members: what they may be
`sources`           `model_files`: a file, a folder, a list of them, or names and files
`answers`           what a model says, held to the contract
`stages`            `run_stages`: one model after the other, also onto another grid
`gate`              `Gate`: later stages look only where an earlier one found something
`overlay`           one tile laid over another, also of another grid
`cli`               ``darts ensemble``
==================  ====================================================================================

Members may differ in framework, input variables and patch size. The class of a checkpoint is found through the entry
points ``darts.models``, keyed by its ``model_framework``, so a new framework plugs in by being installed. torch is
imported when `Ensemble` is used, not before.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts_ensemble.ensemble import Ensemble
    from darts_ensemble.gate import Gate
    from darts_ensemble.stages import TileStage, run_stages, run_stages_batched

_HOMES = {
    "Ensemble": "ensemble",
    "Gate": "gate",
    "TileStage": "stages",
    "run_stages": "stages",
    "run_stages_batched": "stages",
}

__all__ = ["Ensemble", "Gate", "TileStage", "run_stages", "run_stages_batched"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
