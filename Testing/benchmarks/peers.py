"""What other libraries answer for a pair of masks, and our value by each one's definition.

Every peer is optional (`pip install -e .[peers]`; plastimatch is a program of its own). All are called as their
documentation says, on whole masks.
"""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from masks import BoolArray, Pair, Spacing
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.metrics import MaskAgreement, compare_masks

TOLERANCE_MM = 2.0
Values = dict[str, float]
FLOAT32, FLOAT64 = "float32", "float64"


@dataclass(frozen=True)
class Ours:
    """One pair by this library."""

    pair: Pair
    found: MaskAgreement

    @classmethod
    def of(cls, pair: Pair) -> Ours:
        return cls(pair, compare_masks(pair.a, pair.b, pair.spacing))

    @property
    def distances(self) -> list[NDArray[np.float64]]:
        """Every distance of a surface voxel, ascending, there and back."""
        both = self.found.voxel
        return [np.repeat(side.distances_mm, side.amounts) for side in (both.a_to_b, both.b_to_a)]


@dataclass(frozen=True)
class Quantity:
    """How our value for a peer's number is named and computed, and in what precision the peer works."""

    ours: str
    value: Callable[[Ours], float]
    precision: str = FLOAT64

    @property
    def is_public(self) -> bool:
        """`ours` is a name in this library."""
        return " " not in self.ours


@dataclass(frozen=True)
class Peer:
    """A library: `answer` gives its numbers for a pair (b is the reference) under the names in `quantities`."""

    name: str
    needs: str
    answer: Callable[[Pair], Values]
    quantities: Mapping[str, Quantity]
    edge_names: tuple[str, ...]
    """Numbers that the table of edge cases shows."""

    def missing(self) -> str:
        """Why it cannot be asked; empty when it can."""
        if self.needs.startswith("program "):
            program = self.needs.removeprefix("program ")
            return "" if shutil.which(program) else f"The program {program} is not on the PATH."
        try:
            importlib.import_module(self.needs)
        except ImportError as error:
            return f"{self.name} is not installed ({error}): pip install -e .[peers]"
        return ""


def monai(pair: Pair) -> Values:
    import torch
    from monai import metrics

    one, two = (torch.from_numpy(np.ascontiguousarray(m))[None, None] for m in (pair.a, pair.b))
    spacing = list(pair.spacing)

    def hd95() -> float:
        return float(metrics.compute_hausdorff_distance(one, two, True, percentile=95, spacing=spacing))

    def nsd(subvoxels: bool) -> float:
        return float(
            metrics.compute_surface_dice(
                one, two, [TOLERANCE_MM], include_background=True, spacing=spacing, use_subvoxels=subvoxels
            )
        )

    values = {
        "Dice": float(metrics.compute_dice(one, two)),
        "HD95": hd95(),
        "NSD": nsd(False),
        "NSD, use_subvoxels": nsd(True),
        "ASSD": float(metrics.compute_average_surface_distance(one, two, True, symmetric=True, spacing=spacing)),
    }
    quantile = torch.quantile
    torch.quantile = lambda distances, q: quantile(distances.double(), q)
    try:
        values["HD95, ranked in float64"] = hd95()
    finally:
        torch.quantile = quantile
    return values


def deepmind(pair: Pair) -> Values:
    import surface_distance as library

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = library.compute_surface_distances(pair.b, pair.a, pair.spacing)
        means = library.compute_average_surface_distance(found)
        areas = [found[f"surfel_areas_{of}"].sum() for of in ("gt", "pred")]
        return {
            "Dice": float(library.compute_dice_coefficient(pair.b, pair.a)),
            "HD95": float(library.compute_robust_hausdorff(found, 95)),
            "NSD": float(library.compute_surface_dice_at_tolerance(found, TOLERANCE_MM)),
            "average distances, pooled by area": float(np.dot(means, areas) / sum(areas)),
        }


