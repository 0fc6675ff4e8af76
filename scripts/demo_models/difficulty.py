"""How hard the synthetic Arctic is for methods that look at single pixels.

Prints, over held-out scenes, the best pixel IoU of a threshold on NDVI and of a gradient-boosted classifier on all
variables (its threshold chosen on the held-out scenes too, in its favour).

Usage: ``python scripts/demo_models/difficulty.py [--train-scenes N] [--test-scenes N]``
"""

import argparse

import numpy as np
from scenes import FULL_INPUTS, IGNORE, TEST_SCENES, label_of, preprocessed
from sklearn.ensemble import HistGradientBoostingClassifier

from darts_utils.synthetic import SceneSpec, scene_specs

NDVI_LIMIT = 0.30
CLASSIFIER_LIMIT = 0.50
TRAIN_PIXELS = 300_000
SEED = 20_211


def pixels_of(spec: SceneSpec) -> tuple[np.ndarray, np.ndarray]:
    """``(n, variables)`` float32 and ``(n,)`` bool of the pixels that count."""
    scene = spec.make()
    tile = preprocessed(scene)
    label = label_of(scene, tile)
    values = np.stack([tile[name].values.astype("float32") for name in FULL_INPUTS], axis=-1)
    return values[label != IGNORE], label[label != IGNORE] == 1


def best_iou(score: np.ndarray, truth: np.ndarray) -> float:
    """The largest IoU that any threshold on the score reaches."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])
    found = np.arange(1, len(order) + 1)
    last_of_value = np.append(np.diff(score[order]) != 0, True)
    return float(np.max((hits / (found + truth.sum() - hits))[last_of_value]))


def main() -> None:
    """Command line; exits with 1 if the world is too easy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-scenes", type=int, default=30)
    parser.add_argument("--test-scenes", type=int, default=TEST_SCENES)
    options = parser.parse_args()
    rng = np.random.default_rng(SEED)
    drawn = []
    for spec in scene_specs("train", options.train_scenes):
        values, truth = pixels_of(spec)
        pick = rng.permutation(len(truth))[: TRAIN_PIXELS // options.train_scenes]
        drawn.append((values[pick], truth[pick]))
    classifier = HistGradientBoostingClassifier(max_iter=300, max_leaf_nodes=63, learning_rate=0.08, random_state=0)
    classifier.fit(np.concatenate([v for v, _ in drawn]), np.concatenate([t for _, t in drawn]))
    ndvi_column = FULL_INPUTS.index("ndvi")
    scores: dict[str, list[np.ndarray]] = {"ndvi": [], "classifier": []}
    truths, sensors = [], []
    for spec in scene_specs("test", options.test_scenes):
        values, truth = pixels_of(spec)
        scores["ndvi"].append(-values[:, ndvi_column])
        scores["classifier"].append(classifier.predict_proba(values)[:, 1])
        truths.append(truth)
        sensors.append(spec.sensor)
    results = {}
    for group in (*sorted(set(sensors)), "all"):
        chosen = [index for index, sensor in enumerate(sensors) if group in (sensor, "all")]
        truth = np.concatenate([truths[index] for index in chosen])
        results[group] = {
            name: best_iou(np.nan_to_num(np.concatenate([parts[index] for index in chosen]), nan=-np.inf), truth)
            for name, parts in scores.items()
        }
        print(
            f"{group:12s} slumps {truth.mean():6.2%} of the pixels   "
            f"best NDVI threshold: IoU {results[group]['ndvi']:.3f}   "
            f"per-pixel classifier: IoU {results[group]['classifier']:.3f}"
        )
    hard = results["all"]["ndvi"] <= NDVI_LIMIT and results["all"]["classifier"] <= CLASSIFIER_LIMIT
    print(f"limits: {NDVI_LIMIT} and {CLASSIFIER_LIMIT}: {'kept' if hard else 'EXCEEDED'}")
    raise SystemExit(0 if hard else 1)


if __name__ == "__main__":
    main()
