"""Train the two models of the demo on the synthetic Arctic, as anybody trains a model with DARTS.

Scenes are made and preprocessed, `prepare_training_data` cuts them into patches, and `darts_segmentation.training.train`
trains each model by its TOML file, both side by side with one thread each. A run that was interrupted goes on where it was.

In the folder, ``tiles-<world version>/`` has the scenes, ``patches/`` what is trained on, ``full/`` and ``optical/`` the trainings, and
``models/`` what comes out: each model with its card, and with what its training took. `evaluate.py` scores them.

Usage: ``python scripts/demo_models/train.py [--models full optical] [--out FOLDER]``
"""

import argparse
import json
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import geopandas as gpd
import pandas as pd
import torch
from scenes import PREPARATION, TRAIN_SCENES, outlines_file, places, write_sample

from darts_segmentation.training import prepare_training_data, read_training_config, resume, train
from darts_utils.logging import configure_logging
from darts_utils.synthetic import WORLD_VERSION
from darts_utils.tile_io import read_header

COMMAND = "make demo-models"
NAMES = ("full", "optical")
RECIPES = Path(__file__).resolve().parent
PROCESSES = 2


def prepare(folder: Path) -> Path:
    """Make all scenes and cut them into patches, as far as they are not there; return the folder of the patches."""
    scenes = list(places())
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        tiles = list(pool.map(partial(write_sample, folder=folder / f"tiles-{WORLD_VERSION}"), scenes))
    outlines = pd.concat([gpd.read_parquet(outlines_file(tile)) for tile in tiles], ignore_index=True)
    splits = {str(read_header(tile).attrs["tile_id"]): place.split for tile, place in zip(tiles, scenes, strict=True)}
    report = prepare_training_data(tiles, outlines, folder / "patches", config=PREPARATION, regions=splits)
    if report.failed:
        raise SystemExit(f"{report.failed[0].scene}: {report.failed[0].error}")
    return folder / "patches"


def train_one(name: str, patches: Path, folder: Path) -> None:
    """Train one model, or go on with its training; keep what it took."""
    configure_logging()
    torch.set_num_threads(1)
    wall, cpu = time.perf_counter(), time.process_time()
    config = read_training_config(RECIPES / f"{name}.toml")
    is_begun = (folder / name / "run.json").is_file()
    if is_begun and read_training_config(folder / name / "config.toml") != config:
        raise SystemExit(f"'{folder / name}' was begun with other options than those of {name}.toml now: remove it")
    result = resume(folder / name) if is_begun else train(patches, folder / name, config=config)
    record = {
        "command": COMMAND,
        "seed": config.seed,
        "world_version": WORLD_VERSION,
        "train_scenes": TRAIN_SCENES,
        "training_seconds": round(time.perf_counter() - wall),
        "training_cpu_seconds": round(time.process_time() - cpu),
        "seconds_since": "a resume" if is_begun else "the start",
        "best_epoch": result.epochs,
        "validation_pixel_iou": round(result.scores["validation"].overall.iou, 4),
    }
    models = folder / "models"
    models.mkdir(exist_ok=True)
    for path in (result.model, result.card):
        shutil.copyfile(path, models / path.name)
    (models / f"{name}.training.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{name}: {json.dumps(record)}", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--out", type=Path, default=Path("demo-models-output"))
    options = parser.parse_args()
    configure_logging()
    start = time.perf_counter()
    patches = prepare(options.out)
    print(f"patches of {TRAIN_SCENES} training scenes made in {time.perf_counter() - start:.0f} s", flush=True)
    context = get_context("spawn")
    runs = [context.Process(target=train_one, args=(name, patches, options.out)) for name in options.models]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    if any(run.exitcode != 0 for run in runs):
        raise SystemExit("a training failed: see above; the same command goes on where it was")


if __name__ == "__main__":
    main()
