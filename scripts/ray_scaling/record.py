"""Record what the stages of a real run took for each tile, for `simulate.py`.

Usage: ``python scripts/ray_scaling/record.py RESULTS.parquet --where "2 cores of an AMD EPYC, 1024 x 1024 px"``
"""

import argparse
import json
from pathlib import Path

from darts_nextgen import read_report

PROFILE = Path(__file__).parent / "profile.json"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results table of a run")
    parser.add_argument("--where", required=True, help="machine and size of the scenes, for the reader")
    parser.add_argument("--profile", type=Path, default=PROFILE)
    options = parser.parse_args()
    tiles = [
        {stage: round(value, 4) for stage, value in row.seconds.items()} for row in read_report(options.results).done
    ]
    lines = ",\n  ".join(json.dumps(tile) for tile in tiles)
    options.profile.write_text(
        f'{{\n "where": {json.dumps(options.where, ensure_ascii=False)},\n "seconds": [\n  {lines}\n ]\n}}\n'
    )
    print(f"{options.profile}: {len(tiles)} tiles")


if __name__ == "__main__":
    main()
