"""Whether a model has learnt from patches that are to judge it: it carries the fingerprint of its data, and their sides."""

import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from darts_segmentation.training.plan import decode_split
from darts_train_utils.splits import Split
from darts_utils.errors import DartsWarning, TrainingDataError
from darts_utils.inference.checkpoint import Checkpoint


def sides_of(model: Checkpoint, *, fingerprint: str) -> Split | None:
    """Tell which patches of a store trained, validated and tested a model.

    Args:
        model: Of any maker.
        fingerprint: Of the store, see `darts_train_utils.provenance.data_fingerprint`.

    Returns:
        Rows by side; None where the model was trained on other data, or does not say on which.
    """
    record = model.config.get("training")
    if not isinstance(record, Mapping) or not isinstance(record.get("data"), Mapping) or "split" not in record:
        return None
    if record["data"].get("fingerprint") != fingerprint:
        return None
    return decode_split(record["split"])


def check_start_unseen(split: Split, *, start: Checkpoint | None, fingerprint: str) -> None:
    """Raise if patches that are to judge a training have taught the model that it begins with.

    Args:
        split: Rows by side.
        start: That model, if any.
        fingerprint: Of the patches.

    Raises:
        TrainingDataError: `start` trained on a validation or test patch, or chose its best epoch by a test patch.
    """
    known = None if start is None else sides_of(start, fingerprint=fingerprint)
    if known is None:
        return
    taught = {
        "validation": np.intersect1d(split.validation, known.training),
        "test": np.intersect1d(split.test, np.concatenate([known.training, known.validation])),
    }
    found = [f"{len(rows)} {side} patches" for side, rows in taught.items() if len(rows)]
    if found:
        raise TrainingDataError(
            f"expected validation and test patches that have not made the start checkpoint, but {' and '.join(found)} trained it or "
            "chose its best epoch: take the [split] of its training, or begin with another model"
        )


def warn_of_seen(rows: NDArray[np.int64], *, model: Checkpoint, fingerprint: str) -> None:
    """Warn if a model is scored on patches that it trained on.

    Args:
        rows: Patches that it is scored on.
        model: The model.
        fingerprint: Of the patches.

    Warns:
        DartsWarning: Says on how many.
    """
    known = sides_of(model, fingerprint=fingerprint)
    seen = 0 if known is None else len(np.intersect1d(rows, known.training))
    if seen:
        warnings.warn(
            f"{seen} of the {len(rows)} patches trained the model, so the scores are better than those elsewhere: evaluate it with "
            "part 'test'",
            DartsWarning,
            stacklevel=4,
        )