def medpy(pair: Pair) -> Values:
    from medpy.metric import binary

    spacing = pair.spacing
    return {
        "Dice (dc)": float(binary.dc(pair.a, pair.b)),
        "hd95": float(binary.hd95(pair.a, pair.b, voxelspacing=spacing)),
        "hd": float(binary.hd(pair.a, pair.b, voxelspacing=spacing)),
        "assd": float(binary.assd(pair.a, pair.b, voxelspacing=spacing)),
    }


def image_of(mask: BoolArray, spacing: Spacing) -> sitk.Image:
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing[::-1])
    return image


def simpleitk(pair: Pair) -> Values:
    """The recipe of the SimpleITK notebooks (segmentation evaluation): contour voxels read in distance maps."""
    images = [image_of(m, pair.spacing) for m in (pair.a, pair.b)]
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(images[1], images[0])
    maps = [
        sitk.GetArrayFromImage(sitk.Abs(sitk.SignedMaurerDistanceMap(i, squaredDistance=False, useImageSpacing=True)))
        for i in images
    ]
    contours = [sitk.GetArrayFromImage(sitk.LabelContour(i)) > 0 for i in images]
    one, two = maps[1][contours[0]].astype(np.float64), maps[0][contours[1]].astype(np.float64)
    return {"Dice": float(overlap.GetDiceCoefficient()), **_of_distances(one, two)}


def _of_distances(one: NDArray[np.float64], two: NDArray[np.float64]) -> Values:
    pooled = np.concatenate([one, two])
    return {
        "HD95, larger": float(max(np.percentile(one, 95), np.percentile(two, 95))),
        "HD95, pooled": float(np.percentile(pooled, 95)),
        "mean, pooled": float(pooled.mean()),
    }


def _recipe(name: str) -> Callable[[Ours], float]:
    """The SimpleITK recipe's definition in scipy: from voxels with a face neighbour outside to voxels with any of 26.

    The image border is no contour there.
    """

    def value(ours: Ours) -> float:
        faces, corners = (ndimage.generate_binary_structure(3, n) for n in (1, 3))
        masks = ours.pair.a, ours.pair.b
        one, two = (m & ~ndimage.binary_erosion(m, faces, border_value=1) for m in masks)
        # What Maurer's map is zero on: the voxels with anything outside among all 26 neighbours, beyond the border too.
        zero = [m & ~ndimage.binary_erosion(m, corners, border_value=1) for m in masks]
        maps = [ndimage.distance_transform_edt(~z, sampling=ours.pair.spacing) for z in zero]
        return _of_distances(maps[1][one], maps[0][two])[name]

    return value


PLASTIMATCH = {
    "Hausdorff distance (boundary)": "Hausdorff distance (boundary)",
    "Avg average (boundary)": "Avg average Hausdorff distance (boundary)",
    "Percent 0.95 (boundary)": "Percent (0.95) Hausdorff distance (boundary)",
}


def plastimatch(pair: Pair) -> Values:
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / f"{name}.nrrd") for name in ("reference", "prediction")]
        for file, mask in zip(files, (pair.b, pair.a), strict=True):
            sitk.WriteImage(image_of(mask, pair.spacing), file)
        done = subprocess.run(["plastimatch", "dice", "--all", *files], capture_output=True, text=True, check=True)
    printed = dict(re.findall(r"^\s*(\S.*?)\s*[=:]\s*(\S+)\s*$", done.stdout, flags=re.MULTILINE))
    return {"Dice": float(printed["DICE"]), **{name: float(printed[line]) for name, line in PLASTIMATCH.items()}}


def _rank_of_plastimatch(distances: NDArray[np.float64]) -> float:
    """The value at index floor(0.95 n - 1), a rank or two below the percentile; for one distance the index is -1."""
    place = int(np.floor(0.95 * distances.size - 1))
    return float(distances[place]) if place >= 0 else 0.0


_DICE = Quantity("dice", lambda o: o.found.dice)
_DICE32 = Quantity("dice", lambda o: o.found.dice, FLOAT32)

