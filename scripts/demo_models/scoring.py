"""What models find in synthetic scenes against what is there: pixels and objects, pooled over scenes.

Every scene goes through the public functions: preprocess, inference of the ensemble with its members, postprocess.
"""

import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from scenes import IGNORE, label_of, preprocessed

from darts_ensemble import Ensemble
from darts_postprocessing import PostprocessingConfig, postprocess
from darts_utils.errors import DartsWarning
from darts_utils.objects import label_objects
from darts_utils.synthetic import SceneSpec, SyntheticScene, scene_specs

THRESHOLD = PostprocessingConfig.threshold
SMALLEST_PX = PostprocessingConfig.min_object_px
MATCH_IOU = 0.5
COUNTERFACTUALS: dict[str, dict[str, bool]] = {
    "as they are": {},
    "without stripes": {"stripes": False},
    "without dark scarps": {"scarps": False},
    "without either": {"stripes": False, "scarps": False},
}
"""What is left out of the same scenes; a model that leans on such marks shows it."""

Scores = dict[str, dict[str, float]]
"""By model and by name of the score."""


def pixel_counts(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Pixels in the intersection and in the union."""
    counts = label != IGNORE
    found, truth = probability > THRESHOLD, label == 1
    return np.array([(found & truth & counts).sum(), ((found | truth) & counts).sum()])


def object_counts(found: np.ndarray, slumps: np.ndarray, trusted: np.ndarray) -> np.ndarray:
    """Objects found and right, objects found, slumps found, slumps; slumps that leave the trusted area do not count."""
    objects, count = label_objects(found)
    inside = [
        n for n in np.unique(slumps[slumps > 0]) if trusted[slumps == n].all() and (slumps == n).sum() >= SMALLEST_PX
    ]
    cut = set(np.unique(slumps[slumps > 0])) - set(inside)
    right = considered = 0
    hit = set()
    for number in range(1, count + 1):
        mine = objects == number
        partners = np.unique(slumps[mine & (slumps > 0)])
        overlaps = {n: (mine & (slumps == n)).sum() / (mine | (slumps == n)).sum() for n in partners}
        best = max(overlaps, key=overlaps.get, default=None)
        if best in cut:
            continue
        considered += 1
        if best is not None and overlaps[best] >= MATCH_IOU:
            right += 1
            hit.add(best)
    return np.array([right, considered, len(hit), len(inside)])


@dataclass
class Counts:
    """Pixels and objects, pooled over scenes by model and by sensor."""

    pixels: dict[tuple[str, str], np.ndarray] = field(default_factory=lambda: defaultdict(lambda: np.zeros(2, int)))
    objects: dict[str, np.ndarray] = field(default_factory=lambda: defaultdict(lambda: np.zeros(4, int)))

    def add(self, ensemble: Ensemble, scene: SyntheticScene, tile: xr.Dataset, *, sensor: str) -> None:
        """Map a scene and count what is right."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DartsWarning)
            mapped = postprocess(ensemble.inference(tile, keep_members=True))
        label = label_of(scene, mapped)
        for model in ("ensemble", *ensemble.members):
            name = "probabilities" if model == "ensemble" else f"probabilities-{model}"
            counted = pixel_counts(mapped[name].values, label)
            for group in (sensor, "all"):
                self.pixels[model, group] += counted
        counted = object_counts(
            mapped.binarized_segmentation.values == 1, scene.truth.slump_labels.values, mapped.extent.values
        )
        for group in (sensor, "all"):
            self.objects[group] += counted

    def scores(self) -> Scores:
        """Score of each model by name."""
        scores: Scores = defaultdict(dict)
        for (model, group), (intersection, union) in self.pixels.items():
            scores[model][f"pixel_iou_{group}"] = round(intersection / max(union, 1), 4)
        for group, (right, found, hit, known) in self.objects.items():
            precision, recall = right / max(found, 1), hit / max(known, 1)
            scores["ensemble"][f"object_precision_{group}"] = round(precision, 4)
            scores["ensemble"][f"object_recall_{group}"] = round(recall, 4)
            scores["ensemble"][f"object_f1_{group}"] = round(2 * precision * recall / max(precision + recall, 1e-9), 4)
        return dict(scores)


def held_out_scores(ensembles: Mapping[str, Ensemble], scenes: int) -> dict[str, Scores]:
    """Score ensembles, by name, on the same held-out scenes."""
    counts = {name: Counts() for name in ensembles}
    for spec in scene_specs("test", scenes):
        _add(counts, ensembles, spec)
    return {name: each.scores() for name, each in counts.items()}


def counterfactual_scores(ensemble: Ensemble, scenes: int) -> Scores:
    """Pixel IoU by model on the first scenes as they are, and without what is only painted on the ground."""
    found = {}
    for name, switches in COUNTERFACTUALS.items():
        counts = Counts()
        for spec in scene_specs("test", scenes):
            _add({"": counts}, {"": ensemble}, spec, **switches)
        scores = counts.scores()
        found[name] = {
            f"{model}_{group}": row[f"pixel_iou_{group}"]
            for model, row in scores.items()
            for group in ("planetscope", "sentinel2", "all")
            if f"pixel_iou_{group}" in row
        }
    return found


def _add(counts: Mapping[str, Counts], ensembles: Mapping[str, Ensemble], spec: SceneSpec, **switches: bool) -> None:
    """Make a scene once and let all ensembles map it."""
    scene = spec.make(**switches)
    tile = preprocessed(scene)
    for name, ensemble in ensembles.items():
        counts[name].add(ensemble, scene, tile, sensor=spec.sensor)
