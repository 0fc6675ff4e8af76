"""Scores of the demo's models on held-out synthetic scenes, look-alikes on.

Prints pixel IoU (probability above 0.5 within the quality mask) of each model and of the ensemble, and precision, recall and
F1 of whole objects (IoU with a known slump of at least 0.5), pooled over the scenes. With ``--against`` two sets of models
map the same scenes, and ``--replace`` puts the first in the place of the second if it is better: the ensemble's pixel IoU is
higher and its F1 of objects not lower.

Beside that it prints the pixel IoU on a few of the scenes as they are, without stripes, without dark scarps, and without
either: all else in them is the same, so a model that leans on such marks shows it.

Usage: ``python scripts/demo_models/evaluate.py [--models FOLDER] [--against FOLDER] [--replace] [--write]``
"""

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from scenes import COUNTERFACTUAL_SCENES, TEST_SCENES
from scoring import Scores, counterfactual_scores, held_out_scores

from darts_ensemble import Ensemble
from darts_nextgen.demo.sample import MODELS
from darts_utils.synthetic import WORLD_VERSION

LEAST = {"pixel_iou_all": 0.80, "object_f1_all": 0.85}
"""What the ensemble has to reach."""

FILES = (*(f"{name}.{end}" for name in ("full", "optical") for end in ("pt", "md", "training.json")), "scores.json")
"""What is put in the place of the models before."""


def is_better(new: Mapping[str, float], old: Mapping[str, float]) -> bool:
    """Whether the scores of an ensemble are better than those of another."""
    return new["pixel_iou_all"] > old["pixel_iou_all"] and new["object_f1_all"] >= old["object_f1_all"]


def print_table(scores: Mapping[str, Scores]) -> None:
    """A line for each score, a column for each set of models."""
    names = list(scores)
    first = scores[names[0]]
    for model, row in first.items():
        print(f"{model:36s}" + "".join(f"{name:>10s}" for name in names))
        for key in row:
            values = (each.get(model, {}).get(key, float("nan")) for each in scores.values())
            print(f"  {key:34s}" + "".join(f"{value:10.3f}" for value in values))


def main() -> None:
    """Command line; exits with 1 if the ensemble misses its mark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of full.pt and optical.pt")
    parser.add_argument("--against", type=Path, help="folder of models to compare with, on the same scenes")
    parser.add_argument(
        "--replace", action="store_true", help="put the models in the place of those of --against, if better"
    )
    parser.add_argument("--scenes", type=int, default=TEST_SCENES)
    parser.add_argument("--counterfactual-scenes", type=int, default=COUNTERFACTUAL_SCENES, help="0 for none")
    parser.add_argument("--write", action="store_true", help="write scores.json beside the models")
    options = parser.parse_args()
    if options.replace and options.against is None:
        parser.error("expected models to replace: add --against FOLDER")
    folders = {"models": options.models, **({"against": options.against} if options.against is not None else {})}
    ensembles = {
        name: Ensemble.load([folder / "full.pt", folder / "optical.pt"], device="cpu")
        for name, folder in folders.items()
    }
    scores = held_out_scores(ensembles, options.scenes)
    print_table(scores)
    reached = {name: scores["models"]["ensemble"][name] >= least for name, least in LEAST.items()}
    for name, least in LEAST.items():
        print(f"mark for the ensemble's {name}: {least}: {'reached' if reached[name] else 'MISSED'}", flush=True)
    without: Scores = {}
    if options.counterfactual_scenes:
        without = counterfactual_scores(ensembles["models"], options.counterfactual_scenes)
        print(f"pixel IoU on the first {options.counterfactual_scenes} scenes")
        for name, row in without.items():
            print(f"  {name:28s} " + "  ".join(f"{key} {value:.3f}" for key, value in row.items()))
    if options.write or options.replace:
        record = {
            "world_version": WORLD_VERSION,
            "test_scenes": options.scenes,
            "scores": scores["models"],
            "counterfactual_scenes": options.counterfactual_scenes,
            "counterfactual_pixel_iou": without,
        }
        (options.models / "scores.json").write_text(json.dumps(record, indent=1) + "\n")
    if options.against is not None:
        better = is_better(scores["models"]["ensemble"], scores["against"]["ensemble"])
        print(f"the models are {'better than' if better else 'NOT better than'} those they are compared with")
        if options.replace and better:
            for name in FILES:
                shutil.copyfile(options.models / name, options.against / name)
            print(f"'{options.against}' has the new models")
    raise SystemExit(0 if all(reached.values()) else 1)


if __name__ == "__main__":
    main()
