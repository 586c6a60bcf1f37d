"""The part of a study around a place: what a network is given when it looks nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.models import InstalledModel
from petctfusion.volumes.checks import check_grids
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import CT_AIR_HU, PET_AIR_SUV
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.boxes import imageInBox
from PETCTFusionSegLib.mrml.suv_scale import suvScale
from PETCTFusionSegLib.mrml.transforms import Matrix
from PETCTFusionSegLib.mrml.volumes import geometryOfVolumeNode

from .inputs import StudyImages, unitsBadge


def contextMm(model: InstalledModel) -> float:
    """What the network sees around a voxel: half its longest window, of an ensemble's largest member, mm."""
    cards = [member.card for member in model.members] or [model.card]
    windows = [
        size * spacing
        for card in cards
        for size, spacing in zip(getattr(card, "patch", ()), getattr(card, "spacing_mm", ()), strict=True)
    ]
    return max(windows, default=0.0) / 2


def studyAround(ct: Any, pet: Any, extra: Any, corners: Matrix, margin_mm: float) -> StudyImages:
    """The study within a margin of LPS points (N, 3). Raises `BadInputError` when it cannot be used there."""
    check_grids(geometryOfVolumeNode(ct), geometryOfVolumeNode(pet)).raise_if_refused()
    scale = suvScale(pet)
    ctImage = imageInBox(ct, corners, margin_mm, CT_AIR_HU)
    around = Geometry.of(ctImage).corners()
    step = max(geometryOfVolumeNode(pet).spacing)
    petImage = sitk.Cast(imageInBox(pet, around, step, PET_AIR_SUV), sitk.sitkFloat32) * scale.factor()
    if not np.isfinite(sitk.GetArrayViewFromImage(petImage)).all():
        raise BadInputError(_("The PET holds values that are not numbers here."), _("Load it again."))
    extraImage = imageInBox(extra, around, step) if extra is not None else None
    return StudyImages(ctImage, petImage, unitsBadge(pet).text, (), extraImage)
