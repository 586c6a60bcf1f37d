"""Prints how fast the metrics are beside MONAI, surface-distance and the autoPET script, on whole-body masks.

python Testing/benchmarks/metric_speed.py [--runs N] [--strokes N] [--place anywhere|body] [--output FILE.json]

All of one case runs in this process and in turns, ours and the others', so that the ratios compare like with like on
whatever machine this is; medians. MONAI and surface-distance are optional (`pip install -e .[peers]`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from masks import Pair, whole_body
from memory import extra_memory_mb
from peers import PEERS
from scipy import ndimage
from strokes import live_times

from petctfusion.metrics import compare_masks, match_lesions

TARGETS = {
    "MONAI Dice + HD95": {1: 60, 10: 60, 50: 20},
    "surface-distance, distances alone": {1: 2, 10: 20, 50: 20},
}
"""What the project holds itself to: times faster, by number of lesions."""
Jobs = dict[str, Callable[[], Any]]


def ours(pair: Pair) -> Jobs:
    def everything() -> tuple[float, ...]:
        found = compare_masks(pair.a, pair.b, pair.spacing)
        return found.dice, found.hd95_mm, found.assd_mm, found.nsd, found.surfel.hausdorff_mm(95)

    def voxels_only() -> tuple[float, ...]:
        found = compare_masks(pair.a, pair.b, pair.spacing, surfels=False)
        return found.dice, found.hd95_mm, found.assd_mm, found.nsd

    return {"ours": everything, "ours, voxel surfaces only": voxels_only}


def floor(pair: Pair) -> Jobs:
    """What it costs only to look at the masks."""
    return {
        "reading both masks once": lambda: (np.count_nonzero(pair.a), np.count_nonzero(pair.b)),
        "numpy a & b": lambda: np.count_nonzero(pair.a & pair.b),
    }


def others(pair: Pair) -> Jobs:
    jobs: Jobs = {}
    installed = {peer.name for peer in PEERS if not peer.missing()}
    if "MONAI" in installed:
        import torch
        from monai import metrics

        one, two = (torch.from_numpy(m)[None, None] for m in (pair.a, pair.b))

        def monai() -> tuple[float, float]:
            distance = metrics.compute_hausdorff_distance(one, two, True, percentile=95, spacing=list(pair.spacing))
            return float(metrics.compute_dice(one, two)), float(distance)

        jobs["MONAI Dice + HD95"] = monai
    if "surface-distance" in installed:
        import surface_distance as library

        def distances() -> dict[str, Any]:
            return dict(library.compute_surface_distances(pair.b, pair.a, pair.spacing))

        def numbers() -> tuple[float, ...]:
            found = distances()
            return (
                library.compute_dice_coefficient(pair.b, pair.a),
                library.compute_robust_hausdorff(found, 95),
                library.compute_surface_dice_at_tolerance(found, 2.0),
                *library.compute_average_surface_distance(found),
            )

        jobs["surface-distance, distances alone"] = distances
        jobs["surface-distance, Dice + HD95 + NSD + ASD"] = numbers
    return jobs


def lesion_jobs(pair: Pair) -> tuple[Jobs, Jobs]:
    """FPV and FNV with the lesion table, and the loop over whole volumes that the challenge's script is."""

    def loop() -> tuple[float, float]:
        return _unmatched_ml(pair.a, pair.b, pair.spacing), _unmatched_ml(pair.b, pair.a, pair.spacing)

    def table() -> tuple[float, float]:
        found = match_lesions(pair.a, pair.b, pair.spacing)
        return found.fpv_ml, found.fnv_ml

    def volumes() -> tuple[float, float]:
        found = match_lesions(pair.a, pair.b, pair.spacing, distances=False)
        return found.fpv_ml, found.fnv_ml

    return {"ours": table, "ours, without HD95 of each lesion": volumes}, {"autoPET's loop": loop}


def _unmatched_ml(mask: np.ndarray, other: np.ndarray, spacing: tuple[float, ...]) -> float:
    """Volume of the 18-connected components of `mask` without a voxel in `other`, one whole-volume pass for each."""
    try:
        import cc3d

        labels = cc3d.connected_components(mask.astype(np.uint8), connectivity=18)
    except ImportError:
        labels = ndimage.label(mask, ndimage.generate_binary_structure(3, 2))[0]
    voxels, second = 0, other.astype(np.uint8)
    for number in range(1, int(labels.max()) + 1):
        component = (labels == number).astype(np.uint8)
        if (component * second).sum() == 0:
            voxels += int(component.sum())
    return voxels * float(np.prod(spacing)) / 1000


def in_turns(jobs: Jobs, runs: int, slow: Jobs | None = None, slow_runs: int = 1) -> dict[str, float]:
    """Median wall time in ms of each job; `slow` ones take part in the first `slow_runs` turns only."""
    times: dict[str, list[float]] = {name: [] for name in (*jobs, *(slow or {}))}
    for job in jobs.values():
        job()
    for turn in range(runs):
        for name, job in {**jobs, **((slow or {}) if turn < slow_runs else {})}.items():
            start = time.perf_counter()
            job()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(found) for name, found in times.items()}


