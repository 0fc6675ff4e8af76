"""The optical network of the demo on a real Sentinel-2 scene, against outlines that experts drew.

Maps the chip of the Peel Plateau through ``run_local``, with a band mapping and neither elevation nor trends, and prints the
pixel IoU with the majority of the experts (at least 6 of 12), as it is. Beside it stand the two figures that say what it is
worth: a threshold on NDVI, and the single experts. The network has never seen a real slump.

The network maps the trusted area alone, so network and threshold are compared there, too. An expert is part of the majority:
the last line leaves each one out of the majority that he or she is compared with (at least 6 of the other 11).

Usage: ``python scripts/real_scene/evaluate.py [--data FOLDER] [--models FILE_OR_FOLDER] [--out FOLDER]``
"""

import argparse
import os
from pathlib import Path

import numpy as np
import rasterio
from chip import BANDS, MAJORITY, NDVI_THRESHOLD, SCENE, iou, read_chip

from darts_nextgen import RunConfig, run_local
from darts_nextgen.demo.sample import MODELS


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("DARTS_DATA"), help="folder of real data")
    parser.add_argument("--models", type=Path, default=MODELS / "optical.pt")
    parser.add_argument("--out", type=Path, default=Path("real-scene-output"))
    options = parser.parse_args()
    if options.data is None:
        parser.error("expected the folder of real data: add --data FOLDER, or set DARTS_DATA")
    scene = options.data / SCENE
    config = RunConfig(scene=(scene,), bands=BANDS, models=(options.models,), out=options.out, sensor="sentinel2")
    (row,) = run_local(config).rows
    if row.error is not None:
        raise SystemExit(f"{row.failed_stage}: {row.error}")
    with rasterio.open(row.products["binarized"]) as raster, rasterio.open(row.products["probabilities"]) as percent:
        found = raster.read(1) == 1
        trusted = percent.read(1) != percent.nodata
        probability = np.where(trusted, percent.read(1), 0)
    chip = read_chip(options.data)
    experts, majority, bare = chip.experts, chip.majority, chip.bare
    single = [iou(mask, majority) for mask in experts]
    left_out = [iou(mask, experts.sum(axis=0) - mask >= MAJORITY) for mask in experts]
    print(f"slumps found: {row.objects}, highest probability: {probability.max()} %")
    print(f"IoU with the majority of {len(experts)} experts ({majority.sum()} px): {iou(found, majority):.3f}")
    print(f"for comparison, NDVI < {NDVI_THRESHOLD}: {iou(bare, majority):.3f}")
    print(f"for comparison, the single experts: {min(single):.3f} to {max(single):.3f}")
    print(
        f"within the trusted area ({trusted.mean():.0%} of the chip, {(majority & trusted).sum()} px of the majority):"
    )
    print(f"  the network: {iou(found & trusted, majority & trusted):.3f}")
    print(f"  NDVI threshold {NDVI_THRESHOLD}: {iou(bare & trusted, majority & trusted):.3f}")
    print(f"experts against the majority of the others: {min(left_out):.3f} to {max(left_out):.3f}")


if __name__ == "__main__":
    main()
