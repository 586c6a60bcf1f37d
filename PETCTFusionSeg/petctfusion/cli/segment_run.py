"""The run behind `petctfusion segment`: read, check, segment in the background worker, write, compare."""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from petctfusion.cli.failures import append_log
from petctfusion.cli.outputs import OutputFolder
from petctfusion.cli.progress import ProgressDisplay
from petctfusion.cli.segment_result import MapFile, SegmentResult, comparison_warnings
from petctfusion.cli.segmentation_file import write_segmentation
from petctfusion.errors import FusionError, ModelError
from petctfusion.inference.options import Grid, SegmentOptions
from petctfusion.metrics import Comparison, compare, lesion_table
from petctfusion.models import InstalledModel, default_model, find_model, verify
from petctfusion.volumes import (
    Geometry,
    MaskChoice,
    PetVolume,
    Verdict,
    check_study,
    read_ct,
    read_pet,
    read_region,
    write_volume,
)
from petctfusion.worker.client import WorkerClient
from petctfusion.worker.protocol import Progress
from petctfusion.worker.session import Explained, Segmented

SEGMENTATION = "segmentation.nii.gz"
SEGMENTATION_SLICER = "segmentation.seg.nrrd"
PROBABILITY = "probability.nii.gz"
RESULT = "result.json"


@dataclass(frozen=True)
class _Study:
    ct: sitk.Image
    pet: PetVolume
    reference: sitk.Image | None
    verdict: Verdict


def segment(args: argparse.Namespace) -> SegmentResult:
    """One run with the arguments of the command. Raises `FusionError` and then leaves nothing in the output folder."""
    started = time.perf_counter()
    with OutputFolder(args.output) as output:
        model = _model(args.model)
        study = _read(args)
        grid: Grid = args.grid
        answer = _in_worker(study, model, SegmentOptions(device=args.device, grid=grid), args.maps)
        comparison = None if study.reference is None else compare(answer.labels, study.reference)
        _write_images(output, answer, model, args.probability)
        maps = _write_maps(output, answer)
        untimed = _result(output.folder, study, model, answer, maps, comparison, args)
        result = replace(untimed, seconds=time.perf_counter() - started)
        output.write_text(RESULT, json.dumps(result.to_json(), indent=2, allow_nan=False) + "\n")
        output.commit()
    return result


def _model(wanted: str | None) -> InstalledModel:
    """The model, its checksum verified before the volumes are read."""
    model = default_model() if wanted is None else find_model(wanted)
    verify(model.folder)
    if set(model.card.modalities) != {"CT", "PET"}:
        raise ModelError(
            f"The model {model.reference} needs {' + '.join(model.card.modalities)}; this command gives CT + PET.",
            "Choose another model: petctfusion models list.",
        )
    return model


def _read(args: argparse.Namespace) -> _Study:
    ct = read_ct(args.ct)
    pet = read_pet(args.pet, args.pet_units)
    reference = None if args.reference is None else read_region(args.reference, MaskChoice(), Geometry.of(ct)).image
    verdict = check_study(ct, pet.image, reference)
    verdict.raise_if_refused()
    return _Study(ct, pet, reference, verdict)


def _in_worker(study: _Study, model: InstalledModel, options: SegmentOptions, maps: bool) -> Segmented:
    with ProgressDisplay() as display:

        def show(event: Progress) -> None:
            display.update(event.done, event.total, event.stage, event.eta_s)

        with WorkerClient(on_note=lambda note: display.say(f"note: {note}")) as worker:
            try:
                request = worker.explain if maps else worker.segment
                return request({"CT": study.ct, "PET": study.pet.image}, model.folder, options, show)
            except FusionError:
                append_log(f"the worker printed:\n{worker.log_tail}")
                raise


def _write_images(output: OutputFolder, answer: Segmented, model: InstalledModel, probability: bool) -> None:
    write_volume(answer.labels, output.path(SEGMENTATION))
    write_segmentation(answer.labels, model.card.labels, output.path(SEGMENTATION_SLICER))
    if probability:
        write_volume(_unit_interval(answer.probability), output.path(PROBABILITY))


def _write_maps(output: OutputFolder, answer: Segmented) -> list[MapFile]:
    written = []
    for number, one in enumerate(answer.maps if isinstance(answer, Explained) else ()):
        name = f"map-{number:02d}-{_plain(one.name)}.nii.gz"
        write_volume(one.image, output.path(name))
        written.append(MapFile(output.folder / name, one.name, one.kind, one.model, one.image.GetSpacing()))
    return written


def _plain(name: str) -> str:
    """A map's name for a file."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")


def _unit_interval(probability: sitk.Image) -> sitk.Image:
    """float32 in [0, 1] from uint8 where 255 means 1; one component per label."""
    values = sitk.GetArrayViewFromImage(probability).astype(np.float32) / 255.0
    image = sitk.GetImageFromArray(values, isVector=values.ndim == 4)
    image.CopyInformation(probability)
    return image


def _result(
    folder: Path,
    study: _Study,
    model: InstalledModel,
    answer: Segmented,
    maps: list[MapFile],
    comparison: Comparison | None,
    args: argparse.Namespace,
) -> SegmentResult:
    labels = answer.labels
    inside = int(np.count_nonzero(sitk.GetArrayViewFromImage(labels)))
    findings = study.verdict.findings
    warnings = [finding.message for finding in findings if finding.severity == "note"]
    if study.pet.units.assumed:
        warnings.append("The PET file names no units; its values are taken as SUVbw (--pet-units suvbw confirms it).")
    if comparison is not None:
        warnings += [w for w in comparison_warnings(comparison) if w not in warnings]
    elif inside == 0:
        warnings.append("The segmentation is empty: no tumour was found.")
    return SegmentResult(
        segmentation=folder / SEGMENTATION,
        segmentation_slicer=folder / SEGMENTATION_SLICER,
        probability=folder / PROBABILITY if args.probability else None,
        maps=maps,
        grid=args.grid,
        volume_ml=inside * Geometry.of(labels).voxel_ml,
        lesions=lesion_table(labels, study.pet.image),
        pet_units=str(study.pet.units),
        model=model.reference,
        members=[member.reference for member in model.card.members],
        device=answer.device,
        seconds=0.0,
        comparison=comparison,
        notes=[f.message for f in findings if f.severity == "resample"] + list(answer.notes),
        warnings=warnings,
    )