def same_values(pair: Pair) -> None:
    """The numbers being timed are the same numbers."""
    found, jobs = compare_masks(pair.a, pair.b, pair.spacing), others(pair)
    if "MONAI Dice + HD95" in jobs:
        np.testing.assert_allclose(jobs["MONAI Dice + HD95"](), (found.dice, found.hd95_mm), rtol=1e-4)
    if "surface-distance, distances alone" in jobs:
        theirs = jobs["surface-distance, Dice + HD95 + NSD + ASD"]()[1:3]
        np.testing.assert_allclose(theirs, (found.surfel.hausdorff_mm(95), found.surfel.nsd(2.0)), rtol=1e-6)
    (fast, slow) = lesion_jobs(pair)
    np.testing.assert_allclose(fast["ours"](), slow["autoPET's loop"]())


def measured(lesions: int, arguments: argparse.Namespace) -> dict[str, Any]:
    pair = whole_body(lesions, in_body=arguments.place == "body")
    print(f"... {pair.name}: checking that the numbers are the same", file=sys.stderr, flush=True)
    same_values(pair)
    print(f"... {pair.name}: full recomputation", file=sys.stderr, flush=True)
    full = in_turns({**floor(pair), **ours(pair), **others(pair)}, arguments.runs)
    print(f"... {pair.name}: lesions", file=sys.stderr, flush=True)
    fast, slow = lesion_jobs(pair)
    found = compare_masks(pair.a, pair.b, pair.spacing)
    result: dict[str, Any] = {
        "dice": found.dice,
        "hd95_mm": found.hd95_mm,
        "full_ms": full,
        "lesions_ms": in_turns(fast, arguments.runs, slow),
        "extra_memory_mb": extra_memory_mb(pair),
    }
    print(f"... {pair.name}: {arguments.strokes} strokes", file=sys.stderr, flush=True)
    result["live_ms"] = {
        "voxel surfaces": live_times(pair, arguments.strokes, surfels=False),
        "both surfaces": live_times(pair, arguments.strokes, surfels=True),
    }
    return result


def report(results: dict[int, dict[str, Any]]) -> None:
    counts = list(results)
    columns = [f"{n} lesion{'s' * (n > 1)}" for n in counts]
    print(f"\n| ms, median | {' | '.join(columns)} |\n|---|{'---|' * len(counts)}")
    for name in results[counts[0]]["full_ms"]:
        print(f"| {name} | {' | '.join(_cell(results[n], name, TARGETS.get(name, {}).get(n)) for n in counts)} |")
    values = [f"{result['dice']:.4f}, {result['hd95_mm']:.2f} mm" for result in results.values()]
    print(f"| Dice, HD95 of the pair | {' | '.join(values)} |")
    for name in results[counts[0]]["lesions_ms"]:
        times = [r["lesions_ms"] for r in results.values()]
        cells = [f"{t[name]:.0f}" + (f" ({t[name] / t['ours']:.0f} x)" if "loop" in name else "") for t in times]
        print(f"| FPV, FNV, lesion table: {name} | {' | '.join(cells)} |")
    print(f"| extra memory, ours (MB) | {' | '.join(_memory(r['extra_memory_mb']) for r in results.values())} |")
    for name in results[counts[0]]["live_ms"]:
        times = [r["live_ms"][name] for r in results.values()]
        cells = [f"{t['median']:.2f} / {t['p95']:.1f} / {t['largest']:.0f}" for t in times]
        print(f"| a stroke, {name}: median / 95 % / largest | {' | '.join(cells)} |")


def _cell(result: dict[str, Any], name: str, target: float | None) -> str:
    times = result["full_ms"]
    ratio = times[name] / times["ours"]
    if name.startswith(("MONAI", "surface-distance")):
        return f"{times[name]:.0f} (**{ratio:.1f} x**{f', wanted {target}' if target else ''})"
    return f"{times[name]:.1f}"


def _memory(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.0f}" for name, value in values.items())


def machine() -> dict[str, Any]:
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "threads": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS",)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lesions", type=int, nargs="+", choices=(1, 10, 50), default=[1, 10, 50])
    parser.add_argument("--runs", type=int, default=7, help="turns of which the median is taken")
    parser.add_argument("--strokes", type=int, default=240, help="brush strokes per case")
    parser.add_argument("--place", choices=("anywhere", "body"), default="anywhere", help="where the lesions may lie")
    parser.add_argument("--output", type=Path, help="write everything that was measured to this JSON file")
    arguments = parser.parse_args()
    if arguments.runs < 1 or arguments.strokes < 2:
        parser.error("at least one run and two strokes are needed")
    for peer in PEERS[:2]:
        if peer.missing():
            print(f"Left out: {peer.missing()}", file=sys.stderr)
    warnings.simplefilter("ignore")
    results: dict[int, dict[str, Any]] = {}
    for count in arguments.lesions:
        results[count] = measured(count, arguments)
        if arguments.output:
            text = json.dumps({"machine": machine(), "place": arguments.place, "results": results}, indent=1)
            arguments.output.write_text(text, encoding="utf-8")
    report(results)


if __name__ == "__main__":
    main()
