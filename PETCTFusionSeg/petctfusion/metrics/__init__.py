"""Dice, HD95, NSD, volumes, lesions, uptake and slices, at once or live; definitions in docs/metrics.md."""

from petctfusion.metrics.agreement import MaskAgreement, compare_masks
from petctfusion.metrics.comparison import Comparison, compare
from petctfusion.metrics.distances import SurfaceAgreement
from petctfusion.metrics.lesions import Lesion, label_lesions, lesion_table
from petctfusion.metrics.live import LiveComparison, WorstPlace
from petctfusion.metrics.matching import LesionMatching, match_lesions
from petctfusion.metrics.overlap import dice, jaccard, volume_difference_ml, volume_ml
from petctfusion.metrics.slices import SliceCurve, slice_curve
from petctfusion.metrics.surface import assd_mm, hd95_mm, hd_mm, nsd, surface_distances, surface_voxels

__all__ = [
    "Comparison",
    "Lesion",
    "LesionMatching",
    "LiveComparison",
    "MaskAgreement",
    "SliceCurve",
    "SurfaceAgreement",
    "WorstPlace",
    "assd_mm",
    "compare",
    "compare_masks",
    "dice",
    "hd95_mm",
    "hd_mm",
    "jaccard",
    "label_lesions",
    "lesion_table",
    "match_lesions",
    "nsd",
    "slice_curve",
    "surface_distances",
    "surface_voxels",
    "volume_difference_ml",
    "volume_ml",
]
