"""The optical model of the demo, taught the slumps of one half of a real scene and tried on the other half.

Four folds: left and right half of the chip of the Peel Plateau, top and bottom half; each half is the test once, and its other
half the training. No pixel of a test half is seen before the test, neither as label nor as input: network and threshold map
the half alone. A third of the training half, at one of its ends and beyond a gap, tells which epoch is best; the end is the one
whose share of the half's slumps is nearer to a third. Options were fixed before the first test (``fine_tuning.toml``) and are
those of all folds.

Label is the majority of the experts: at least 6 of 12. Objects hang together over sides and corners; those of fewer than
32 pixels, found or known, do not count (the smallest objects of DARTS' own products).

Beside each other stand the synthetic model as it is, the same one fine-tuned, on request the same network trained from scratch
with the same options; then NDVI < 0.2, and what two experts have in common on the average, over the same pixels.

Usage: ``python scripts/real_scene/cross_validate.py [--data FOLDER] [--start FILE] [--from-scratch] [--out FOLDER]``
"""

import argparse
import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio.features
import shapely.geometry
import xarray as xr
from chip import MAJORITY, NDVI_THRESHOLD, Chip, Window, iou, read_chip

from darts_nextgen.demo.sample import MODELS
from darts_postprocessing import PostprocessingConfig
from darts_segmentation import Segmenter
from darts_segmentation.training import (
    PreparationConfig,
    TrainingConfig,
    prepare_training_data,
    read_training_config,
    train,
)
from darts_train_utils.metrics import score_instances
from darts_train_utils.patch_store import PatchStore
from darts_train_utils.splits import Patches, check_split
from darts_utils.grids import geobox_of
from darts_utils.inference import InferenceConfig, read_checkpoint
from darts_utils.inference.normalization import parse_normalization
from darts_utils.objects import label_objects

