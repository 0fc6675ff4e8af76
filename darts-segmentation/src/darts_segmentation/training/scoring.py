"""A network over patches of a store: what it says, and how good that is."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.classification import BinaryAUROC, BinaryAveragePrecision

from darts_segmentation.training.scores import EvaluationResult, Reliability, Scores
from darts_train_utils.calibration import ReliabilityCounter, calibrated, fit_temperature
from darts_train_utils.config import IGNORE_LABEL
from darts_train_utils.data import Draw, PatchDataset
from darts_train_utils.metrics import InstanceScorer, boundary_pixels
from darts_train_utils.patch_store import PatchStore
from darts_utils.errors import TrainingDataError
from darts_utils.inference.forward import logits_of
from darts_utils.inference.normalization import Normalization
from darts_utils.inference.precision import computing_in
from darts_utils.logging import get_logger

_log = get_logger("training")

_CURVE_POINTS = 1001
_PIXELS_FOR_TEMPERATURE = 4_000_000


@dataclass(frozen=True)
class ScoringConfig:
    """How patches are scored; the one home of these defaults."""

    threshold: float = 0.5
    """A pixel is of the class where its probability is greater than this."""
    boundary_width_px: float = 3.0
    """How far the rim of an object reaches inwards, for the boundary IoU."""
    bins: int = 15
    """Of the reliability curve."""
    batch_size: int = 8
    """Patches in one call of the network."""


DEFAULT_SCORING = ScoringConfig()


def predicted_logits(
    network: torch.nn.Module,
    store: PatchStore,
    rows: NDArray[np.int64],
    *,
    normalization: Normalization,
    batch_size: int,
    device: torch.device,
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.uint8]]]:
    """Let a network answer patches, one after the other.

    Args:
        network: In evaluation mode, on `device`.
        store: The patches.
        rows: Which.
        normalization: Of the network's inputs.
        batch_size: Patches in one call.
        device: Where the network is.

    Yields:
        Row; logits ``(H, W)`` float32; labels ``(H, W)``.

    Raises:
        TrainingDataError: The store lacks an input.
    """
    dataset = PatchDataset(store, normalization=normalization, seed=0, augmentation=None)
    draws = [Draw(0, index, int(row)) for index, row in enumerate(rows)]
    for first in range(0, len(draws), batch_size):
        samples = [dataset[draw] for draw in draws[first : first + batch_size]]
        images = torch.stack([sample["image"] for sample in samples])
        with torch.inference_mode(), computing_in(torch.float32, device=device):
            logits = (
                logits_of(network, images.to(device, memory_format=torch.channels_last))[:, 0].float().cpu().numpy()
            )
        for position, (answer, sample) in enumerate(zip(logits, samples, strict=True), start=first):
            yield int(rows[position]), answer, sample["labels"].numpy().astype("uint8")


def find_temperature(
    answers: Iterator[tuple[int, NDArray[np.float32], NDArray[np.uint8]]], *, patches: int
) -> float | None:
    """Fit a temperature to validation patches.

    Args:
        answers: Of `predicted_logits`.
        patches: How many there are; of each as many pixels count as fit into memory, evenly spread.

    Returns:
        The temperature; None where no temperature is best, with a line in the log.
    """
    share = _PIXELS_FOR_TEMPERATURE // max(1, patches)
    logits, truth = [], []
    for _, answer, labels in answers:
        known = np.flatnonzero(labels != IGNORE_LABEL)
        known = known[:: max(1, -(-known.size // max(1, share)))]
        logits.append(answer.ravel()[known])
        truth.append(labels.ravel()[known])
    try:
        return fit_temperature(np.concatenate(logits), np.concatenate(truth))
    except TrainingDataError as error:
        _log.warning("no temperature is fitted: %s", error)
        return None


def score_patches(
    network: torch.nn.Module,
    store: PatchStore,
    rows: NDArray[np.int64],
    *,
    part: str,
    normalization: Normalization,
    temperature: float | None,
    device: torch.device,
    options: ScoringConfig = DEFAULT_SCORING,
) -> EvaluationResult:
    """Score a network on patches.

    Args:
        network: In evaluation mode, on `device`.
        store: The patches.
        rows: Which.
        part: What they are called in the result.
        normalization: Of the network's inputs.
        temperature: By which logits are divided; None leaves them.
        device: Where the network is.
        options: Threshold, width of rims, bins.

    Returns:
        Scores overall and by region. Patches are scored one by one, without the overlap of a sliding window; an object that a
        patch's edge cuts counts in each of its patches.

    Raises:
        TrainingDataError: There is no patch or no known pixel, the store lacks an input, or the network says NaN.
    """
    if len(rows) == 0:
        raise TrainingDataError(f"expected patches to score, but the part {part!r} has none: choose another part")
    regions: list[str] = store.table["region"].to_pylist()
    counters = {name: _Counter(options) for name in sorted({regions[row] for row in rows})}
    everything = _Counter(options)
    reliability = ReliabilityCounter(bins=options.bins)
    answers = predicted_logits(
        network, store, rows, normalization=normalization, batch_size=options.batch_size, device=device
    )
    for row, logits, labels in answers:
        probabilities = calibrated(logits, temperature=1.0 if temperature is None else temperature).astype("float32")
        reliability.update(probabilities, labels)
        for counter in (everything, counters[regions[row]]):
            counter.update(probabilities, labels)
    curve = reliability.curve()
    return EvaluationResult(
        part=part,
        threshold=options.threshold,
        boundary_width_px=options.boundary_width_px,
        overall=everything.scores(),
        regions={name: counter.scores() for name, counter in counters.items()},
        reliability=Reliability(
            tuple(curve.predicted.tolist()),
            tuple(curve.observed.tolist()),
            tuple(curve.counts.tolist()),
            curve.expected_error,
        ),
    )


class _Counter:
    """Everything that is counted for one row of scores."""

    def __init__(self, options: ScoringConfig) -> None:
        self._options = options
        self._patches = self._tp = self._fp = self._fn = self._tn = 0
        self._rims = np.zeros(2, "int64")
        self._instances = InstanceScorer(threshold=options.threshold)
        self._ap, self._auroc = (kind(thresholds=_CURVE_POINTS) for kind in (BinaryAveragePrecision, BinaryAUROC))

    def update(self, probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> None:
        self._patches += 1
        known = labels != IGNORE_LABEL
        found, true = probabilities > self._options.threshold, labels == 1
        self._tp += int((found & true).sum())
        self._fp += int((found & known & ~true).sum())
        self._fn += int((~found & true).sum())
        self._tn += int((~found & known & ~true).sum())
        self._rims += boundary_pixels(found, labels, width_px=self._options.boundary_width_px)
        self._instances.update(probabilities, labels)
        if known.any():
            values, truth = torch.from_numpy(probabilities[known]), torch.from_numpy(true[known].astype("int64"))
            self._ap.update(values, truth)
            self._auroc.update(values, truth)

    def scores(self) -> Scores:
        tp, fp, fn = self._tp, self._fp, self._fn
        pixels = tp + fp + fn + self._tn
        half, strict = self._instances.scores(iou_thresholds=(0.5, 0.75))
        both = tp + fn > 0 and fp + self._tn > 0
        return Scores(
            patches=self._patches,
            pixels=pixels,
            positive_share=_ratio(tp + fn, pixels),
            iou=_ratio(tp, tp + fp + fn),
            f1=_ratio(2 * tp, 2 * tp + fp + fn),
            precision=_ratio(tp, tp + fp),
            recall=_ratio(tp, tp + fn),
            ap=float(self._ap.compute()) if both else float("nan"),
            auroc=float(self._auroc.compute()) if both else float("nan"),
            boundary_iou=_ratio(int(self._rims[0]), int(self._rims[1])),
            instance_f1=half.f1,
            instance_ap=half.ap,
            instance_f1_75=strict.f1,
            instance_ap_75=strict.ap,
            objects=half.true_positives + half.false_negatives,
        )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
