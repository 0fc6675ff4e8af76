"""From the weights of the best epoch to a model file that says where it comes from and how good it is."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import darts_segmentation
from darts_segmentation.networks import build_network
from darts_segmentation.segmenter import FRAMEWORK
from darts_segmentation.training.plan import encode_split
from darts_segmentation.training.run_folder import CHECKPOINTS, Run
from darts_segmentation.training.scores import EvaluationResult
from darts_segmentation.training.scoring import ScoringConfig, find_temperature, predicted_logits, score_patches
from darts_train_utils.epochs import BEST
from darts_train_utils.patch_store import PatchStore
from darts_train_utils.provenance import git_revision, package_versions
from darts_utils.config_tables import plain_table
from darts_utils.errors import TrainingError
from darts_utils.inference.checkpoint import Checkpoint
from darts_utils.inference.devices import resolve_device
from darts_utils.inference.torch_files import read_torch
from darts_utils.inference.weights import load_weights

CLASS_NAMES = ("background", "thaw slump")
"""Meaning of the labels 0 and 1."""

_PACKAGES = (
    "darts-segmentation",
    "darts-train-utils",
    "darts-utils",
    "torch",
    "lightning",
    "segmentation-models-pytorch",
)
_OF_NETWORK = "network."


@dataclasses.dataclass(frozen=True)
class BestEpoch:
    """The weights that a training ends with."""

    epoch: int
    """Counts from 0."""
    score: float
    """What was watched; NaN without validation patches."""
    statedict: Mapping[str, torch.Tensor]
    """Of the network."""


def best_epoch(run: Run) -> BestEpoch:
    """Read the weights of the best epoch of a training.

    Args:
        run: The training.

    Raises:
        TrainingError: No epoch is complete.
    """
    path = run.folder / CHECKPOINTS / BEST
    if not path.is_file():
        raise TrainingError(f"expected weights at '{path}', but no epoch is complete: resume the training")
    content: Any = read_torch(path)
    weights = {name.removeprefix(_OF_NETWORK): tensor for name, tensor in content["statedict"].items()}
    return BestEpoch(int(content["epoch"]), float(content["score"]), weights)


def finished_checkpoint(run: Run, store: PatchStore) -> tuple[Checkpoint, dict[str, EvaluationResult]]:
    """Make the model file of a training that has come to its end.

    Args:
        run: The training.
        store: Its patches.

    Returns:
        The checkpoint; the scores on the validation and on the test patches, where there are any.

    Raises:
        TrainingError: No epoch is complete.
    """
    plan, best = run.plan, best_epoch(run)
    network = build_network(plan.network)
    load_weights(network, best.statedict)
    device = resolve_device(plan.config.device)
    network.eval().to(device)
    temperature = None
    sides = {"validation": plan.split.validation, "test": plan.split.test}
    options = ScoringConfig(batch_size=plan.config.data.batch_size)
    if plan.has_validation:
        answers = predicted_logits(
            network,
            store,
            plan.split.validation,
            normalization=plan.normalization,
            batch_size=options.batch_size,
            device=device,
        )
        temperature = find_temperature(answers, patches=len(plan.split.validation))
    applied = temperature if plan.config.apply_temperature else None
    scores = {
        part: score_patches(
            network,
            store,
            rows,
            part=part,
            normalization=plan.normalization,
            temperature=applied,
            device=device,
            options=options,
        )
        for part, rows in sides.items()
        if len(rows)
    }
    config = {
        "model_framework": FRAMEWORK,
        "name": plan.config.name,
        "model": dict(plan.network),
        "input_combination": list(plan.normalization.variables),
        "patch_size": plan.patch_px,
        "normalization": plan.normalization.to_config(),
        "class_names": list(CLASS_NAMES),
        **plan.traits,
        "input_quantiles": dict(plan.quantiles),
        "calibration": {"temperature": temperature, "apply": applied is not None},
        "training": _record(run, store, best, scores),
    }
    return Checkpoint(_untupled(config), best.statedict), scores


def _record(run: Run, store: PatchStore, best: BestEpoch, scores: Mapping[str, EvaluationResult]) -> dict[str, Any]:
    plan = run.plan
    start = run.start
    return {
        "config": plain_table(plan.config),
        "epochs": best.epoch + 1,
        "best_score": None if np.isnan(best.score) else best.score,
        "data": {
            "fingerprint": run.fingerprint,
            "patches": len(store),
            "scenes": len(set(store.table["scene"].to_pylist())),
            "regions": _regions(store, run),
        },
        "split": encode_split(plan.split, len(store)),
        "start": None if start is None else {"name": start.config.get("name"), "inputs": list(start.input_combination)},
        "scores": {part: result.to_json() for part, result in scores.items()},
        "git_revision": git_revision(Path(darts_segmentation.__file__)),
        "packages": package_versions(_PACKAGES),
    }


def _regions(store: PatchStore, run: Run) -> dict[str, dict[str, Any]]:
    """Count the patches of each region by side, and how much of it is of the class."""
    split = run.plan.split
    names = np.array(store.table["region"].to_pylist(), dtype=object)
    known = store.table["known_share"].to_numpy()
    positive = store.table["positive_share"].to_numpy() * known
    sides = {"training": split.training, "validation": split.validation, "test": split.test, "left_out": split.left_out}
    counts = {side: Counter(names[rows].tolist()) for side, rows in sides.items()}
    return {
        name: {
            **{side: counts[side][name] for side in sides},
            "positive_share": float(positive[names == name].sum() / max(known[names == name].sum(), 1e-12)),
        }
        for name in sorted(set(names.tolist()))
    }


def _untupled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _untupled(entry) for name, entry in value.items()}
    return [_untupled(entry) for entry in value] if isinstance(value, list | tuple) else value
