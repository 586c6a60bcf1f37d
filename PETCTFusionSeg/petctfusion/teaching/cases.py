"""A case made ready: the images the learner sees, the truth that is scored against, the patient for the sliders."""

from __future__ import annotations

from dataclasses import dataclass

import SimpleITK as sitk

from petctfusion.phantom.rescan import RescannedPatient, Scan
from petctfusion.teaching.lesson import Case, CaseFiles
from petctfusion.volumes import check_study
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.labels import resample_labels
from petctfusion.volumes.masks import MaskChoice, read_region
from petctfusion.volumes.reading import read_ct
from petctfusion.volumes.units import read_pet


@dataclass(frozen=True)
class CaseMaterial:
    """`ct` HU and `pet` SUVbw; `reference` a uint8 mask on the CT's grid. A phantom brings its `patient`."""

    ct: sitk.Image
    pet: sitk.Image
    reference: sitk.Image
    patient: RescannedPatient | None = None


def prepare_case(case: Case) -> CaseMaterial:
    """Simulate or read a case's images; takes seconds. Raises `BadInputError` when they cannot be used."""
    source = case.source
    if isinstance(source, CaseFiles):
        return _read(source)
    patient = RescannedPatient(source.settings)
    scan = patient.scan(source.conditions)
    return CaseMaterial(scan.ct, scan.pet, truth_of(patient, scan), patient)


def truth_of(patient: RescannedPatient, scan: Scan) -> sitk.Image:
    """What is right to draw on a scan: all lesions, everywhere they go."""
    return scan.everywhere if scan.motion_mm > 0 else patient.reference


def _read(files: CaseFiles) -> CaseMaterial:
    ct, pet = read_ct(files.ct), read_pet(files.pet, files.pet_units).image
    check_study(ct, pet).raise_if_refused()
    grid = Geometry.of(ct)
    region = read_region(files.reference, MaskChoice(), grid).image
    return CaseMaterial(ct, pet, resample_labels(sitk.Cast(region != 0, sitk.sitkUInt8), grid))
