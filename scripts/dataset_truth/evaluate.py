"""A data set of the synthetic Arctic against its truth: six overlapping scenes a year, three years, mapped by the pipeline.

Writes the scenes, maps them with the demo's models, assembles Levels 1 to 3, and prints how many objects and slumps are
found and right, whether ids, the split and the merger are right, and how far off areas and growth rates are.

Usage: ``python scripts/dataset_truth/evaluate.py [--seed N] [--work FOLDER] [--json FILE]``
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import compare
from archive import map_archive, truth_table, write_archive

from darts_export.dataset import merge_years, observe, read_archive
from darts_export.dataset.tracking import track
from darts_utils.synthetic import WORLD_VERSION
from darts_utils.synthetic.series import SyntheticSeries, synthetic_series

SEED = 200_007
"""In no split of the scenes that train, validate and test the demo's models; the first from 200,000 on in which clouds leave the slump that
splits and those that merge to be seen whole, before and after."""


def scores_of(results: Path, series: SyntheticSeries) -> dict[str, dict[str, float]]:
    """Assemble the results of a run, and compare every level with the truth."""
    archive = read_archive([results])
    observed = observe(archive.objects, archive.coverage)
    yearly = merge_years(observed, archive.coverage)
    tracks, unions = track(yearly), track(yearly, footprint="union")
    truth = compare.Truth(truth_table(series.truth), series.split, series.merger)
    right, in_unions = compare.with_truth(tracks, truth), compare.with_truth(unions, truth)
    return {
        "level 1": compare.level_1(observed, archive.coverage, truth),
        "level 2": compare.level_2(yearly, archive.coverage, truth),
        "level 3": compare.level_3(tracks, right, archive.coverage, truth),
        "events": compare.events(tracks, right, truth),
        "areas of median footprints": compare.areas(right),
        "areas of unions": compare.areas(in_unions),
        "growth of median footprints": compare.growth(tracks, right, truth),
        "growth of unions": compare.growth(unions, in_unions, truth),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--work", type=Path, help="keep scenes and results here, and go on from what is there")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    began = time.monotonic()
    series = synthetic_series(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work if options.work is not None else Path(temporary)
        write_archive(series, folder)
        map_archive(folder, folder / "results")
        scores = scores_of(folder / "results", series)
    for name, row in scores.items():
        print(name)
        for key, value in row.items():
            print(f"  {key:36s} {value:10.3f}" if isinstance(value, float) else f"  {key:36s} {value:6d}")
    record = {"world_version": WORLD_VERSION, "seed": options.seed, "scores": scores}
    if options.json is not None:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    print(f"{len(series.scenes)} scenes in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
