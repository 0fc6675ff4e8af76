"""How good a model is, in numbers: overall and for each region, as dataclasses and as files."""

import csv
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_segmentation.training.run_folder import without_nan, write_json
from darts_utils.files import atomic_path


@dataclass(frozen=True)
class Scores:
    """Scores over some patches. A ratio of 0 to 0 is NaN, never a good score."""

    patches: int
    """Patches."""
    pixels: int
    """Pixels with a known label."""
    positive_share: float
    """Share of them that are of the class, 0 … 1."""
    iou: float
    """Intersection over union of pixels."""
    f1: float
    """Harmonic mean of precision and recall of pixels."""
    precision: float
    """Share of the pixels found that are of the class."""
    recall: float
    """Share of the pixels of the class that are found."""
    ap: float
    """Average precision of pixels: area under precision over recall."""
    auroc: float
    """Area under the receiver operating characteristic of pixels."""
    boundary_iou: float
    """IoU of the inner rims of the masks."""
    instance_f1: float
    """F1 of objects, found where IoU ≥ 0.5."""
    instance_ap: float
    """Average precision of objects, found where IoU ≥ 0.5."""
    instance_f1_75: float
    """F1 of objects, found where IoU ≥ 0.75."""
    instance_ap_75: float
    """Average precision of objects, found where IoU ≥ 0.75."""
    objects: int
    """True objects."""


@dataclass(frozen=True)
class Reliability:
    """How often pixels of a predicted probability are of the class; one entry for each bin that has pixels."""

    predicted: tuple[float, ...]
    """Mean probability in the bin."""
    observed: tuple[float, ...]
    """Share of its pixels that are of the class."""
    counts: tuple[int, ...]
    """Its pixels."""
    expected_error: float
    """Mean distance of the two over all pixels, 0 … 1."""


@dataclass(frozen=True)
class EvaluationResult:
    """Scores of a model on patches."""

    part: str
    """Which patches: ``"test"``, ``"validation"``, ``"training"`` or ``"all"``."""
    threshold: float
    """A pixel is of the class where its probability is greater than this."""
    boundary_width_px: float
    """How far a rim reaches inwards."""
    overall: Scores
    """Over all patches."""
    regions: Mapping[str, Scores]
    """Over the patches of each region."""
    reliability: Reliability
    """Whether probabilities mean what they say."""

    def to_json(self) -> dict[str, Any]:
        """Return plain data; NaN is None."""
        table: dict[str, Any] = without_nan(dataclasses.asdict(self))
        return table


def parse_evaluation(table: Mapping[str, Any]) -> EvaluationResult:
    """Read what `EvaluationResult.to_json` returned.

    Args:
        table: Plain data.
    """
    reliability = table["reliability"]
    curve = {name: tuple(reliability[name]) for name in ("predicted", "observed", "counts")}
    return EvaluationResult(
        part=table["part"],
        threshold=table["threshold"],
        boundary_width_px=table["boundary_width_px"],
        overall=_scores(table["overall"]),
        regions={name: _scores(entry) for name, entry in table["regions"].items()},
        reliability=Reliability(**curve, expected_error=reliability["expected_error"]),
    )


def write_evaluation(folder: Path, result: EvaluationResult) -> list[Path]:
    """Write ``scores.json``, ``scores.csv`` (a row for each region, and ``all``) and ``reliability.csv``.

    Args:
        folder: Gets the files; created if missing.
        result: What to write.

    Returns:
        The files.

    Raises:
        OutputError: They cannot be written.
    """
    names = [each.name for each in dataclasses.fields(Scores)]
    rows = [{"region": region, **dataclasses.asdict(scores)} for region, scores in result.regions.items()]
    rows.append({"region": "all", **dataclasses.asdict(result.overall)})
    curve = result.reliability
    points = [
        dict(zip(("predicted", "observed", "pixels"), point, strict=True))
        for point in zip(curve.predicted, curve.observed, curve.counts, strict=True)
    ]
    files = [folder / "scores.csv", folder / "reliability.csv", folder / "scores.json"]
    write_csv(files[0], ["region", *names], rows)
    write_csv(files[1], ["predicted", "observed", "pixels"], points)
    write_json(files[2], result.to_json())
    return files


def write_csv(path: Path, names: list[str], rows: list[dict[str, Any]]) -> None:
    """Write a CSV file; it has its name when it is complete.

    Args:
        path: The file.
        names: Of the columns.
        rows: By name.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def _scores(table: Mapping[str, Any]) -> Scores:
    values: dict[str, Any] = {name: float("nan") if value is None else value for name, value in table.items()}
    return Scores(**values)
