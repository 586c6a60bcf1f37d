"""Segments of a `.seg.nrrd` file, as Slicer writes it: layers of label values, names, and the grid it was cut from.

Field names: Slicer's vtkMRMLSegmentationStorageNode ("Segment0_LabelValue", "Segmentation_ConversionParameters", ...).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.errors import BadInputError
from petctfusion.volumes.extent import embedded
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.notes import value_of

_SEGMENT = re.compile(r"Segment(\d+)_(ID|Name)")
_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_LONGEST_AXIS = 10_000


@dataclass(frozen=True)
class Segment:
    """One segment: the voxels with `value` in `layer`."""

    id: str
    name: str
    value: int
    layer: int


def has_segments(keys: Iterable[str]) -> bool:
    """Whether the metadata keys of an image name at least one segment."""
    return any(_SEGMENT.fullmatch(key) for key in keys)


def segments_of(image: sitk.Image) -> list[Segment]:
    """The segments that the metadata of `image` name, in the order of the file."""
    numbers = sorted({int(m.group(1)) for m in map(_SEGMENT.fullmatch, image.GetMetaDataKeys()) if m})
    return [_segment(image, number) for number in numbers]


def segment_mask(path: Path, image: sitk.Image, wanted: str | None) -> sitk.Image:
    """The segment called `wanted` (name, id or label value; None: all segments together) as a mask, uint8 0 and 1.

    On the grid of the image that was segmented, where the file names it: Slicer may store only the box that holds
    something. Raises `BadInputError` naming the segments when there is no such one, or more than one.
    """
    if "fractional" in value_of(image, "Segmentation_MasterRepresentation").lower():
        raise BadInputError(f"{path} holds a fractional label map.", "Save it as binary label map.")
    layers = sitk.GetArrayViewFromImage(image)
    layers = layers[..., None] if layers.ndim == 3 else layers
    segments = segments_of(image)
    chosen = segments if wanted is None else [_chosen(path, segments, wanted)]
    inside = np.zeros(layers.shape[:3], dtype=np.uint8)
    for segment in chosen:
        if segment.layer >= layers.shape[3]:
            raise BadInputError(
                f"{path} puts the segment {segment.name!r} into layer {segment.layer}, which it does not have.",
                "Save the segmentation again.",
            )
        inside |= layers[..., segment.layer] == segment.value
    return _uncut(image, inside)


def _segment(image: sitk.Image, number: int) -> Segment:
    def field(name: str) -> str:
        return value_of(image, f"Segment{number}_{name}")

    # Before Slicer 4.11 there was neither: each segment had its own layer and the value 1.
    value, layer = field("LabelValue"), field("Layer")
    return Segment(
        field("ID"),
        field("Name") or field("ID"),
        int(value) if value.isdigit() else 1,
        int(layer) if layer.isdigit() else (0 if value else number),
    )


def _chosen(path: Path, segments: list[Segment], wanted: str) -> Segment:
    rules: list[Any] = [
        lambda s: s.name == wanted,
        lambda s: s.id == wanted,
        lambda s: s.name.strip().casefold() == wanted.strip().casefold(),
        lambda s: str(s.value) == wanted.strip(),
    ]
    names = ", ".join(f"{s.name} (value {s.value})" for s in segments)
    for rule in rules:
        found = [segment for segment in segments if rule(segment)]
        if len(found) == 1:
            return found[0]
        if found:
            raise BadInputError(f"{path} has {len(found)} segments {wanted!r}: {names}.", "Choose one by its name.")
    raise BadInputError(f"{path} has no segment {wanted!r}, only {names}.", "Choose one of these.")


def _uncut(image: sitk.Image, inside: NDArray[np.uint8]) -> sitk.Image:
    """The mask on the whole grid of the segmented image, if the file names one that holds the stored box."""
    stored = Geometry.of(image)
    whole = _reference_grid(value_of(image, "Segmentation_ConversionParameters"))
    if whole is None:
        return stored.image(inside)
    on_whole = embedded(inside, stored, whole)
    return stored.image(inside) if on_whole is None else on_whole


def _reference_grid(parameters: str) -> Geometry | None:
    """The grid in "Reference image geometry|m00;m01;...;m33;extent 0 to 5;|...": index to RAS, first and last index."""
    found = re.search(r"Reference image geometry\|([-+.0-9eE;]+)\|", parameters)
    try:
        values = [float(v) for v in found.group(1).strip(";").split(";")] if found else []
    except ValueError:
        return None
    if len(values) != 22 or not np.all(np.isfinite(values)):
        return None
    matrix = _LPS_FROM_RAS @ np.array(values[:16]).reshape(4, 4)
    low, high = np.array(values[16::2]), np.array(values[17::2])
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if np.any(high < low) or np.any(high - low > _LONGEST_AXIS) or np.any(spacing <= 0):
        return None
    origin = matrix[:3, :3] @ low + matrix[:3, 3]
    size = (high - low + 1).astype(int)
    axes = matrix[:3, :3] / spacing
    return Geometry(
        (int(size[0]), int(size[1]), int(size[2])),
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        tuple(float(v) for v in axes.ravel()),
    )
