"""The peak memory of a piece of work, in a process of its own."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


def peak_bytes(module: str, function: str, *arguments: str) -> int:
    """Memory at the peak of a piece of work above what its process held before.

    Args:
        module: Module in this folder.
        function: Function in it that makes the inputs and returns the work, a function without arguments; the work is
            done once on small inputs of the same kind before, if the function takes care of it.
        *arguments: Handed to `function`, as text.
    """
    done = subprocess.run(
        [sys.executable, str(_FOLDER / "memory.py"), module, function, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{module}.{function} failed:\n{done.stderr}")
    return int(done.stdout.splitlines()[-1])


def resident_bytes() -> int:
    """Memory that this process holds now (anonymous and file pages)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def measure(work: Callable[[], Any]) -> int:
    """Run `work` while a thread watches the memory of this process."""
    before = peak = resident_bytes()
    finished = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not finished.is_set():
            peak = max(peak, resident_bytes())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    kept = work()
    peak = max(peak, resident_bytes())
    finished.set()
    watcher.join()
    del kept
    return peak - before


if __name__ == "__main__":
    import importlib

    sys.path.insert(0, str(_FOLDER.parent))
    maker = getattr(importlib.import_module(f"benchmarks.{sys.argv[1]}"), sys.argv[2])
    print(measure(maker(*sys.argv[3:])))
