"""Looks at CT, PET and reference together and says whether a study can be segmented as it is."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.headers import not_finite
from petctfusion.volumes.notes import FRAME_KEY, PATIENT_KEY, notes_of, value_of
from petctfusion.volumes.overlap import covered_share, foreground_points, share_inside
from petctfusion.volumes.statistics import Statistics
from petctfusion.volumes.values import ct_findings, looks_like_ct, looks_like_pet, pet_findings
from petctfusion.volumes.verdict import Finding, Verdict

_LEAST_SPACING_MM = 0.1
_MOST_SPACING_MM = 20.0
_LEAST_OVERLAP = 0.01
_FULL_OVERLAP = 0.99
_OBLIQUE_DEGREES = 0.5


def check_study(ct: sitk.Image, pet: sitk.Image, reference: sitk.Image | None = None) -> Verdict:
    """Check a CT (HU), a PET (SUVbw) and an optional reference mask, each on a grid of its own.

    Checked are dimensions, spacing and axes; values (empty, not finite, not HU, not SUV, modalities swapped); and, in
    physical space, overlap and grids. Never raises for a bad study: the findings say what is wrong.
    """
    images = {"CT": ct, "PET": pet} | ({"reference": reference} if reference is not None else {})
    findings = [Finding("note", subject, note) for subject, image in images.items() for note in notes_of(image)]
    for subject, image in images.items():
        findings += _shape_findings(subject, image) or _grid_findings(subject, Geometry.of(image))
    if any(f.severity == "refuse" for f in findings):
        return Verdict(tuple(findings))
    findings += _value_findings(ct, pet)
    findings += _identity_findings(ct, pet)
    findings += _overlap_findings(Geometry.of(ct), Geometry.of(pet))
    findings += _orientation_findings(Geometry.of(ct), Geometry.of(pet))
    if reference is not None:
        findings += _reference_findings(reference, Geometry.of(ct))
    return Verdict(tuple(findings))


def check_grids(ct: Geometry, pet: Geometry) -> Verdict:
    """The part of `check_study` that needs no voxels: spacing, axes, overlap, and what is resampled. Milliseconds."""
    findings = [*_grid_findings("CT", ct), *_grid_findings("PET", pet)]
    if not findings:
        findings = [*_overlap_findings(ct, pet), *_orientation_findings(ct, pet)]
    return Verdict(tuple(findings))


def _shape_findings(subject: str, image: sitk.Image) -> list[Finding]:
    """Dimensions and components of one image."""
    size = image.GetSize()
    shape = " x ".join(map(str, size))
    if image.GetDimension() > 3:
        return [Finding("refuse", subject, f"The {subject} is {len(size)}-D ({shape}).", "Give one 3-D volume.")]
    if image.GetDimension() < 3 or min(size) < 2:
        message = f"The {subject} is a 2-D image ({shape}), not a volume."
        return [Finding("refuse", subject, message, "Give the whole stack of slices.")]
    if image.GetNumberOfComponentsPerPixel() != 1:
        message = f"The {subject} holds {image.GetNumberOfComponentsPerPixel()} values per voxel (colour or vectors)."
        return [Finding("refuse", subject, message, "Give a volume with one number per voxel.")]
    return []


def _grid_findings(subject: str, grid: Geometry) -> list[Finding]:
    """Spacing, place and axes of one grid."""
    again = "Export the volume again."
    for spacing in grid.spacing:
        if not _LEAST_SPACING_MM <= spacing <= _MOST_SPACING_MM:
            message = (
                f"The {subject} has an implausible voxel spacing of {spacing:g} mm "
                f"(expected {_LEAST_SPACING_MM:g} to {_MOST_SPACING_MM:g} mm)."
            )
            return [Finding("refuse", subject, message, again)]
    axes = grid.axes
    if not np.all(np.isfinite([*grid.origin, *axes.ravel()])):
        return [Finding("refuse", subject, f"The {subject} has a position that is not a number.", again)]
    if not np.allclose(axes.T @ axes, np.eye(3), atol=0.01):
        message = f"The axes of the {subject} are not at right angles (gantry tilt or shear)."
        hint = "Resample it onto an upright grid first, for instance in Slicer's Transforms module."
        return [Finding("refuse", subject, message, hint)]
    return []


def _value_findings(ct: sitk.Image, pet: sitk.Image) -> list[Finding]:
    in_ct, in_pet = Statistics.of(ct), Statistics.of(pet)
    findings = _emptiness_findings("CT", in_ct) + _emptiness_findings("PET", in_pet) or swap_findings(in_ct, in_pet)
    return findings or ct_findings(in_ct) + pet_findings(in_pet)


def swap_findings(in_ct: Statistics, in_pet: Statistics) -> list[Finding]:
    """Whether each volume is in the other's place, or one of them in both; a sample of the values is enough."""
    if looks_like_ct(in_pet) and not looks_like_ct(in_ct):
        message = (
            f"CT and PET look swapped: the PET holds values down to {in_pet.lowest:g}, "
            f"the CT lies between {in_ct.lowest:.4g} and {in_ct.highest:.4g}."
        )
        return [Finding("refuse", "study", message, "Exchange the two inputs.")]
    if looks_like_ct(in_pet):
        message = f"The PET looks like a second CT: it holds values down to {in_pet.lowest:g}."
        return [Finding("refuse", "PET", message, "Choose the PET in SUV.")]
    if looks_like_pet(in_ct):
        message = (
            f"The CT looks like a PET, not like Hounsfield units: its values lie between {in_ct.lowest:.4g} "
            f"and {in_ct.highest:.4g}. CT and PET look swapped, or the same volume was chosen twice."
        )
        return [Finding("refuse", "CT", message, "Choose the CT in HU.")]
    return []


