"""Train a model, and go on with a training that was interrupted."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from darts_segmentation.training.card import model_card
from darts_segmentation.training.config import TrainingConfig
from darts_segmentation.training.finishing import finished_checkpoint
from darts_segmentation.training.fitting import fit
from darts_segmentation.training.leakage import check_start_unseen
from darts_segmentation.training.plan import make_plan
from darts_segmentation.training.run_folder import CHECKPOINTS, RECORD, Run, read_run, require_new, write_run
from darts_segmentation.training.scores import EvaluationResult, parse_evaluation, write_evaluation
from darts_train_utils.patch_store import PatchStore
from darts_train_utils.provenance import data_fingerprint
from darts_train_utils.splits import Split
from darts_utils.files import atomic_path, remove_leftovers, sole_writer
from darts_utils.inference.checkpoint import Checkpoint, read_checkpoint, write_checkpoint


@dataclass(frozen=True)
class TrainingResult:
    """What a training has made."""

    model: Path
    """The model file of the best epoch, for `darts_segmentation.Segmenter.load`."""
    card: Path
    """What the model is, in Markdown."""
    epochs: int
    """Epochs until the best one."""
    temperature: float | None
    """Of the calibration, fitted on the validation patches; None where there was none to fit."""
    scores: Mapping[str, EvaluationResult]
    """On the patches that did not train: ``"validation"`` and ``"test"``, as far as the split has them."""


def train(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    config: TrainingConfig,
    start: str | os.PathLike[str] | None = None,
    legacy_normalization: str | None = None,
    split: Split | None = None,
) -> TrainingResult:
    """Train a segmentation model.

    Args:
        data: Folder of the patches, see `darts_train_utils.patch_store`.
        out: Folder of the training, new; for its files see `darts_segmentation.training.run_folder`.
        config: What to do.
        start: Model file whose weights training begins with, also of an older shape, or a run folder of
            thaw-slump-segmentation: for fine-tuning. What the config leaves open of network, inputs and normalization is its.
        legacy_normalization: How the inputs of an older `start` were scaled, where its file does not say.
        split: Rows by side; None: as ``config.split`` says.

    Returns:
        The model file of the best epoch, and its scores.

    Raises:
        ConfigError: Network, inputs, scaling, device, precision or patch size do not fit each other, the data or `start`.
        TrainingDataError: From these patches nothing can be learnt, they were made in another way than those of `start`, the split
            leaves a side empty, or patches that validate or test have made `start`.
        TrainingError: The loss is no number any more; names batch and patches.
        CheckpointError: `start` cannot be read.
        OutputError: `out` holds a training already, another process writes there, or it cannot be written.

    Warns:
        DartsWarning: It is not certain that the inputs were made as those of `start`, see
            `darts_segmentation.training.traits.check_traits`.

    Notes:
        Samples, their variation and what the network draws depend on seed, epoch and index alone. So a training repeats bit
        for bit on one machine with the same packages and ``torch.set_num_threads``, as far as the operations of its network do:
        on a CPU they do.
    """
    folder = Path(out)
    with sole_writer(folder):
        require_new(folder)
        store = PatchStore(data)
        model = None if start is None else read_checkpoint(start, legacy_normalization=legacy_normalization)
        run = plan_run(store, Path(data), folder, config=config, start=model, split=split)
        return _complete(run, store)


def resume(out: str | os.PathLike[str], *, data: str | os.PathLike[str] | None = None) -> TrainingResult:
    """Go on with a training after its last complete epoch; it ends as if nothing had happened.

    Args:
        out: Folder of a training.
        data: Where the patches are now; None: where they were.

    Returns:
        As `train`; of a training that is complete, what it has made.

    Raises:
        TrainingError: `out` holds no training, or the loss is no number any more.
        TrainingDataError: The patches are not those that it began with.
        OutputError: Another process writes there, or it cannot be written.
    """
    folder = Path(out)
    with sole_writer(folder) as certain:
        return _resume(read_run(folder, data=None if data is None else Path(data)), certain=certain)


def train_part(
    store: PatchStore,
    data: Path,
    folder: Path,
    *,
    config: TrainingConfig,
    split: Split,
    fingerprint: str,
    start: str | os.PathLike[str] | None = None,
    legacy_normalization: str | None = None,
) -> TrainingResult:
    """Train, or go on with a training, that is one of many on the same data, which are looked at once for all of them.

    Args:
        store: The patches.
        data: Their folder.
        folder: Of the training.
        config: What to do.
        split: Rows by side.
        fingerprint: Of the patches, as `darts_train_utils.provenance.data_fingerprint` gives it.
        start: As for `train`.
        legacy_normalization: As for `train`.

    Returns:
        As `train`.

    Raises:
        DartsError: As `train` and `resume` do.
    """
    with sole_writer(folder) as certain:
        if (folder / RECORD).is_file():
            return _resume(read_run(folder, data=data, fingerprint=fingerprint), certain=certain)
        model = None if start is None else read_checkpoint(start, legacy_normalization=legacy_normalization)
        run = plan_run(store, data, folder, config=config, start=model, split=split, fingerprint=fingerprint)
        return _complete(run, store)


def plan_run(
    store: PatchStore,
    data: Path,
    folder: Path,
    *,
    config: TrainingConfig,
    start: Checkpoint | None = None,
    split: Split | None = None,
    fingerprint: str | None = None,
) -> Run:
    """Decide what a training will do and write it down.

    Args:
        store: The patches.
        data: Their folder.
        folder: Of the training.
        config: What to do.
        start: The model that it begins with.
        split: Rows by side; None: as the config says.
        fingerprint: Of the patches; None: is computed.

    Raises:
        DartsError: As `train` does.
    """
    plan = make_plan(store, config=config, start=start, split=split)
    known = data_fingerprint(data) if fingerprint is None else fingerprint
    check_start_unseen(plan.split, start=start, fingerprint=known)
    run = Run(folder, data, known, plan)
    write_run(run, patches=len(store), start=start)
    return run


def _resume(run: Run, *, certain: bool) -> TrainingResult:
    for place in (run.folder, run.folder / CHECKPOINTS, run.folder / "pictures"):
        remove_leftovers(place, all_writers=certain)
    if run.model.is_file():
        return _result(run, read_checkpoint(run.model))
    return _complete(run, PatchStore(run.data))


def _complete(run: Run, store: PatchStore) -> TrainingResult:
    fit(run, store)
    checkpoint, scores = finished_checkpoint(run, store)
    reported = scores.get("test", scores.get("validation"))
    if reported is not None:
        write_evaluation(run.folder, reported)
    with atomic_path(_card(run)) as path:
        path.write_text(model_card(checkpoint), encoding="utf-8")
    write_checkpoint(run.model, checkpoint)  # last: where it is, the training is complete
    return _result(run, checkpoint)


def _result(run: Run, checkpoint: Checkpoint) -> TrainingResult:
    record = checkpoint.config["training"]
    return TrainingResult(
        model=run.model,
        card=_card(run),
        epochs=record["epochs"],
        temperature=checkpoint.config["calibration"]["temperature"],
        scores={part: parse_evaluation(table) for part, table in record["scores"].items()},
    )


def _card(run: Run) -> Path:
    return run.model.with_suffix(".md")
