"""From an edit of a segment in MRML to its numbers: milliseconds on a whole-body pair, with the real event path.

    python Testing/benchmarks/live_mrml.py [--strokes 200]

One stroke: a ball of about 10 mm is painted or erased at the border of a lesion (the array is edited in place and the
label map says so, which costs the editor's own time nothing), then `flush` finds the changed box and the numbers are
read. CPU time is beside it because other work on the machine does not lengthen it much. The label map spans the whole
body, the worst case for finding the box.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "PETCTFusionSeg"))

from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.headless import bootHeadless
from PETCTFusionSegLib.mrml.live import LiveComparisons
from PETCTFusionSegLib.mrml.segmentations import createSegmentation
from PETCTFusionSegLib.mrml.terminology import NEOPLASM
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage

SHAPE, SPACING = (326, 400, 400), (3.0, 2.04, 2.04)


def paint(mask, centre, radius_mm, value) -> None:
    """Set a ball, cut at the border."""
    reach = [int(radius_mm / s) + 1 for s in SPACING]
    box = tuple(slice(max(0, c - r), min(n, c + r + 1)) for c, r, n in zip(centre, reach, SHAPE, strict=True))
    grid = np.ogrid[box]
    ball = sum(((axis - c) * s) ** 2 for axis, c, s in zip(grid, centre, SPACING, strict=True)) <= radius_mm**2
    mask[box][ball] = value


def pair(lesions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prediction, reference (moved a little), and the lesions' centres."""
    random = np.random.default_rng(lesions)
    centres = random.integers((12, 15, 15), (314, 385, 385), (lesions, 3))
    a, b = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    for centre in centres:
        radius = random.uniform(10, 30)
        paint(b, centre, radius, 1)
        paint(a, centre + random.integers(-1, 2, 3), radius * random.uniform(0.9, 1.1), 1)
    return a, b, centres


def measure(lesions: int, strokes: int) -> str:
    """One line of the table."""
    import slicer

    booted = bootHeadless()
    scene, grid = booted.scene, Geometry(SHAPE[::-1], SPACING[::-1], (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    predicted, truth, centres = pair(lesions)
    ct = volumeNodeFromImage(scene, grid.image(np.zeros(SHAPE, np.int16)), "CT", "CT")
    spec = [LabelSpec(value=1, name="Tumour", terminology=NEOPLASM, color=(200, 0, 0))]
    reference = createSegmentation(scene, grid.image(truth), spec, ct, "Reference", {})
    prediction = createSegmentation(scene, grid.image(predicted), spec, ct, "Result", {})
    slicer.util.updateSegmentBinaryLabelmapFromArray(predicted, prediction, "Tumour", ct)
    live = LiveComparisons(scene)
    started = time.perf_counter()
    live.follow(prediction, reference)
    live.wait(60)
    first = time.perf_counter() - started
    array = slicer.util.arrayFromSegmentInternalBinaryLabelmap(prediction, "Tumour")
    labelmap = prediction.GetBinaryLabelmapInternalRepresentation("Tumour")
    random, times, cpu, background = np.random.default_rng(1), [], [], 0
    for _ in range(strokes):
        centre = np.clip(centres[random.integers(lesions)] + random.integers(-9, 10, 3), 0, np.array(SHAPE) - 1)
        paint(array, centre, random.uniform(5, 12), int(random.random() < 0.5))
        started, used = time.perf_counter(), time.process_time()
        labelmap.Modified()
        live.flush()
        (row,) = live.rows()
        if row.numbers is None:
            background += 1
            live.wait(60)
            (row,) = live.rows()
        values = (row.numbers.dice, row.numbers.hd95_mm, row.numbers.nsd, row.numbers.assd_mm, row.volume_ml)
        times.append((time.perf_counter() - started) * 1000)
        cpu.append((time.process_time() - used) * 1000)
        assert all(value is not None for value in values)
    started = time.perf_counter()
    array[150:250, 100:300, 100:300] ^= 1
    labelmap.Modified()
    live.flush()
    blocked = (time.perf_counter() - started) * 1000
    live.wait(60)
    large = (time.perf_counter() - started) * 1000
    live.close()
    ninety_five = float(np.percentile(times, 95))
    return (
        f"| {lesions} | {statistics.median(times):.1f} | {ninety_five:.1f} | {statistics.median(cpu):.1f} | "
        f"{float(np.percentile(cpu, 95)):.1f} | {background} | "
        f"{first * 1000:.0f} | {blocked:.0f} | {large:.0f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--strokes", type=int, default=200)
    strokes = parser.parse_args().strokes
    print("| lesions | stroke, median ms | 95 % | its CPU, median | 95 % | in background | first numbers | ", end="")
    print("large edit blocks | its numbers |\n|---|---|---|---|---|---|---|---|---|")
    for lesions in (1, 10, 50):
        print(measure(lesions, strokes), flush=True)


if __name__ == "__main__":
    main()
