"""Probabilities that mean what they say: a temperature for the logits, and the curve that shows it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit

from darts_train_utils.config import IGNORE_LABEL
from darts_utils.errors import TrainingDataError

_LIMITS = (1e-3, 1e3)


@dataclass(frozen=True)
class ReliabilityCurve:
    """How often pixels of a predicted probability are of the class; one entry for each bin that has pixels."""

    predicted: NDArray[np.float64]
    """Mean probability in the bin."""
    observed: NDArray[np.float64]
    """Share of its pixels that are of the class."""
    counts: NDArray[np.int64]
    """Its known pixels."""
    expected_error: float
    """Mean distance of the two over all pixels (expected calibration error), 0 … 1."""


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Find the temperature T for which ``sigmoid(logits / T)`` is most likely.

    Args:
        logits: Any shape; of validation data, never of the test's.
        labels: Same shape: 0, 1, 2 (ignored).

    Returns:
        T > 0; above 1 where the network is too sure of itself. It moves no pixel over probability 0.5.

    Raises:
        TrainingDataError: Shapes differ, labels are unknown, a known logit is not finite, only one class is there, or the
            logits know nothing or everything of the labels, so that no T is best.

    Examples:
        >>> logits = np.array([4.0, 4.0, 4.0, -4.0, -4.0, -4.0])
        >>> round(fit_temperature(logits, np.array([1, 1, 0, 0, 0, 1])), 3)  # right in two of three: 4 / T = log 2
        5.771
    """
    values, truth = _known(logits, labels)
    if not np.isfinite(values).all():
        raise TrainingDataError("expected finite logits where labels are known, but some are NaN or infinite")
    if truth.all() or not truth.any():
        raise TrainingDataError(
            "expected known pixels of both classes, but there is one class: use more validation data"
        )
    signed = np.where(truth, -values, values)
    low, high = (math.log(limit) for limit in _LIMITS)
    best = minimize_scalar(
        lambda log_t: float(np.logaddexp(0.0, signed * math.exp(-log_t)).mean()),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-9},
    ).x
    if min(best - low, high - best) < 0.01:
        raise TrainingDataError(
            "expected logits that say something, but not all, of the labels; no temperature is best: look at the scores, "
            "use more validation data"
        )
    return float(math.exp(best))


def reliability_curve(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], *, bins: int = 15
) -> ReliabilityCurve:
    """Compare predicted probabilities with how often they come true.

    Args:
        probabilities: Any shape, 0 … 1.
        labels: Same shape: 0, 1, 2 (ignored).
        bins: Number of bins of equal width.

    Returns:
        The curve and its expected error.

    Raises:
        TrainingDataError: Shapes differ, labels are unknown, a probability is not within 0 … 1, nothing is known, or `bins`
            is below 1.
    """
    counter = ReliabilityCounter(bins=bins)
    counter.update(probabilities, labels)
    return counter.curve()


class ReliabilityCounter:
    """Makes a `ReliabilityCurve` batch by batch.

    Args:
        bins: Number of bins of equal width.

    Raises:
        TrainingDataError: `bins` is below 1.
    """

    def __init__(self, *, bins: int = 15) -> None:
        if bins < 1:
            raise TrainingDataError(f"expected at least 1 bin, but got {bins}")
        self._edges = np.linspace(0, 1, bins + 1)[1:-1]
        self._counts = np.zeros(bins, "int64")
        self._predicted, self._observed = np.zeros(bins), np.zeros(bins)

    def update(self, probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
        """Show a batch.

        Args:
            probabilities: Any shape, 0 … 1; anything where ignored.
            labels: Same shape: 0, 1, 2 (ignored).

        Raises:
            TrainingDataError: Shapes differ, labels are unknown, or a probability is not within 0 … 1.
        """
        values, truth = _known_pixels(probabilities, labels)
        if not ((values >= 0) & (values <= 1)).all():
            raise TrainingDataError("expected probabilities within 0 … 1 where labels are known: apply the sigmoid")
        bins = len(self._counts)
        number = np.searchsorted(self._edges, values)
        self._counts += np.bincount(number, minlength=bins)
        self._predicted += np.bincount(number, values, minlength=bins)
        self._observed += np.bincount(number, truth, minlength=bins)

    def curve(self) -> ReliabilityCurve:
        """Return the curve over all batches so far.

        Raises:
            TrainingDataError: No known pixel was shown.
        """
        if not self._counts.any():
            raise TrainingDataError("expected known pixels, but every label is ignored: use other validation data")
        used = self._counts > 0
        counts = self._counts[used]
        predicted, observed = self._predicted[used] / counts, self._observed[used] / counts
        error = float((np.abs(predicted - observed) * counts).sum() / counts.sum())
        return ReliabilityCurve(predicted, observed, counts, error)


def calibrated(logits: NDArray[np.floating], *, temperature: float) -> NDArray[np.float64]:
    """Return ``sigmoid(logits / temperature)``.

    Args:
        logits: Any shape.
        temperature: Of `fit_temperature`.
    """
    probabilities: NDArray[np.float64] = expit(np.asarray(logits, "float64") / temperature)
    return probabilities


def _known(values: NDArray[np.floating], labels: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    known, truth = _known_pixels(values, labels)
    if not known.size:
        raise TrainingDataError("expected known pixels, but every label is ignored: use other validation data")
    return known, truth


def _known_pixels(
    values: NDArray[np.floating], labels: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    if values.shape != labels.shape:
        raise TrainingDataError(f"expected values and labels of one shape, but got {values.shape} and {labels.shape}")
    if not np.isin(labels, (0, 1, IGNORE_LABEL)).all():
        raise TrainingDataError(
            f"expected labels 0, 1, {IGNORE_LABEL}, but got {np.unique(labels)[:8].tolist()}: recode"
        )
    known = labels != IGNORE_LABEL
    return values[known].astype("float64"), labels[known] == 1
