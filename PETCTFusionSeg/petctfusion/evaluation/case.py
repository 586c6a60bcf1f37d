"""One prediction against one reference, from their files."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from petctfusion.errors import BadInputError, FusionError, OutOfMemoryError, WorkerError
from petctfusion.evaluation.pairs import Pair
from petctfusion.metrics import Comparison, Lesion, compare, lesion_table
from petctfusion.volumes import Geometry, MaskChoice, PetVolume, Region, brings_grid, read_pet, read_region
from petctfusion.volumes.extent import embedded


@dataclass(frozen=True)
class Settings:
    """What to compare and how; None leaves the tolerance of the NSD to the voxel size (`metrics.compare`)."""

    prediction: MaskChoice = field(default_factory=MaskChoice)
    reference: MaskChoice = field(default_factory=MaskChoice)
    tolerance_mm: float | None = None
    connectivity: int = 18
    pet_units: str = "auto"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "label": self.prediction.label,
            "reference_label": self.reference.label,
            "roi": self.prediction.roi,
            "threshold": self.prediction.threshold,
            "tolerance_mm": self.tolerance_mm,
            "connectivity": self.connectivity,
            "pet_units": self.pet_units,
        }


@dataclass(frozen=True)
class Evaluation:
    """One evaluated patient. The lesions have their uptake and are there only with a PET."""

    patient: str
    prediction: Path
    reference: Path
    pet: Path | None
    comparison: Comparison
    lesions: tuple[Lesion, ...] = ()
    reference_lesions: tuple[Lesion, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    missing_label: str = ""
    """The wanted label, when neither file holds it."""

    @property
    def overlap_ml(self) -> tuple[float, float]:
        """|P n R| and |P| + |R| on the reference's grid."""
        slices = self.comparison.slices
        sz, sy, sx = slices.spacing_mm
        voxel_ml = sz * sy * sx / 1000.0
        return (
            int(slices.both.sum()) * voxel_ml,
            (int(slices.prediction.sum()) + int(slices.reference.sum())) * voxel_ml,
        )

    def to_json(self) -> dict[str, Any]:
        """What `Comparison.to_json` gives, with the files, the remarks and, with a PET, the uptake of all lesions."""
        values: dict[str, Any] = {
            "patient": self.patient,
            "prediction": str(self.prediction),
            "reference": str(self.reference),
            "hd95_note": None,
            **self.comparison.to_json(),
            "slices": self.comparison.slices.to_json(),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }
        if self.pet is not None:
            values["pet"] = str(self.pet)
            values["prediction_lesions"] = [lesion.to_json() for lesion in self.lesions]
            values["reference_lesions"] = [lesion.to_json() for lesion in self.reference_lesions]
        return values


@dataclass(frozen=True)
class Failure:
    """A patient that could not be evaluated, and why; `details` is a traceback where the reason is our own."""

    patient: str
    message: str
    hint: str = ""
    kind: str = BadInputError.kind
    details: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values for people and scripts; the traceback stays out."""
        return {"patient": self.patient, "kind": self.kind, "message": self.message, "hint": self.hint}


Outcome = Evaluation | Failure


def evaluate_pair(pair: Pair, settings: Settings) -> Evaluation:
    """Read and compare the files of one patient. Raises `FusionError`, in one sentence naming the file."""
    if pair.problem or pair.prediction is None or pair.reference is None:
        raise BadInputError(pair.problem or f"{pair.patient} lacks a file.", pair.hint)
    pet = None if pair.pet is None else read_pet(pair.pet, settings.pet_units)
    predicted, reference = _regions(pair.prediction, pair.reference, pet, settings)
    prediction = _on_larger_grid(predicted.image, Geometry.of(reference.image))
    connectivity = settings.connectivity
    comparison = compare(prediction, reference.image, connectivity=connectivity, tolerance_mm=settings.tolerance_mm)
    suv = None if pet is None else pet.image
    return Evaluation(
        pair.patient,
        pair.prediction,
        pair.reference,
        pair.pet,
        comparison,
        () if suv is None else tuple(lesion_table(prediction, suv, connectivity)),
        () if suv is None else tuple(lesion_table(reference.image, suv, connectivity)),
        (*predicted.notes, *reference.notes),
        tuple(_warnings(comparison, pet)),
        predicted.missing if predicted.missing and reference.missing else "",
    )


def outcome_of(pair: Pair, settings: Settings) -> Outcome:
    """`evaluate_pair` that answers with the failure instead of raising it, so that the rest of a cohort goes on."""
    try:
        return evaluate_pair(pair, settings)
    except FusionError as error:
        return Failure(pair.patient, error.message, error.hint, error.kind)
    except MemoryError:
        return Failure(
            pair.patient, "There is not enough memory.", "Evaluate fewer at a time: --jobs 1.", OutOfMemoryError.kind
        )
    except Exception as error:
        first = next(iter(str(error).splitlines()), "")
        message = f"Something went wrong inside petctfusion ({type(error).__name__}: {first})."
        return Failure(pair.patient, message, "", WorkerError.kind, traceback.format_exc())


def _regions(prediction: Path, reference: Path, pet: PetVolume | None, settings: Settings) -> tuple[Region, Region]:
    """Both masks; a structure set without images is drawn on the grid of the other mask, else on the PET's."""
    if brings_grid(reference):
        second = read_region(reference, settings.reference)
        return read_region(prediction, settings.prediction, Geometry.of(second.image)), second
    grid = None if pet is None else Geometry.of(pet.image)
    first = read_region(prediction, settings.prediction, grid)
    return first, read_region(reference, settings.reference, Geometry.of(first.image))


def _on_larger_grid(prediction: sitk.Image, grid: Geometry) -> sitk.Image:
    """Contours that reach beyond the prediction continued its lattice; no interpolation is needed to follow."""
    own = Geometry.of(prediction)
    if own.same_grid(grid):
        return prediction
    larger = embedded(sitk.GetArrayViewFromImage(prediction), own, grid)
    return prediction if larger is None else larger


def _warnings(comparison: Comparison, pet: PetVolume | None) -> list[str]:
    """What a reader of the numbers must know."""
    warnings = []
    empty = comparison.volume_ml == 0
    if comparison.reference_volume_ml == 0:
        rest = ", and so is the prediction: they agree." if empty else ": there is nothing to measure a distance to."
        warnings.append(f"The reference is empty{rest}")
    elif empty:
        warnings.append("The prediction is empty: there is no contour to measure from.")
    if comparison.outside_ml > 0:
        warnings.append(
            f"{comparison.outside_ml:.1f} ml of the prediction lie outside the reference's field of view "
            "and are not judged."
        )
    if pet is not None and pet.units.assumed:
        warnings.append("The PET file names no units; its values are taken as SUVbw (--pet-units suvbw confirms it).")
    return warnings
