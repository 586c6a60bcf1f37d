"""Prints the agreement table of docs/metrics.md: this library against MONAI, and the pooled HD95 that MedPy prints.

python Testing/benchmarks/metric_agreement.py [DATA]      DATA: the folder that holds sts/, else PETCTFUSION_DATA
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance
from scipy import ndimage

from petctfusion.metrics import dice, surface_distances
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.labels import resample_labels

PATIENTS = ("STS_001", "STS_005", "STS_010")
REPEATS = 3


@dataclass(frozen=True)
class Pair:
    """Two masks (z, y, x) on one grid, spacing in mm."""

    name: str
    a: np.ndarray
    b: np.ndarray
    spacing: tuple[float, float, float]


def balls(shape: tuple[int, int, int], spacing: tuple[float, float, float], *places: tuple[float, ...]) -> np.ndarray:
    """A union of balls (z, y, x, radius), all in mm from the first voxel."""
    axes = np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij", sparse=True)
    inside = np.zeros(shape, bool)
    for *centre, radius in places:
        inside |= sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)) <= radius**2
    return inside


def synthetic() -> Iterator[Pair]:
    shape, spacing = (80, 128, 128), (3.27, 0.98, 0.98)
    one, two = (130.0, 60.0, 60.0, 25.0), (60.0, 90.0, 90.0, 12.0)
    yield Pair("ball, moved 3 mm", balls(shape, spacing, one), balls(shape, spacing, (130, 63, 60, 25)), spacing)
    yield Pair("one of two lesions missed", balls(shape, spacing, one), balls(shape, spacing, one, two), spacing)
    cut = (0.0, 10.0, 0.0, 22.0), (3.0, 12.0, 0.0, 24.0)
    yield Pair("cut by the image border", *(balls(shape, spacing, place) for place in cut), spacing)
    noise = np.random.default_rng(0)
    common, first, second = (ndimage.gaussian_filter(noise.normal(size=(30, 40, 36)), 4) for _ in range(3))
    yield Pair("smooth random shapes", common + 0.5 * first > 0.02, common + 0.5 * second > 0.02, (2.0, 5.5, 4.07))
    coarse = (5.0, 1.0, 1.0)
    yield Pair("5 x 1 x 1 mm voxels", *(balls((40, 128, 128), coarse, (100, y, 60, 30)) for y in (60.0, 66.0)), coarse)


def patients(root: Path) -> Iterator[Pair]:
    """The PET contour brought to the CT grid, against the CT contour."""
    for name in PATIENTS:
        if (root / name).is_dir():
            ct, pet = (sitk.ReadImage(str(root / name / f"{kind}_GTV.nii.gz")) for kind in ("CT", "PET"))
            grid = Geometry.of(ct)
            moved = sitk.GetArrayFromImage(resample_labels(pet, grid)) > 0
            yield Pair(f"{name}, PET against CT contour", moved, sitk.GetArrayFromImage(ct) > 0, grid.spacing_zyx)


def quickest(call) -> tuple[float, object]:
    """Least wall time in seconds of a few calls, and what the call returned."""
    times, value = [], None
    for _ in range(REPEATS):
        start = time.perf_counter()
        value = call()
        times.append(time.perf_counter() - start)
    return min(times), value


def row(pair: Pair) -> str:
    one, two = (torch.from_numpy(np.ascontiguousarray(m))[None, None] for m in (pair.a, pair.b))

    def monai() -> float:
        return compute_hausdorff_distance(one, two, True, percentile=95, spacing=list(pair.spacing)).item()

    theirs_s, theirs = quickest(monai)
    ours_s, found = quickest(lambda: surface_distances(pair.a, pair.b, pair.spacing))
    quantile = torch.quantile
    torch.quantile = lambda values, q: quantile(values.double(), q)
    try:
        exact = monai()
    finally:
        torch.quantile = quantile
    ours = found.hausdorff_mm(95)
    pooled = np.percentile(np.concatenate([found.a_to_b, found.b_to_a]), 95)
    overlap, peer = dice(pair.a, pair.b), compute_dice(one, two).item()
    return (
        f"| {pair.name} | {overlap:.6f} | {abs(overlap - peer):.0e} | {ours:.6f} | {abs(ours - theirs):.0e} "
        f"| {abs(ours - exact):.0e} | {pooled:.3f} | {found.mean_mm():.4f} | {theirs_s / ours_s:.1f} x |"
    )


def main() -> None:
    default = os.environ.get("PETCTFUSION_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, default=Path(default))
    data = parser.parse_args().data
    print("| pair | Dice | off MONAI's | HD95 mm | off MONAI's | off, float64 rank | pooled HD95 | ASSD | faster |")
    print("|---|---|---|---|---|---|---|---|---|")
    for pair in (*synthetic(), *patients(data / "sts")):
        print(row(pair), flush=True)


if __name__ == "__main__":
    main()
