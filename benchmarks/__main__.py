"""``python -m benchmarks [--gpu] [NAME …]``: run the benchmarks whose names begin so, all if none is named."""

import argparse
import importlib
import sys
from pathlib import Path

from benchmarks.harness import REGISTRY, Row
from benchmarks.report import machine_facts, write_rows

FOLDER = Path(__file__).parent
GPU_PREFIX = "gpu"
"""Benchmarks with such names need a CUDA device; they are left out unless asked for."""
_TOOLS = {"__init__", "__main__", "harness", "memory", "ray_stages", "ray_store", "report"}


def main() -> int:
    """Run and write; the exit code is 1 if a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of names")
    parser.add_argument("--gpu", action="store_true", help="run what needs a CUDA device, and nothing else")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--results", type=Path, default=FOLDER / "RESULTS.md")
    options = parser.parse_args()
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem not in _TOOLS:
            importlib.import_module(f"benchmarks.{path.stem}")
    names = [name for name in REGISTRY if name.startswith(GPU_PREFIX) == options.gpu]
    if options.names:
        names = [name for name in names if name.startswith(tuple(options.names))]
    if options.list or not names:
        print("\n".join(names) or "no benchmark has such a name")
        return 0 if names else 2
    machine = machine_facts()
    kept = True
    for name in names:
        result = REGISTRY[name]()
        rows = [result] if isinstance(result, Row) else list(result)
        for row in rows:
            kept &= row.holds
            bound = f"{'at most' if row.at_most else 'at least'} {row.limit:g}: " if row.limit is not None else ""
            mark = ("holds" if row.holds else "MISSED") if bound else "no limit"
            print(
                f"{name:<28} {row.what} | {row.peer} | ours {row.ours}, peer {row.theirs}, ratio {row.ratio:.3g} "
                f"({bound}{mark}) {row.note}",
                flush=True,
            )
        write_rows({name: rows}, options.results, machine=machine)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
