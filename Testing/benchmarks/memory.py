"""Extra memory of one comparison: how far a fresh process grows over the masks it already holds."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
from masks import Pair

MB = 1024 * 1024


def extra_memory_mb(pair: Pair) -> dict[str, float]:
    """Peak of the resident memory above the level before the call ("rss"), and numpy's own peak ("allocated")."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{name}.npy" for name in "ab"]
        for file, mask in zip(files, (pair.a, pair.b), strict=True):
            np.save(file, mask)
        found = {}
        for how in ("rss", "allocated"):
            command = [sys.executable, __file__, how, *map(str, files), *map(str, pair.spacing)]
            found[how] = float(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    return found


def _compare(a: np.ndarray, b: np.ndarray, spacing: tuple[float, ...]) -> tuple[float, ...]:
    from petctfusion.metrics import compare_masks

    found = compare_masks(a, b, spacing)
    return found.dice, found.hd95_mm, found.assd_mm, found.nsd


def _status_mb(field: str) -> float:
    """A line of /proc/self/status (Linux)."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return next(float(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith(field))


def _peak_mb() -> float:
    import resource

    # Kilobytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MB if sys.platform == "darwin" else peak / 1024


def main(how: str, file_a: str, file_b: str, *spacing: str) -> float:
    a, b = np.load(file_a), np.load(file_b)
    steps = tuple(float(s) for s in spacing)
    # Imports and tables are not the comparison's.
    small = np.zeros((8, 8, 8), bool)
    small[2:5, 2:5, 2:5] = True
    _compare(small, np.roll(small, 1, 0), steps)
    if how == "allocated":
        tracemalloc.start()
        _compare(a, b, steps)
        return tracemalloc.get_traced_memory()[1] / MB
    linux = Path("/proc/self/status").exists()
    before = _status_mb("VmRSS") if linux else _peak_mb()
    _compare(a, b, steps)
    return (_status_mb("VmHWM") if linux else _peak_mb()) - before


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