PEERS = (
    Peer(
        "MONAI",
        "monai",
        monai,
        {
            "Dice": _DICE32,
            "HD95": Quantity("voxel.hausdorff_mm(95)", lambda o: o.found.voxel.hausdorff_mm(95), "float32, also ranks"),
            "HD95, ranked in float64": Quantity(
                "voxel.hausdorff_mm(95)", lambda o: o.found.voxel.hausdorff_mm(95), FLOAT32
            ),
            "NSD": Quantity("voxel.nsd(2)", lambda o: o.found.voxel.nsd(TOLERANCE_MM), FLOAT32),
            "NSD, use_subvoxels": Quantity("surfel.nsd(2)", lambda o: o.found.surfel.nsd(TOLERANCE_MM), FLOAT32),
            "ASSD": Quantity("voxel.mean_mm()", lambda o: o.found.voxel.mean_mm(), FLOAT32),
        },
        ("Dice", "HD95", "NSD", "ASSD"),
    ),
    Peer(
        "surface-distance",
        "surface_distance",
        deepmind,
        {
            "Dice": _DICE,
            "HD95": Quantity("surfel.hausdorff_mm(95)", lambda o: o.found.surfel.hausdorff_mm(95)),
            "NSD": Quantity("surfel.nsd(2)", lambda o: o.found.surfel.nsd(TOLERANCE_MM)),
            "average distances, pooled by area": Quantity("surfel.mean_mm()", lambda o: o.found.surfel.mean_mm()),
        },
        ("Dice", "HD95", "NSD"),
    ),
    Peer(
        "MedPy",
        "medpy.metric",
        medpy,
        {
            "Dice (dc)": _DICE,
            "hd95": Quantity("voxel.pooled_mm(95)", lambda o: o.found.voxel.pooled_mm(95)),
            "hd": Quantity("voxel.hausdorff_mm()", lambda o: o.found.voxel.hausdorff_mm()),
            "assd": Quantity("voxel.mean_mm()", lambda o: o.found.voxel.mean_mm()),
        },
        ("Dice (dc)", "hd95", "assd"),
    ),
    Peer(
        "SimpleITK recipe",
        "SimpleITK",
        simpleitk,
        {
            "Dice": _DICE,
            **{
                name: Quantity("its definition, in scipy", _recipe(name), FLOAT32)
                for name in ("HD95, larger", "HD95, pooled", "mean, pooled")
            },
        },
        ("Dice", "HD95, larger"),
    ),
    Peer(
        "plastimatch",
        "program plastimatch",
        plastimatch,
        {
            "Dice": Quantity("dice", lambda o: o.found.dice, "six digits"),
            "Hausdorff distance (boundary)": Quantity(
                "voxel.hausdorff_mm()",
                lambda o: o.found.voxel.hausdorff_mm(),
                "six digits; its distance map is not exact",
            ),
            "Avg average (boundary)": Quantity(
                "mean of voxel.directed_means_mm()",
                lambda o: float(np.mean(o.found.voxel.directed_means_mm())),
                "six digits; its distance map is not exact",
            ),
            "Percent 0.95 (boundary)": Quantity(
                "mean of the directed values at its rank",
                lambda o: float(np.mean([_rank_of_plastimatch(side) for side in o.distances])),
                "six digits; its distance map is not exact",
            ),
        },
        ("Dice", "Percent 0.95 (boundary)"),
    ),
)


def answered(peer: Peer, pair: Pair) -> Values | str:
    """The peer's numbers, or how it failed."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return peer.answer(pair)
    except Exception as error:  # A peer may fail in any way; the table says how.
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def version(peer: Peer) -> str:
    """The version that answered."""
    if peer.needs.startswith("program "):
        done = subprocess.run([peer.needs.removeprefix("program "), "--version"], capture_output=True, text=True)
        return done.stdout.split()[-1] if done.stdout else "?"
    names: dict[str, str] = {"surface_distance": "surface-distance", "medpy.metric": "MedPy"}
    module: Any = importlib.import_module("importlib.metadata")
    return str(module.version(names.get(peer.needs, peer.needs)))
