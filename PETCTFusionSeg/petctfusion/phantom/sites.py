"""Where lesions can sit in the procedural body, in nominal body mm (x to the left, y to the back, z up)."""

from __future__ import annotations

from petctfusion.phantom.shapes import Point

SITES: dict[str, Point] = {
    "thigh-left": (98, -46, 75),
    "thigh-right": (-98, -46, 75),
    "thigh-back-left": (86, 44, 70),
    "thigh-back-right": (-86, 44, 70),
    "groin-left": (88, -62, 232),
    "groin-right": (-88, -62, 232),
    "liver": (-70, 8, 630),
    "lung-right": (-74, 0, 785),
    "lung-left": (72, 22, 800),
    "mediastinum": (-20, 14, 800),
    "axilla-left": (142, 0, 800),
    "axilla-right": (-142, 0, 800),
    "neck-left": (44, 6, 925),
    "neck-right": (-44, 6, 925),
    "spine": (0, 48, 488),
    "pelvis": (52, 8, 320),
}
