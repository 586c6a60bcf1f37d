"""Dice, HD95, volumes and lesions; definitions in docs/metrics.md."""

from petctfusion.metrics.comparison import Comparison, compare
from petctfusion.metrics.lesions import Lesion, label_lesions, lesion_table
from petctfusion.metrics.overlap import dice, jaccard, volume_difference_ml, volume_ml
from petctfusion.metrics.surface import assd_mm, hd95_mm, hd_mm, surface_distances, surface_voxels

__all__ = [
    "Comparison",
    "Lesion",
    "assd_mm",
    "compare",
    "dice",
    "hd95_mm",
    "hd_mm",
    "jaccard",
    "label_lesions",
    "lesion_table",
    "surface_distances",
    "surface_voxels",
    "volume_difference_ml",
    "volume_ml",
]
