"""The table of results, with the facts of the machine; rows that were not measured this time are kept."""

import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from benchmarks.harness import Row

_LIBRARIES = (
    "numpy",
    "numba",
    "scipy",
    "xarray",
    "xarray-spatial",
    "scikit-image",
    "opencv-python-headless",
    "rasterio",
    "torch",
    "monai",
    "geopandas",
)

_INTRODUCTION = """# Benchmarks

Written by `make bench` (see README.md). Each row was measured on the machine that it names; ours and the peer in the same process, in
turns, their results compared before.
"""


def machine_facts() -> str:
    """Processor, cores that this process may use, memory, and the accelerator if there is one."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    flags = ""
    if info.exists():
        lines = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        cleaned = {key.strip(): value.strip() for key, value in lines.items()}
        processor = cleaned.get("model name", processor)
        flags = ", ".join(flag for flag in ("avx512f", "avx512_bf16", "amx_bf16") if flag in cleaned.get("flags", ""))
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{processor} ({flags}), {len(os.sched_getaffinity(0))} cores, {memory_gb:.0f} GB, Python {platform.python_version()}"


def write_rows(measured: dict[str, Sequence[Row]], path: Path, *, machine: str) -> None:
    """Write the table; benchmarks that are not in `measured` keep the rows that they have in the file's twin.

    Args:
        measured: Name of each benchmark → its rows.
        path: The Markdown file; its twin with the ending ``.json`` holds the same for the next time.
        machine: What `machine_facts` says, or the accelerator.
    """
    twin = path.with_suffix(".json")
    table = json.loads(twin.read_text()) if twin.exists() else {}
    today = date.today().isoformat()  # noqa: DTZ011 - the day of the machine is meant
    for name, rows in measured.items():
        table[name] = {
            "machine": machine,
            "date": today,
            "libraries": {name: _version(name) for name in _LIBRARIES},
            "rows": [{**vars(row), "holds": row.holds} for row in rows],
        }
    twin.write_text(json.dumps(table, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    path.write_text(_markdown(table))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _markdown(table: dict[str, dict[str, object]]) -> str:
    lines = [_INTRODUCTION]
    machines = sorted({str(entry["machine"]) for entry in table.values()})
    for number, machine in enumerate(machines, start=1):
        lines.append(f"Machine {number}: {machine}  ")
    lines += [
        "",
        "| benchmark | what | peer | ours | peer's | ratio | limit | holds | results, remarks | machine, date |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, entry in sorted(table.items()):
        where = f"{machines.index(str(entry['machine'])) + 1}, {entry['date']}"
        for row in entry["rows"]:  # type: ignore[attr-defined]
            bound = "–" if row["limit"] is None else f"{'≤' if row['at_most'] else '≥'} {row['limit']:g}"
            holds = "–" if row["limit"] is None else "yes" if row["holds"] else "**no**"
            lines.append(
                f"| {name} | {row['what']} | {row['peer']} | {row['ours']} | {row['theirs']} | {row['ratio']:.3g} | {bound} | "
                f"{holds} | {row['note']} | {where} |"
            )
    newest = max(table.values(), key=lambda entry: str(entry["date"]))
    versions = ", ".join(f"{name} {version}" for name, version in sorted(newest["libraries"].items()))  # type: ignore[attr-defined]
    return "\n".join([*lines, "", f"Libraries: {versions}.", ""])
