"""A small study in files: a hot ball and a warm cube in a body, and a result whose ball lies 9 mm beside the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

SHAPE, SPACING_MM = (48, 56, 64), 4.5
_ORIGIN_MM = tuple(-(size - 1) / 2 * SPACING_MM for size in reversed(SHAPE))
BALL, CUBE = (28, 24, 36), (slice(8, 13), slice(30, 35), slice(14, 20))
SHIFT = 2
RADIUS_MM = 22.0


def truth() -> np.ndarray:
    """The ball and the cube (z, y, x)."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    ball = ((z - BALL[0]) ** 2 + (y - BALL[1]) ** 2 + (x - BALL[2]) ** 2) * SPACING_MM**2 <= RADIUS_MM**2
    mask = np.array(ball)
    mask[CUBE] = True
    return mask


def result() -> np.ndarray:
    """The ball beside its place, and the cube."""
    mask = truth()
    mask[CUBE] = False
    mask = np.roll(mask, SHIFT, 2)
    mask[CUBE] = True
    return mask


def suv() -> np.ndarray:
    """Ball 8, cube 5, body 1."""
    values = np.full(SHAPE, 1.0, np.float32)
    values[truth()] = 8.0
    values[CUBE] = 5.0
    return values


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """2|A and B| / (|A| + |B|)."""
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def volumeMl(mask: np.ndarray) -> float:
    """Volume of a mask on the study's grid."""
    return float(np.count_nonzero(mask)) * SPACING_MM**3 / 1000


def writeStudy(folder: Path) -> list[str]:
    """The study's files, as arguments of `petctfusion view`."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    body = ((y - 28) / 25) ** 2 + ((x - 32) / 29) ** 2 + 0 * z <= 1
    ct = np.where(body, 40, -1000).astype(np.int16)
    volumes = {"ct": ct, "pet": suv(), "reference": truth().astype(np.uint8), "segmentation": result().astype(np.uint8)}
    arguments = ["--pet-units", "suvbw"]
    for name, values in volumes.items():
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((SPACING_MM,) * 3)
        image.SetOrigin(_ORIGIN_MM)
        path = folder / f"{name}.nii.gz"
        sitk.WriteImage(image, str(path))
        arguments += [f"--{name}", str(path)]
    return arguments
