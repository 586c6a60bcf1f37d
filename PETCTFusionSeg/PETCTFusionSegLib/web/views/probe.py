"""The values under the pointer, in one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.volumes import ijkToRasOfNode, petUnitsOfNode
from PETCTFusionSegLib.mrml.window_presets import SUV_UNITS

Ras = tuple[float, float, float]


def valuesAt(volumes: Iterable[Any], place: Ras) -> str:
    """What the volumes hold in the voxel around a world point (RAS, mm), as "Study CT 40, Study PET 3.20 SUV"."""
    texts = [_text(node, place) for node in volumes]
    return ", ".join(text for text in texts if text)


def _text(node: Any, place: Ras) -> str:
    local = [0.0, 0.0, 0.0]
    node.TransformPointFromWorld(place, local)
    x, y, z = (int(value) for value in np.rint((np.linalg.inv(ijkToRasOfNode(node)) @ [*local, 1.0])[:3]))
    image = node.GetImageData()
    if not all(0 <= index < size for index, size in zip((x, y, z), image.GetDimensions(), strict=True)):
        return ""
    value = image.GetScalarComponentAsDouble(x, y, z, 0)
    if petUnitsOfNode(node).units in SUV_UNITS:
        return _("{name} {value} SUV").format(name=node.GetName(), value=f"{value:.2f}")
    return f"{node.GetName()} {value:.4g}"
