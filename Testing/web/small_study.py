"""A study of a few thousand voxels as files, with a contour in known places."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

CT_SPACING, PET_SPACING = (2.0, 2.0, 3.0), (4.0, 4.0, 3.0)


@dataclass(frozen=True)
class SmallStudy:
    """Paths, and how many voxels the contours have."""

    ct: Path
    pet: Path
    reference: Path
    segmentation: Path
    referenceVoxels: int
    segmentationVoxels: int


def writeSmallStudy(folder: Path) -> SmallStudy:
    """A body of water in air with a hot ball; the result is the reference, one slice longer. No file states units."""
    shape = (24, 48, 48)
    z, y, x = np.indices(shape)
    ct = np.where((y - 24) ** 2 + (x - 24) ** 2 < 20**2, 40, -1000).astype(np.int16)
    reference = ((z - 12) ** 2 * 2.25 + (y - 24) ** 2 + (x - 28) ** 2 < 6**2).astype(np.uint8)
    segmentation = reference | np.roll(reference, 1, axis=0)
    pet = 0.5 + 8.0 * reference[:, ::2, ::2].astype(np.float32)
    paths = [folder / name for name in ("ct.nii.gz", "pet.nii.gz", "reference.nii.gz", "segmentation.nii.gz")]
    for path, values in zip(paths, (ct, pet, reference, segmentation), strict=True):
        image = sitk.GetImageFromArray(values)
        image.SetSpacing(PET_SPACING if values is pet else CT_SPACING)
        image.SetOrigin((-50.0, 20.0, 100.0))
        sitk.WriteImage(image, str(path))
    return SmallStudy(*paths, int(reference.sum()), int(segmentation.sum()))
