"""Volumes: read, checked, in HU and SUVbw, on one grid and back."""

from petctfusion.volumes.checks import check_grids, check_study
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import common_grid, resample_image, resample_probability
from petctfusion.volumes.labels import resample_labels
from petctfusion.volumes.masks import MaskChoice, Region, brings_grid, read_region
from petctfusion.volumes.notes import add_note, notes_of
from petctfusion.volumes.reading import read_ct, read_mask, read_mr, read_volume
from petctfusion.volumes.units import UNIT_CHOICES, PetUnits, PetVolume, check_plausible, classify_pet, read_pet
from petctfusion.volumes.verdict import Finding, Verdict
from petctfusion.volumes.writing import write_volume

__all__ = [
    "UNIT_CHOICES",
    "Finding",
    "Geometry",
    "MaskChoice",
    "PetUnits",
    "PetVolume",
    "Region",
    "Verdict",
    "add_note",
    "brings_grid",
    "check_grids",
    "check_plausible",
    "check_study",
    "classify_pet",
    "common_grid",
    "notes_of",
    "read_ct",
    "read_mask",
    "read_mr",
    "read_pet",
    "read_region",
    "read_volume",
    "resample_image",
    "resample_labels",
    "resample_probability",
    "write_volume",
]
