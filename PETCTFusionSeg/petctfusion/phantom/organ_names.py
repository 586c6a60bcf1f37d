"""Which organ a voxel of a phantom belongs to: the organ map's own, and what the drawn body adds."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from petctfusion.phantom.tissues import Label
from petctfusion.volumes.geometry import Geometry

BOWEL, URETERS, BONE, MUSCLE = 11, 12, 13, 14
ORGAN_NAMES = {
    1: "spleen", 2: "kidneys", 3: "liver", 4: "bladder", 5: "lungs", 6: "brain", 7: "heart", 8: "stomach",
    9: "prostate", 10: "glands", BOWEL: "bowel", URETERS: "ureters", BONE: "bone", MUSCLE: "muscle",
}  # fmt: skip
_DRAWN = {
    BOWEL: (Label.BOWEL, Label.BOWEL_CONTENT, Label.BOWEL_GAS),
    URETERS: (Label.URINE,),
    BONE: (Label.CORTICAL_BONE, Label.MARROW, Label.YELLOW_MARROW, Label.CARTILAGE),
    MUSCLE: (Label.MUSCLE,),
}


def organs_on(grid: Geometry, organs: sitk.Image, tissues: sitk.Image) -> sitk.Image:
    """Organ numbers (`ORGAN_NAMES`, 0 for all else, uint8) on `grid`, nearest voxel.

    `organs` is the organ map that the phantom was drawn around, `tissues` the phantom's own labels; the map goes first.
    """
    mapped, drawn = (sitk.GetArrayFromImage(_nearest(image, grid)) for image in (organs, tissues))
    result = np.zeros(grid.shape, dtype=np.uint8)
    for number, labels in _DRAWN.items():
        result[np.isin(drawn, [int(label) for label in labels])] = number
    from_map = np.isin(mapped, [number for number in ORGAN_NAMES if number not in _DRAWN])
    result[from_map] = mapped[from_map]
    return grid.image(result)


def _nearest(image: sitk.Image, grid: Geometry) -> sitk.Image:
    return sitk.Resample(image, grid.empty(), sitk.Transform(), sitk.sitkNearestNeighbor, 0)
