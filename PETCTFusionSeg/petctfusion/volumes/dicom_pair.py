"""The CT and the PET of one examination among the DICOM series of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from petctfusion.errors import BadInputError
from petctfusion.volumes.dicom_files import SeriesFiles, find_series, tags_of


@dataclass(frozen=True)
class DicomPair:
    """A file of each series (which stands for the series wherever volumes are read), and which of several they are."""

    ct: Path
    pet: Path
    notes: tuple[str, ...] = ()


def find_pair(folder: Path) -> DicomPair:
    """The CT and PET series that belong together: of one frame of reference, else of one examination.

    Of several the PET with attenuation correction and the most slices is taken, then the CT with the most slices.
    Raises `BadInputError` when the folder lacks one of the two.
    """
    with tags_of(folder):
        series = find_series(folder)
        cts, pets = (best_first(series, modality) for modality in ("CT", "PT"))
        if not cts or not pets:
            missing = " and ".join(name for name, found in (("CT", cts), ("PET", pets)) if not found)
            names = "; ".join(str(one) for one in series)
            raise BadInputError(f"{folder} holds no {missing} series but {names}.", "Choose the folder of the study.")
        pairs = sorted(product(pets, cts), key=lambda pair: -_together(*pair))
        pet, ct = pairs[0]
    notes = [
        f"{folder} holds {len(found)} {name} series; {taken} is taken."
        for name, found, taken in (("CT", cts, ct), ("PET", pets, pet))
        if len(found) > 1
    ]
    return DicomPair(ct.files[0], pet.files[0], tuple(notes))


def best_first(series: list[SeriesFiles], modality: str) -> list[SeriesFiles]:
    """The volumes of a modality: those with attenuation correction first, then the larger ones."""
    volumes = [one for one in series if one.modality == modality and len(one.files) > 1]
    return sorted(volumes, key=lambda one: (not _is_corrected(one), -len(one.files), one.uid))


def _is_corrected(series: SeriesFiles) -> bool:
    return "ATTN" in [str(value) for value in (series.headers[0].get("CorrectedImage") or [])]


def _together(pet: SeriesFiles, ct: SeriesFiles) -> int:
    """2: one frame of reference, 1: one examination, 0: neither. Sorting keeps the order of equals."""

    def same(tag: str) -> bool:
        values = [str(one.headers[0].get(tag) or "") for one in (pet, ct)]
        return bool(values[0]) and values[0] == values[1]

    return 2 if same("FrameOfReferenceUID") else int(same("StudyInstanceUID"))
