"""Tissues of the phantom: what each label has in HU and takes up of FDG, with the sources of the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Label(IntEnum):
    """Values of the label map."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    VISCERAL_FAT = 4
    CORTICAL_BONE = 5
    MARROW = 6
    CARTILAGE = 7
    LUNG = 8
    AIRWAY = 9
    BLOOD = 10
    MYOCARDIUM = 11
    LIVER = 12
    SPLEEN = 13
    KIDNEY = 14
    URINE = 15
    STOMACH = 16
    STOMACH_CONTENT = 17
    BOWEL = 18
    BOWEL_CONTENT = 19
    BOWEL_GAS = 20
    PROSTATE = 21
    GREY_MATTER = 22
    WHITE_MATTER = 23
    CLEAR_FLUID = 24
    GLAND = 25
    EYE = 26
    SPINAL_CORD = 27
    SEPTUM = 28
    LESION = 29
    NECROSIS = 30
    YELLOW_MARROW = 31


@dataclass(frozen=True)
class Tissue:
    """One tissue: mean and texture (standard deviation of a smooth random field) of CT in HU and of PET in SUVbw.

    `suv_texture` is relative to the mean; `between_patients` is the relative spread of the mean over seeds.
    """

    name: str
    hu_mean: float
    hu_texture: float
    suv_mean: float
    suv_texture: float
    between_patients: float = 0.08


LIVER_SUV = 2.2
"""Mean liver SUVbw (Boellaard et al., EANM guidelines for FDG tumour imaging 2.0, EJNMMI 2015: 1.3 to 3.0)."""

# HU: of the order of Schneider, Bortfeld, Schlegel, Phys Med Biol 2000 (tissue composition to HU); fat, muscle, tumour
# from seven training patients of the soft-tissue sarcoma collection (medians: fat -104 to -99, muscle 48 to 59, bone
# 950 to 1320; tumour means 26 to 51). SUV: round values of the order of the atlases of Wang, Chiu, Rosenberg, Gambhir,
# Mol Imaging Biol 2007, and Zincirkeser et al., J Int Med Res 2007; muscle and fat agree with the same seven patients
# (medians 0.56 to 0.97 and 0.28 to 0.47). Bladder and heart vary most between people, as they do here.
TISSUES: dict[Label, Tissue] = {
    Label.AIR: Tissue("air", -1000, 0, 0.0, 0),
    Label.SKIN: Tissue("skin", 10, 10, 0.6, 0.05),
    Label.FAT: Tissue("subcutaneous fat", -101, 7, 0.3, 0.08),
    Label.MUSCLE: Tissue("muscle", 53, 6, 0.7, 0.10),
    Label.VISCERAL_FAT: Tissue("visceral fat", -98, 9, 0.4, 0.10),
    Label.CORTICAL_BONE: Tissue("cortical bone", 1050, 120, 0.6, 0.05),
    Label.MARROW: Tissue("bone marrow", 190, 45, 1.2, 0.12, 0.15),
    Label.CARTILAGE: Tissue("cartilage", 95, 15, 0.7, 0.05),
    Label.LUNG: Tissue("lung", -835, 28, 0.5, 0.08),
    Label.AIRWAY: Tissue("airway", -990, 0, 0.05, 0),
    Label.BLOOD: Tissue("blood", 42, 3, 1.6, 0.02),
    Label.MYOCARDIUM: Tissue("myocardium", 48, 4, 3.2, 0.25, 0.45),
    Label.LIVER: Tissue("liver", 58, 4, LIVER_SUV, 0.03, 0.0),
    Label.SPLEEN: Tissue("spleen", 50, 4, 1.9, 0.03),
    Label.KIDNEY: Tissue("kidney", 34, 4, 3.0, 0.10, 0.15),
    Label.URINE: Tissue("urine", 6, 3, 12.0, 0.02, 0.35),
    Label.STOMACH: Tissue("stomach wall", 40, 4, 2.1, 0.15, 0.2),
    Label.STOMACH_CONTENT: Tissue("stomach content", 15, 12, 0.7, 0.05),
    Label.BOWEL: Tissue("bowel wall", 38, 8, 1.5, 0.35, 0.2),
    Label.BOWEL_CONTENT: Tissue("bowel content", 15, 30, 0.9, 0.25, 0.2),
    Label.BOWEL_GAS: Tissue("bowel gas", -850, 60, 0.3, 0),
    Label.PROSTATE: Tissue("prostate", 40, 4, 1.6, 0.08),
    Label.GREY_MATTER: Tissue("grey matter", 37, 2, 8.0, 0.08, 0.10),
    Label.WHITE_MATTER: Tissue("white matter", 28, 2, 3.2, 0.06, 0.10),
    Label.CLEAR_FLUID: Tissue("clear fluid (cerebrospinal, bile)", 8, 2, 0.4, 0),
    Label.GLAND: Tissue("salivary gland and thyroid", 40, 15, 2.0, 0.06, 0.15),
    Label.EYE: Tissue("eye", 12, 2, 1.0, 0),
    Label.SPINAL_CORD: Tissue("spinal cord", 32, 2, 1.7, 0),
    Label.SEPTUM: Tissue("intermuscular fat", -75, 12, 0.4, 0.05),
    Label.LESION: Tissue("lesion", 42, 7, 8.0, 0.22, 0.0),
    Label.YELLOW_MARROW: Tissue("fatty marrow of long bones", 5, 25, 0.5, 0.08),
    Label.NECROSIS: Tissue("necrosis", 24, 5, 1.6, 0.15, 0.0),
}


def patient_tissues(generator: np.random.Generator, uptake: Mapping[Label, float] | None = None) -> dict[Label, Tissue]:
    """The table for one patient: mean uptakes drawn log-normally around the population's (liver and lesions stay).

    `uptake` sets the mean SUVbw of some tissues instead.
    """
    known = uptake or {}
    drawn = {}
    for label, tissue in TISSUES.items():
        factor = float(np.exp(generator.normal() * tissue.between_patients))
        drawn[label] = replace(tissue, suv_mean=known.get(label, tissue.suv_mean * factor))
    return drawn


def column(table: dict[Label, Tissue], name: str) -> NDArray[np.float32]:
    """One field of the table as an array indexed by label value."""
    values = np.zeros(max(table) + 1, dtype=np.float32)
    for label, tissue in table.items():
        values[int(label)] = getattr(tissue, name)
    return values


def table_lines() -> list[str]:
    """The table as Markdown lines."""
    lines = [
        "| label | tissue | HU | HU texture | SUVbw | texture | between patients |",
        "|---|---|---|---|---|---|---|",
    ]
    for label, t in sorted(TISSUES.items()):
        spread = f"{100 * t.suv_texture:.0f} % | {100 * t.between_patients:.0f} %"
        lines.append(f"| {int(label)} | {t.name} | {t.hu_mean:g} | {t.hu_texture:g} | {t.suv_mean:g} | {spread} |")
    return lines