def _emptiness_findings(subject: str, values: Statistics) -> list[Finding]:
    if values.not_finite:
        error = not_finite(f"The {subject}", values.not_finite)
        return [Finding("refuse", subject, error.message, error.hint)]
    if values.lowest == values.highest:
        message = f"The {subject} is empty: every voxel is {values.lowest:g}."
        return [Finding("refuse", subject, message, "Choose another volume.")]
    return []


def _identity_findings(ct: sitk.Image, pet: sitk.Image) -> list[Finding]:
    """What the DICOM tags say about patient and frame of reference, where both have them."""
    patients = value_of(ct, PATIENT_KEY), value_of(pet, PATIENT_KEY)
    if all(patients) and patients[0] != patients[1]:
        message = "CT and PET belong to different patients according to their Patient ID (0010,0020)."
        return [Finding("refuse", "study", message, "Choose the PET of the same patient.")]
    frames = value_of(ct, FRAME_KEY), value_of(pet, FRAME_KEY)
    if all(frames) and frames[0] != frames[1]:
        message = "CT and PET have different frames of reference: make sure that they are registered."
        return [Finding("note", "study", message)]
    return []


def _overlap_findings(ct: Geometry, pet: Geometry) -> list[Finding]:
    of_ct, of_pet = covered_share(ct, pet), covered_share(pet, ct)
    if max(of_ct, of_pet) < _LEAST_OVERLAP:
        message = "The fields of view of CT and PET do not overlap: is it the PET of another patient?"
        hint = "Check that CT and PET belong together and are registered."
        return [Finding("refuse", "study", message, hint)]
    if of_ct < _FULL_OVERLAP:
        message = f"The PET covers {100 * of_ct:.0f} % of the CT's field of view; the rest is not segmented."
        return [Finding("note", "PET", message)]
    return []


def _orientation_findings(ct: Geometry, pet: Geometry) -> list[Finding]:
    findings = []
    for subject, grid in (("CT", ct), ("PET", pet)):
        turn = _off_axis_degrees(grid)
        if turn > _OBLIQUE_DEGREES:
            findings.append(
                Finding("note", subject, f"The {subject} is oblique, {turn:.1f} degrees off the body axes.")
            )
        code = orientation_code(grid)
        if code != "LPS":
            findings.append(Finding("note", subject, f"The axes of the {subject} run {code} instead of LPS."))
    if not np.allclose(ct.axes, pet.axes, atol=np.deg2rad(_OBLIQUE_DEGREES)):
        findings.append(Finding("note", "PET", "CT and PET are oriented differently; they are matched in space."))
    if not ct.same_grid(pet):
        message = f"The PET ({_describe(pet)}) is resampled to the frame of the CT ({_describe(ct)})."
        findings.append(Finding("resample", "PET", message))
    return findings


def _reference_findings(reference: sitk.Image, ct: Geometry) -> list[Finding]:
    subject = "reference"
    grid = Geometry.of(reference)
    hint = "Give the contour of this patient."
    if max(covered_share(grid, ct), covered_share(ct, grid)) < _LEAST_OVERLAP:
        return [Finding("refuse", subject, "The reference does not overlap the CT: is it of another patient?", hint)]
    points = foreground_points(reference)
    if len(points) == 0:
        message = "The reference is empty: there is no contour to compare with."
        return [Finding("note", subject, message)]
    inside = share_inside(points, ct)
    if inside == 0:
        return [Finding("refuse", subject, "The contour of the reference lies outside the CT.", hint)]
    findings = []
    if inside < 1:
        message = f"{100 * (1 - inside):.0f} % of the reference's contour lies outside the CT."
        findings.append(Finding("note", subject, message))
    if not grid.same_grid(ct):
        message = f"The reference ({_describe(grid)}) is on another grid than the CT ({_describe(ct)})."
        findings.append(Finding("note", subject, message))
    return findings


def orientation_code(grid: Geometry) -> str:
    """Where the index axes run, nearest body axis each: "LPS" for an upright axial stack, "RAS", "LIP", ..."""
    letters = []
    for column in grid.axes.T:
        axis = int(np.argmax(np.abs(column)))
        letters.append(("L", "P", "S")[axis] if column[axis] > 0 else ("R", "A", "I")[axis])
    return "".join(letters)


def _off_axis_degrees(grid: Geometry) -> float:
    """Largest angle between an index axis and the nearest body axis."""
    nearest = np.abs(grid.axes).max(axis=0)
    return float(np.rad2deg(np.arccos(np.clip(nearest, -1, 1))).max())


def _describe(grid: Geometry) -> str:
    size = " x ".join(map(str, grid.size))
    spacing = " x ".join(f"{v:.2f}" for v in grid.spacing)
    return f"{size} voxels of {spacing} mm"