OPTIONS = Path(__file__).with_name("fine_tuning.toml")
PREPARATION = PreparationConfig(patch_px=64, overlap_px=48, outside="ignore")
GAP_PX = 10
VALIDATION_SHARE = 1 / 3
TEST = InferenceConfig(patch_px=PREPARATION.patch_px, overlap_px=PREPARATION.patch_px // 2)
SMALLEST_PX = PostprocessingConfig.min_object_px


@dataclasses.dataclass(frozen=True)
class Fold:
    """A test half, and what is learnt from; all in pixels of the chip."""

    name: str
    """Of the test half."""
    test: Window
    """The half that is mapped."""
    training: Window
    """Patches to learn from."""
    validation: Window
    """Patches that tell which epoch is best."""


def folds(majority: np.ndarray) -> list[Fold]:
    """Make the four folds; only the end for validation depends on labels, and only on those of the training half."""
    height, width = majority.shape
    all_rows, all_columns = slice(0, height), slice(0, width)
    halves: dict[str, tuple[Window, Window]] = {
        "left": ((all_rows, slice(0, width // 2)), (all_rows, slice(width // 2, width))),
        "right": ((all_rows, slice(width // 2, width)), (all_rows, slice(0, width // 2))),
        "top": ((slice(0, height // 2), all_columns), (slice(height // 2, height), all_columns)),
        "bottom": ((slice(height // 2, height), all_columns), (slice(0, height // 2), all_columns)),
    }
    return [Fold(name, test, *_split_half(majority, rest)) for name, (test, rest) in halves.items()]


def _split_half(majority: np.ndarray, half: Window) -> tuple[Window, Window]:
    """Training and validation window of a half, along its longer edge."""
    lengths = [part.stop - part.start for part in half]
    axis = int(np.argmax(lengths))
    length = lengths[axis]
    count = round(length * VALIDATION_SHARE)
    along = majority[half].sum(axis=1 - axis)
    at_start, at_end = (
        abs(along[part].sum() / along.sum() - VALIDATION_SHARE) for part in (slice(count), slice(-count, None))
    )
    sides = [
        (slice(count + GAP_PX, length), slice(0, count)),
        (slice(0, length - count - GAP_PX), slice(length - count, length)),
    ]
    training, validation = sides[0] if at_start < at_end else sides[1]

    def window(part: slice) -> Window:
        whole = list(half)
        whole[axis] = slice(half[axis].start + part.start, half[axis].start + part.stop)
        return whole[0], whole[1]

    return window(training), window(validation)


def prepare(chip: Chip, fold: Fold, folder: Path) -> None:
    """Write the patches of a fold, and make sure that none of them shares a pixel with the test half."""
    parts = {f"peel-{side}": side for side in ("training", "validation")}
    tiles = [window_of(chip.tile, getattr(fold, side)).assign_attrs(tile_id=name) for name, side in parts.items()]
    report = prepare_training_data(
        tiles, polygons_of(chip.majority, chip.tile), folder, config=PREPARATION, regions=parts
    )
    if report.failed:
        raise SystemExit(report.failed[0].error)
    store = PatchStore(folder)
    box = geobox_of(window_of(chip.tile, fold.test)).boundingbox
    with_test = Patches(
        [*store.patches.scenes, "test"],
        [*store.patches.regions, "test"],
        [*store.patches.crs, str(geobox_of(chip.tile).crs)],
        np.vstack([store.patches.bounds, [box.left, box.bottom, box.right, box.top]]),
        np.append(store.patches.positive_shares, 0.0),
    )
    sides = [
        [row for row, region in enumerate(with_test.regions) if region == side]
        for side in ("training", "validation", "test")
    ]
    check_split(with_test, [np.array(rows) for rows in sides])


def window_of(tile: xr.Dataset, window: Window) -> xr.Dataset:
    """Cut a window out of a tile."""
    return tile.isel(y=window[0], x=window[1])


def polygons_of(mask: np.ndarray, tile: xr.Dataset) -> gpd.GeoDataFrame:
    """Outlines of a mask, along the pixels' edges."""
    grid = geobox_of(tile)
    shapes = rasterio.features.shapes(mask.astype("uint8"), mask=mask, transform=grid.affine)
    return gpd.GeoDataFrame(geometry=[shapely.geometry.shape(shape) for shape, _ in shapes], crs=str(grid.crs))


def map_half(model: Path, half: xr.Dataset) -> np.ndarray:
    """Probabilities of a model over a half, which is all that it sees."""
    probabilities: np.ndarray = Segmenter.load(model, device="cpu").inference(half, options=TEST).probabilities.values
    return probabilities


def scores(found: np.ndarray, known: np.ndarray) -> dict[str, float]:
    """IoU of the pixels, F1 of the objects at IoU 0.5."""
    large = [large_objects(mask).astype("uint8") for mask in (found, known)]
    (instances,) = score_instances([large[0].astype("float32")], [large[1]], iou_thresholds=[0.5])
    return {"iou": iou(found, known), "instance_f1": instances.f1}


def large_objects(mask: np.ndarray) -> np.ndarray:
    """The mask without objects of fewer than `SMALLEST_PX` pixels."""
    objects, _ = label_objects(mask)
    large: np.ndarray = mask & (np.bincount(objects.ravel())[objects] >= SMALLEST_PX)
    return large


def expert_scores(chip: Chip, window: Window) -> dict[str, float]:
    """Mean over all pairs of experts, one for what is found and the other for what is known."""
    masks = [mask[window] for mask in chip.experts]
    pairs = [scores(one, other) for one, other in combinations(masks, 2)]
    return {name: float(np.nanmean([pair[name] for pair in pairs])) for name in ("iou", "instance_f1")}


def run_fold(
    chip: Chip, fold: Fold, *, start: Path, config: TrainingConfig, out: Path, from_scratch: bool
) -> dict[str, np.ndarray]:
    """Train on one half, and map the other; a mask of the test half by method."""
    shutil.rmtree(out, ignore_errors=True)
    prepare(chip, fold, out / "patches")
    models = {
        "synthetic model, as it is": start,
        "fine-tuned": train(out / "patches", out / "fine-tuned", config=config, start=start).model,
    }
    if from_scratch:
        models["from scratch"] = train(out / "patches", out / "scratch", config=_untaught(config, start)).model
    half = window_of(chip.tile, fold.test)
    masks = {name: map_half(model, half) > PostprocessingConfig.threshold for name, model in models.items()}
    return {**masks, f"NDVI < {NDVI_THRESHOLD}": chip.bare[fold.test]}


def _untaught(config: TrainingConfig, start: Path) -> TrainingConfig:
    """The same training, of the network and the scaling of a model but without its weights."""
    origin = read_checkpoint(start)
    return dataclasses.replace(
        config,
        network=origin.config["model"],
        inputs=origin.input_combination,
        normalization=parse_normalization(origin.config, variables=origin.input_combination).scalings,
    )


def print_table(table: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """A line for each method, two columns for each fold."""
    names = list(table)
    print(f"{'IoU / F1 of objects':28s}" + "".join(f"{name:>16s}" for name in names))
    for method in table[names[0]]:
        cells = (f"{row[method]['iou']:.3f} / {row[method]['instance_f1']:.3f}" for row in table.values())
        print(f"{method:28s}" + "".join(f"{cell:>16s}" for cell in cells))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("DARTS_DATA"), help="folder of real data")
    parser.add_argument(
        "--start", type=Path, default=MODELS / "optical.pt", help="model file that fine-tuning begins with"
    )
    parser.add_argument("--out", type=Path, default=Path("real-scene-output") / "cross-validation")
    parser.add_argument(
        "--from-scratch", action="store_true", help="also train the network from scratch: twice the time"
    )
    options = parser.parse_args()
    if options.data is None:
        parser.error("expected the folder of real data: add --data FOLDER, or set DARTS_DATA")
    chip, config = read_chip(Path(options.data)), read_training_config(OPTIONS)
    majority = chip.majority
    table: dict[str, dict[str, dict[str, float]]] = {}
    whole: dict[str, dict[str, np.ndarray]] = {}
    for fold in folds(majority):
        masks = run_fold(
            chip,
            fold,
            start=options.start,
            config=config,
            out=options.out / fold.name,
            from_scratch=options.from_scratch,
        )
        pair = "left | right" if fold.name in ("left", "right") else "top | bottom"
        for method, mask in masks.items():
            whole.setdefault(pair, {}).setdefault(method, np.zeros_like(majority))[fold.test] = mask
        table[fold.name] = {method: scores(mask, majority[fold.test]) for method, mask in masks.items()}
        table[fold.name]["two experts, mean"] = expert_scores(chip, fold.test)
        print_table({fold.name: table[fold.name]})
    everywhere = (slice(None), slice(None))
    for pair, masks in whole.items():
        table[pair] = {method: scores(mask, majority) for method, mask in masks.items()}
        table[pair]["two experts, mean"] = expert_scores(chip, everywhere)
    print(
        f"\nLabel: at least {MAJORITY} of {len(chip.experts)} experts, {majority.sum()} px. Columns: the test half; both halves."
    )
    print_table(table)
    (options.out / "scores.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
