"""Scores of probabilities against labels; pixels labelled 2 count nowhere.

Pixels by torchmetrics, over all that was shown; objects and their boundaries by scipy. An object is what hangs together over
sides and corners; ignored pixels belong to none. A ratio of 0 to 0 (no object, none found) is NaN, never a good score.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, label
from scipy.optimize import linear_sum_assignment
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    BinaryAUROC,
    BinaryAveragePrecision,
    BinaryF1Score,
    BinaryJaccardIndex,
    BinaryPrecision,
    BinaryRecall,
)

from darts_train_utils.config import IGNORE_LABEL
from darts_utils.errors import TrainingDataError

_CONNECTIVITY = np.ones((3, 3), "int8")


def pixel_metrics(*, threshold: float = 0.5, curve_points: int = 1001, prefix: str = "") -> MetricCollection:
    """Make the pixel scores of a training: ``iou``, ``f1``, ``precision``, ``recall``, ``ap``, ``auroc``.

    Args:
        threshold: A pixel is of the class where its probability is greater than this.
        curve_points: Thresholds of the two curves, so that memory stays flat; the areas are exact to about their inverse.
        prefix: Of the names, e.g. ``"val/"``.

    Returns:
        A collection to update with probabilities ``(B, H, W)``, 0 … 1, and labels ``(B, H, W)``, through `update_metrics`.
    """
    options: dict[str, Any] = {"threshold": threshold, "ignore_index": IGNORE_LABEL}
    curve: dict[str, Any] = {"thresholds": curve_points, "ignore_index": IGNORE_LABEL}
    return MetricCollection(
        {
            "iou": BinaryJaccardIndex(**options),
            "f1": BinaryF1Score(**options),
            "precision": BinaryPrecision(**options),
            "recall": BinaryRecall(**options),
            "ap": BinaryAveragePrecision(**curve),
            "auroc": BinaryAUROC(**curve),
        },
        prefix=prefix,
    )


def update_metrics(metrics: MetricCollection, probabilities: torch.Tensor, labels: torch.Tensor) -> None:
    """Show a batch to the scores.

    Args:
        metrics: Of `pixel_metrics`.
        probabilities: ``(B, H, W)``, 0 … 1; anything at ignored pixels.
        labels: ``(B, H, W)`` integers 0, 1, 2.

    Raises:
        TrainingDataError: A known pixel's probability is NaN or not within 0 … 1 (torchmetrics would take the batch for
            logits), shapes differ, or a label is unknown.
    """
    known = _known(probabilities.detach().cpu().numpy(), labels.cpu().numpy())
    keep = torch.from_numpy(known).to(probabilities.device)
    with _counting_as_usual():
        metrics.update(torch.where(keep, probabilities, 0.0), labels)


@contextmanager
def _counting_as_usual() -> Iterator[None]:
    """Let torchmetrics count as if torch were not in deterministic mode: whole numbers are exact in any order.

    In that mode it makes a table of every pixel by every threshold, which no memory holds.
    """
    before, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)


@dataclass(frozen=True)
class InstanceScores:
    """Scores of objects at one IoU threshold."""

    iou_threshold: float
    """Two objects are one from this IoU on."""
    true_positives: int
    """Objects that were found."""
    false_positives: int
    """Objects that are none."""
    false_negatives: int
    """Objects that were missed."""
    f1: float
    """2 TP / (2 TP + FP + FN); NaN without any object."""
    ap: float
    """Area under precision over recall, each object with its mean probability; NaN without a true object."""


def score_instances(
    probabilities: Sequence[NDArray[np.float32]],
    labels: Sequence[NDArray[np.integer]],
    *,
    threshold: float = 0.5,
    iou_thresholds: Sequence[float] = (0.5, 0.75),
) -> list[InstanceScores]:
    """Score found objects against true ones, one to one.

    Args:
        probabilities: ``(H, W)`` of each image, 0 … 1.
        labels: ``(H, W)`` of each, 0, 1, 2.
        threshold: Objects are made of the pixels above it.
        iou_thresholds: Each gives one entry of the result; above 0, at most 1.

    Returns:
        Scores over all images. Pairs are those whose IoU reaches the threshold, as many as can be.

    Raises:
        TrainingDataError: Shapes differ, a label is unknown, a probability is not within 0 … 1, or an IoU threshold is not.

    Examples:
        >>> truth = np.zeros((8, 8), "uint8")
        >>> truth[1:4, 1:4] = 1
        >>> score_instances([truth.astype("float32")], [truth], iou_thresholds=[0.5])[0].f1
        1.0
    """
    scorer = InstanceScorer(threshold=threshold)
    for pair in zip(probabilities, labels, strict=True):
        scorer.update(*pair)
    return scorer.scores(iou_thresholds=iou_thresholds)


class InstanceScorer:
    """Scores objects image by image; of each it keeps no more than how its objects overlap.

    Args:
        threshold: Objects are made of the pixels above it.
    """

    def __init__(self, *, threshold: float = 0.5) -> None:
        self._threshold = threshold
        self._images: list[_Image] = []

    def update(self, probabilities: NDArray[np.float32], labels: NDArray[np.integer]) -> None:
        """Show one image.

        Args:
            probabilities: ``(H, W)``, 0 … 1.
            labels: ``(H, W)``: 0, 1, 2.

        Raises:
            TrainingDataError: Shapes differ, a label is unknown, or a probability is not within 0 … 1.
        """
        self._images.append(_overlaps(probabilities, labels, self._threshold))

    def scores(self, *, iou_thresholds: Sequence[float] = (0.5, 0.75)) -> list[InstanceScores]:
        """Return the scores over all images so far.

        Args:
            iou_thresholds: Each gives one entry; above 0, at most 1.

        Raises:
            TrainingDataError: A threshold is not within these limits.
        """
        if not all(0 < each <= 1 for each in iou_thresholds):
            raise TrainingDataError(f"expected IoU thresholds above 0 and at most 1, but got {list(iou_thresholds)}")
        return [_scores_at(self._images, each) for each in iou_thresholds]


def boundary_iou(mask: NDArray[np.bool_], labels: NDArray[np.integer], *, width_px: float) -> float:
    """Compute the IoU of the inner rims of two masks.

    Args:
        mask: ``(H, W)`` bool: what was found.
        labels: ``(H, W)``: 0, 1, 2.
        width_px: How far a rim reaches inwards from the first pixel outside, in pixels; neither the image's edge nor
            ignored pixels are outside.

    Returns:
        0 … 1; NaN where neither has a rim.

    Raises:
        TrainingDataError: Shapes differ, a label is unknown, or `width_px` is below 1.

    References:
        Cheng et al. 2021, Boundary IoU, doi:10.1109/CVPR46437.2021.01508.
    """
    common, union = boundary_pixels(mask, labels, width_px=width_px)
    return common / union if union else float("nan")


def boundary_pixels(mask: NDArray[np.bool_], labels: NDArray[np.integer], *, width_px: float) -> tuple[int, int]:
    """Count what `boundary_iou` divides, to be summed over images.

    Args:
        mask: ``(H, W)`` bool: what was found.
        labels: ``(H, W)``: 0, 1, 2.
        width_px: How far a rim reaches inwards, in pixels.

    Returns:
        Pixels of both rims, pixels of either.

    Raises:
        TrainingDataError: Shapes differ, a label is unknown, or `width_px` is below 1.
    """
    if not width_px >= 1:
        raise TrainingDataError(f"expected width_px of at least 1, but got {width_px}: a rim has one pixel at least")
    known = _known(mask.astype("float32"), labels)
    found, true = (_rim(each, width_px) & known for each in (mask.astype(bool) | ~known, labels != 0))
    return int((found & true).sum()), int((found | true).sum())


def _rim(mask: NDArray[np.bool_], width_px: float) -> NDArray[np.bool_]:
    if mask.all():
        return np.zeros_like(mask)
    rim: NDArray[np.bool_] = mask & (distance_transform_edt(mask) <= width_px)
    return rim


def _known(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    if probabilities.shape != labels.shape:
        raise TrainingDataError(
            f"expected probabilities and labels of one shape, but got {probabilities.shape} and {labels.shape}"
        )
    known: NDArray[np.bool_] = labels != IGNORE_LABEL
    if not np.isin(labels, (0, 1, IGNORE_LABEL)).all():
        raise TrainingDataError(
            f"expected labels 0, 1, {IGNORE_LABEL}, but got {np.unique(labels)[:8].tolist()}: recode"
        )
    values = probabilities[known]
    if not ((values >= 0) & (values <= 1)).all():
        raise TrainingDataError(
            "expected probabilities within 0 … 1 where labels are known: apply the sigmoid, look for NaN"
        )
    return known


_Image = tuple[NDArray[np.float64], NDArray[np.float64]]
"""IoU ``(found, true)`` and mean probability ``(found,)``."""


def _overlaps(probabilities: NDArray[np.float32], labels: NDArray[np.integer], threshold: float) -> _Image:
    known = _known(probabilities, labels)
    found, found_count = label(known & (probabilities > threshold), _CONNECTIVITY)
    true, true_count = label(labels == 1, _CONNECTIVITY)
    shape = (found_count + 1, true_count + 1)
    common = np.bincount((found.astype("int64") * shape[1] + true).ravel(), minlength=shape[0] * shape[1]).reshape(
        shape
    )
    union = common.sum(axis=1)[1:, None] + common.sum(axis=0)[None, 1:] - common[1:, 1:]
    weights = np.where(known, probabilities, 0.0).ravel().astype("float64")
    means = np.bincount(found.ravel(), weights, minlength=shape[0])[1:] / common.sum(axis=1)[1:]
    return common[1:, 1:] / union, means


def _scores_at(images: Sequence[_Image], iou_threshold: float) -> InstanceScores:
    hits = 0
    ranked: list[tuple[float, bool]] = []
    for iou, means in images:
        fits = iou >= iou_threshold
        rows, columns = linear_sum_assignment(fits + iou / (1 + iou.size), maximize=True)
        hits += int(fits[rows, columns].sum())
        ranked += zip(means.tolist(), _greedy(iou, means, iou_threshold).tolist(), strict=True)
    found, true = (sum(iou.shape[axis] for iou, _ in images) for axis in (0, 1))
    f1 = 2 * hits / (found + true) if found + true else float("nan")
    return InstanceScores(iou_threshold, hits, found - hits, true - hits, f1, _average_precision(ranked, true))


def _greedy(iou: NDArray[np.float64], means: NDArray[np.float64], iou_threshold: float) -> NDArray[np.bool_]:
    """Let each found object, the surest first, take the best true one that is left."""
    hit = np.zeros(len(means), dtype=bool)
    free = iou.copy()
    for row in np.argsort(-means, kind="stable") if iou.size else ():
        best = int(np.argmax(free[row]))
        if free[row, best] >= iou_threshold:
            hit[row] = True
            free[:, best] = -1
    return hit


def _average_precision(ranked: list[tuple[float, bool]], true: int) -> float:
    if not true:
        return float("nan")
    scores = np.array([score for score, _ in ranked])
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(np.array([hit for _, hit in ranked], dtype=float)[order])
    last_of_score = np.flatnonzero(np.diff(scores[order], append=-1.0))
    precision, recall = hits[last_of_score] / (last_of_score + 1), hits[last_of_score] / true
    return float((np.diff(recall, prepend=0.0) * precision).sum())
