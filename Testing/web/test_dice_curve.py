"""The curve of Dice along the slices: where slices are in the picture, gaps, ticks, and the way back from a click."""

import re
import xml.etree.ElementTree as ET

import pytest

from PETCTFusionSegLib.web.sections.dice_curve import HEIGHT, WIDTH, DiceCurve

POSITIONS = [float(z) for z in range(-30, 31, 3)]
CURVE = DiceCurve(POSITIONS, [abs(z) / 30 for z in POSITIONS])


def points(curve):
    path = ET.fromstring(curve.svg()).find("path").get("d")
    return [(kind, float(x), float(y)) for kind, x, y in re.findall(r"([ML])([\d.]+) ([\d.]+)", path)]


def test_there_and_back_again():
    for position in POSITIONS:
        across = CURVE.across(position)
        assert 0 < across < 1
        assert CURVE.position_mm(across) == pytest.approx(position)
    assert CURVE.across(-32) is None
    assert CURVE.across(31.4) is not None
    assert CURVE.position_mm(-5) == -31.5
    assert CURVE.position_mm(5) == 31.5


def test_high_dice_is_above_and_every_slice_has_its_point():
    found = points(CURVE)
    assert len(found) == len(POSITIONS)
    assert [one[0] for one in found] == ["M"] + ["L"] * 20
    across = [x for _, x, _ in found]
    assert across == sorted(across)
    heights = [y for _, _, y in found]
    assert heights[0] == heights[-1] == min(heights)
    assert max(heights) == heights[10] < HEIGHT
    assert max(across) < WIDTH


def test_slices_without_any_contour_leave_a_gap():
    curve = DiceCurve([0.0, 3.0, 6.0, 30.0, 33.0], [1.0, 1.0, 1.0, 0.5, 0.5])
    assert [one[0] for one in points(curve)] == ["M", "L", "L", "M", "L"]


def test_ticks_are_round_numbers_within_the_slices():
    texts = [one.text for one in ET.fromstring(CURVE.svg()).findall("text")]
    ticks = [float(text) for text in texts if re.fullmatch(r"-?\d+", text)][2:]
    assert ticks == [-20, 0, 20]
    assert any("mm" in text for text in texts)


def test_one_slice_and_none():
    one = DiceCurve([12.0], [0.25])
    assert one.across(12.0) == pytest.approx((28 + (WIDTH - 38) / 2) / WIDTH)
    assert ET.fromstring(one.svg()).findall("circle")
    none = DiceCurve((), ())
    assert none.svg() == ""
    assert none.across(3.0) is None
    assert 0 <= none.position_mm(0.4) <= 1


def test_many_slices_stay_a_small_message():
    curve = DiceCurve([float(z) for z in range(400)], [0.9] * 400)
    assert len(curve.svg()) < 8000
    assert "<circle" not in curve.svg()
