"""The run of `petctfusion picture`: read the study, draw it, write the segmentation."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path

import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.metrics import compare
from petctfusion.models.card import LabelSpec
from petctfusion.volumes.reading import read_ct, read_mask
from petctfusion.volumes.units import read_pet

from .headless import bootHeadless
from .picture import PictureCaption, renderPicture
from .picture_layout import RESULT_RGB, PictureStudy
from .saving import saveSegmentation
from .segmentations import createSegmentation
from .terminology import NEOPLASM
from .volumes import volumeNodeFromImage

_TUMOUR = LabelSpec(value=1, name="Tumour", terminology=NEOPLASM, color=RESULT_RGB)


def run(args: argparse.Namespace) -> int:
    """Draw, write, and say in one line each what was written; returns 0, raises `FusionError`."""
    if args.output.suffix.lower() != ".png":
        raise BadInputError(f'"{args.output.name}" is not a PNG file name.', "Choose a name that ends in .png.")
    study = PictureStudy(
        ct=read_ct(args.ct),
        pet=read_pet(args.pet, args.pet_units).image,
        prediction=read_mask(args.segmentation),
        reference=read_mask(args.reference) if args.reference else None,
    )
    report = renderPicture(study, args.output, _caption(study, args.title))
    lines = [f"picture: {report.path} ({report.note})"]
    if args.seg_nrrd:
        lines.append(f"segmentation: {_writeSegmentation(study, args.segmentation, args.seg_nrrd)}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _caption(study: PictureStudy, title: str) -> PictureCaption:
    if study.reference is None:
        return PictureCaption(title)
    comparison = compare(study.prediction, study.reference)
    return PictureCaption(title, dice=comparison.dice, hd95Mm=comparison.hd95_mm)


def _writeSegmentation(study: PictureStudy, source: Path, target: Path) -> Path:
    """Through MRML, so that the file carries geometry, terminology, colour and status as Slicer writes them."""
    booted = bootHeadless()
    ct = volumeNodeFromImage(booted.scene, study.ct, "CT", "CT")
    labels = sitk.Cast(study.prediction != 0, sitk.sitkUInt8)
    provenance = {"Source": source.name, "Date": datetime.now(timezone.utc).isoformat(timespec="seconds")}
    node = createSegmentation(booted.scene, labels, [_TUMOUR], ct, source.name.split(".")[0], provenance)
    return saveSegmentation(node, target)
