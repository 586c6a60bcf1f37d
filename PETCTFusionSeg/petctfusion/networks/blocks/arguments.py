"""Refusal of arguments that no two-modality network can be built from."""

from __future__ import annotations

from collections.abc import Sequence


def require_arguments(spatial_dims: int, modalities: Sequence[str], classes: int, widths: Sequence[int]) -> None:
    """Raise `ValueError` unless: 2 or 3 dimensions, two different modalities, a label, two or more channel counts."""
    if spatial_dims not in (2, 3):
        raise ValueError(f"spatial_dims must be 2 or 3, got {spatial_dims}")
    if len(modalities) != 2 or modalities[0] == modalities[1]:
        raise ValueError(f"modalities must name two different modalities, got {list(modalities)}")
    if classes < 1:
        raise ValueError(f"classes must be at least 1, got {classes}")
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths must be two or more positive channel counts, got {list(widths)}")
