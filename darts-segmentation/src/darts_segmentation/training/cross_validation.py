"""As many trainings as folds: each is tested on what it has not seen, and all patches are tested once."""

import dataclasses
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from darts_segmentation.training.config import TrainingConfig
from darts_segmentation.training.leakage import check_start_unseen
from darts_segmentation.training.plan import encode_split
from darts_segmentation.training.run_folder import write_json
from darts_segmentation.training.scores import EvaluationResult, Scores, write_csv
from darts_segmentation.training.studies import hash_of_model, open_study_folder
from darts_segmentation.training.training import train_part
from darts_train_utils.config import SplitConfig
from darts_train_utils.patch_store import PatchStore
from darts_train_utils.provenance import data_fingerprint
from darts_train_utils.splits import Patches, Split, check_split, split_folds, split_patches
from darts_utils.config_tables import plain_table
from darts_utils.errors import TrainingDataError
from darts_utils.files import sole_writer
from darts_utils.inference.checkpoint import read_checkpoint

_AVERAGED = tuple(
    each.name
    for each in dataclasses.fields(Scores)
    if each.name not in {"patches", "pixels", "objects", "positive_share"}
)


@dataclass(frozen=True)
class CrossValidationResult:
    """What a cross-validation has found."""

    folds: tuple[EvaluationResult, ...]
    """Scores of each fold on its test patches."""
    models: tuple[Path, ...]
    """Model file of each fold."""

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each score over the folds in which it is defined; NaN where it is in none."""
        return {name: _mean(self._values(name)) for name in _AVERAGED}

    @property
    def std(self) -> dict[str, float]:
        """Standard deviation of each score over these folds (n − 1); NaN for fewer than two."""
        return {name: _std(self._values(name)) for name in _AVERAGED}

    def _values(self, name: str) -> NDArray[np.float64]:
        values = [float(getattr(fold.overall, name)) for fold in self.folds]
        return np.array([value for value in values if math.isfinite(value)], "float64")


def cross_validate(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    config: TrainingConfig,
    folds: int | Sequence[Split],
    start: str | os.PathLike[str] | None = None,
    legacy_normalization: str | None = None,
) -> CrossValidationResult:
    """Train once for each fold, and test on it.

    Args:
        data: Folder of the patches.
        out: Gets a folder ``fold-0`` and so on, each a training, and ``cross_validation.json`` and ``.csv``. If it holds this
            cross-validation already, it goes on: complete folds stay, the one that was interrupted is resumed.
        config: Of each training. ``config.split.method`` says what stays together; of the rest of each fold's training patches
            ``config.split.validation_share`` decide which epoch is best, by the same method; 0 takes the last epoch.
        folds: How many, or the splits themselves, whose validation may be empty.
        start: Model that every training begins with; it must not have seen the patches, which is refused where it says so.
        legacy_normalization: How the inputs of an older `start` were scaled.

    Returns:
        Scores and models of the folds.

    Raises:
        TrainingDataError: There are too few groups for the folds, nothing can be learnt in one of them, or patches that
            validate or test have made `start`.
        ConfigError: Something does not fit, see `train`; or `out` holds another cross-validation.
        OutputError: `out` cannot be written, or another process writes there.
    """
    folder = Path(out)
    store = PatchStore(data)
    splits = _splits(store.patches, config.split, folds)
    fingerprint = data_fingerprint(data)
    model = None if start is None else read_checkpoint(start, legacy_normalization=legacy_normalization)
    for split in splits:  # of all folds, before the first one trains
        check_start_unseen(split, start=model, fingerprint=fingerprint)
    record = {
        "kind": "cross-validation",
        "fingerprint": fingerprint,
        "config": plain_table(config),
        "folds": [encode_split(split, len(store)) for split in splits],
        "starts_from": None if model is None else hash_of_model(model),
    }
    with sole_writer(folder):
        open_study_folder(folder, record)
        results = []
        for number, split in enumerate(splits):
            result = train_part(
                store,
                Path(data),
                folder / f"fold-{number}",
                config=config,
                split=split,
                fingerprint=fingerprint,
                start=start,
                legacy_normalization=legacy_normalization,
            )
            results.append(result)
        found = CrossValidationResult(
            tuple(result.scores["test"] for result in results), tuple(result.model for result in results)
        )
        _write(folder, found)
    return found


def _splits(patches: Patches, config: SplitConfig, folds: int | Sequence[Split]) -> list[Split]:
    if not isinstance(folds, int):
        for split in folds:
            check_split(patches, (split.training, split.validation, split.test))
            if len(split.test) == 0:
                raise TrainingDataError("expected test patches in each fold, but one has none: correct the splits")
        return list(folds)
    splits = split_folds(patches, folds=folds, config=config)
    return [split if config.validation_share == 0 else _with_validation(patches, split, config) for split in splits]


def _with_validation(patches: Patches, fold: Split, config: SplitConfig) -> Split:
    rows = fold.training
    rest = Patches(
        [patches.scenes[row] for row in rows],
        [patches.regions[row] for row in rows],
        [patches.crs[row] for row in rows],
        patches.bounds[rows],
        patches.positive_shares[rows],
    )
    inner = split_patches(rest, config=dataclasses.replace(config, test_share=0.0))
    left_out = np.sort(np.concatenate([fold.left_out, rows[inner.left_out]]))
    return Split(rows[inner.training], rows[inner.validation], fold.test, left_out)


def _write(folder: Path, result: CrossValidationResult) -> None:
    rows = [
        {"fold": number, "region": region, **dataclasses.asdict(scores)}
        for number, fold in enumerate(result.folds)
        for region, scores in {**fold.regions, "all": fold.overall}.items()
    ]
    names = ["fold", "region", *(each.name for each in dataclasses.fields(Scores))]
    write_csv(folder / "cross_validation.csv", names, rows)
    content = {
        "folds": [fold.to_json() for fold in result.folds],
        "models": [model.relative_to(folder).as_posix() for model in result.models],
        "mean": result.mean,
        "std": result.std,
    }
    write_json(folder / "cross_validation.json", content)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _std(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")
