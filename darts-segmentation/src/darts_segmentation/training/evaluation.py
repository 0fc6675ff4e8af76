"""How good a model file is on patches: its own test patches, or those of other data."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from darts_segmentation.networks import build_network, check_channels, network_stride_px
from darts_segmentation.segmenter import FRAMEWORK
from darts_segmentation.training.leakage import sides_of, warn_of_seen
from darts_segmentation.training.plan import stored_patch_px
from darts_segmentation.training.scores import EvaluationResult, write_evaluation
from darts_segmentation.training.scoring import DEFAULT_SCORING, ScoringConfig, score_patches
from darts_segmentation.training.traits import check_traits
from darts_train_utils.patch_store import PatchStore
from darts_train_utils.provenance import data_fingerprint
from darts_utils.errors import CheckpointError, ConfigError, TrainingDataError
from darts_utils.inference.checkpoint import Checkpoint, naming_file, read_checkpoint
from darts_utils.inference.devices import resolve_device
from darts_utils.inference.engine import check_network
from darts_utils.inference.normalization import parse_normalization
from darts_utils.inference.temperature import applied_temperature
from darts_utils.inference.weights import load_weights

Part = Literal["test", "validation", "training", "all"]
"""Patches of a model's own data by side, or all patches of any data."""

_PARTS = ("test", "validation", "training", "all")


def evaluate(
    checkpoint: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    part: Part = "test",
    out: str | os.PathLike[str] | None = None,
    options: ScoringConfig = DEFAULT_SCORING,
    device: str = "auto",
    legacy_normalization: str | None = None,
) -> EvaluationResult:
    """Score a model on patches.

    Args:
        checkpoint: Model file of any shape, or run folder of thaw-slump-segmentation.
        data: Folder of patches, see `darts_train_utils.patch_store`.
        part: Which patches: a side of the model's training, which needs the data that it was trained with, or ``"all"``.
        out: Gets ``scores.json``, ``scores.csv``, ``reliability.csv``; None writes nothing.
        options: Threshold, width of rims, bins.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        legacy_normalization: How the inputs of an older model were scaled, where its file does not say.

    Returns:
        Scores overall and by region. Patches are scored one by one, without the overlap of a sliding window; an object that a
        patch's edge cuts counts in each of its patches. Probabilities are those of inference: calibrated where the model says so.

    Raises:
        CheckpointError: The model cannot be read, is of another framework, or network, inputs and weights do not fit together; or
            the network cannot answer such patches.
        ConfigError: There is no such part.
        TrainingDataError: The data lack an input, or it was made in another way than those of the training; they are not those
            of the training though a side of it was asked for; the network's stride does not divide their edge; or they have no
            known pixel.
        OutputError: The files cannot be written.

    Warns:
        DartsWarning: It is not certain that the inputs were made as those of the training, see
            `darts_segmentation.training.traits.check_traits`; or part ``"all"`` holds patches that the model trained on.
    """
    if part not in _PARTS:
        raise ConfigError(f"expected part to be one of {', '.join(_PARTS)}, but got {part!r}")
    model = read_checkpoint(checkpoint, legacy_normalization=legacy_normalization)
    store = PatchStore(data)
    rows = _rows(model, Path(data), store, part)
    where = resolve_device(device)
    with naming_file(checkpoint):
        check_traits(store.traits, config=model.config, consumer="the model")
        if model.framework != FRAMEWORK:
            raise CheckpointError(f"expected a model of the framework {FRAMEWORK!r}, but got {model.framework!r}")
        check_channels(model.config["model"], inputs=model.input_combination)
        network = build_network(model.config["model"])
        load_weights(network, model.statedict)
        _check_patches(network.eval(), store, channels=len(model.input_combination))
        normalization = parse_normalization(model.config, variables=model.input_combination)
        temperature = applied_temperature(model.config)
    result = score_patches(
        network.to(where),
        store,
        rows,
        part=part,
        normalization=normalization,
        temperature=temperature,
        device=where,
        options=options,
    )
    if out is not None:
        write_evaluation(Path(out), result)
    return result


def scoring_options(threshold: float | None, boundary_width_px: float | None) -> ScoringConfig:
    """Return the default options with what was given in their place.

    Args:
        threshold: Or None.
        boundary_width_px: Or None.

    Raises:
        ConfigError: The threshold is not within 0 … 1, or the width is below 1.
    """
    options = DEFAULT_SCORING
    if threshold is not None:
        options = replace(options, threshold=threshold)
    if boundary_width_px is not None:
        options = replace(options, boundary_width_px=boundary_width_px)
    if not 0 <= options.threshold < 1 or not options.boundary_width_px >= 1:
        raise ConfigError(
            f"expected a threshold of 0 … 1 and a width of at least 1 px, but got {options.threshold:g} and "
            f"{options.boundary_width_px:g}"
        )
    return options


def _check_patches(network: torch.nn.Module, store: PatchStore, *, channels: int) -> None:
    edge, stride = stored_patch_px(store), network_stride_px(network)
    if edge % stride:
        raise TrainingDataError(
            f"expected patches with an edge divisible by {stride} px, the stride of the model's network, but got {edge} px: prepare "
            "them with another --patch-px"
        )
    check_network(network, channels=channels, patch_px=edge, device=torch.device("cpu"))


def _rows(model: Checkpoint, data: Path, store: PatchStore, part: Part) -> NDArray[np.int64]:
    if part == "all":
        everything = np.arange(len(store), dtype="int64")
        warn_of_seen(everything, model=model, fingerprint=data_fingerprint(data))
        return everything
    record = model.config.get("training")
    if not isinstance(record, Mapping) or "split" not in record or "data" not in record:
        raise TrainingDataError(
            f"expected a model that says which patches were for its {part}, but it does not: evaluate it with part 'all', on "
            "data that it has not seen"
        )
    split = sides_of(model, fingerprint=data_fingerprint(data))
    if split is None:
        raise TrainingDataError(
            f"expected the data that the model was trained with, for its {part} patches, but those in '{data}' are others: "
            "evaluate it with part 'all'"
        )
    rows: NDArray[np.int64] = getattr(split, part)
    return rows
