"""A reference of several segments: which one is meant decides what is compared, drawn over, delivered and looked at."""

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.metrics import dice
from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.regions import Regions
from PETCTFusionSegLib.mrml.agreement_overlay import BOTH, AgreementOverlay
from PETCTFusionSegLib.mrml.hanging import lesionPlace
from PETCTFusionSegLib.mrml.live import LiveComparisons
from PETCTFusionSegLib.mrml.reference_segment import chooseReferenceSegment, referenceSegment, segmentChoices
from PETCTFusionSegLib.mrml.region_contours import addRegions
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, segmentImage
from PETCTFusionSegLib.mrml.terminology import NEOPLASM, meaningOf, terminologyOf
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage

GRID = Geometry((40, 36, 30), (2.0, 2.0, 3.0), (-40.0, 20.0, 300.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
GREEN = (0, 158, 115)


def box(z, y, x):
    mask = np.zeros(GRID.shape, np.uint8)
    mask[z, y, x] = 1
    return mask


GTV = box(slice(10, 18), slice(10, 18), slice(10, 18))
HEART = box(slice(8, 20), slice(8, 30), slice(16, 36))  # overlaps the tumour
DRAWN = box(slice(10, 18), slice(10, 18), slice(12, 20))


def regions(**masks):
    return Regions("plan", {name: GRID.image(mask)[6:38, 6:34, 4:26] for name, mask in masks.items()})


@pytest.fixture
def ct(scene):
    return volumeNodeFromImage(scene, GRID.image(np.zeros(GRID.shape, np.int16)), "CT", "CT")


@pytest.fixture
def plan(scene, ct):
    return addRegions(scene, regions(Heart=HEART, GTV=GTV), ct, "plan", GREEN)


@pytest.fixture
def drawn(scene, ct):
    spec = LabelSpec(value=1, name="Tumor", terminology=NEOPLASM, color=(200, 60, 60))
    return createSegmentation(scene, GRID.image(DRAWN), [spec], ct, "drawn", {})


def arrayOf(image):
    return sitk.GetArrayFromImage(image)


def idOf(node, name):
    return node.GetSegmentation().GetSegmentIdBySegmentName(name)


def rowOf(comparisons):
    assert comparisons.wait(20)
    comparisons.poll()
    (row,) = comparisons.rows()
    return row


def test_every_region_is_a_segment_and_only_the_tumor_is_shown_and_meant(plan, ct):
    gtv, heart = idOf(plan, "GTV"), idOf(plan, "Heart")
    assert segmentChoices(plan) == {heart: "Heart", gtv: "GTV"}
    assert referenceSegment(plan) == gtv
    for name, mask in (("GTV", GTV), ("Heart", HEART)):
        found = segmentImage(plan, idOf(plan, name), ct)
        assert np.array_equal(arrayOf(found), mask)
    display, segmentation = plan.GetDisplayNode(), plan.GetSegmentation()
    assert [display.GetSegmentVisibility(one) for one in (gtv, heart)] == [True, False]
    assert segmentation.GetSegment(gtv).GetColor() == pytest.approx([part / 255 for part in GREEN])
    assert meaningOf(terminologyOf(segmentation.GetSegment(gtv))) == "Neoplasm"
    assert meaningOf(terminologyOf(segmentation.GetSegment(heart))) != "Neoplasm"
    chooseReferenceSegment(plan, heart)
    assert display.GetSegmentVisibility(heart)
    chooseReferenceSegment(plan, gtv)
    # Slices are cut through what is meant, although another segment comes first.
    assert lesionPlace(plan) == pytest.approx(plan.GetSegmentCenterRAS(gtv))


def test_without_one_tumor_among_the_names_nothing_is_chosen_or_hidden(scene, ct):
    node = addRegions(scene, regions(GTVp=GTV, GTVn=HEART), ct, "plan", GREEN)
    assert referenceSegment(node) == ""
    assert all(node.GetDisplayNode().GetSegmentVisibility(one) for one in segmentChoices(node))


def test_what_is_meant_is_what_is_compared(scene, drawn, plan):
    comparisons = LiveComparisons(scene)
    expected = {"GTV": dice(DRAWN > 0, GTV > 0), "Heart": dice(DRAWN > 0, HEART > 0)}
    expected[""] = dice(DRAWN > 0, (GTV | HEART) > 0)
    for name, value in expected.items():
        chooseReferenceSegment(plan, idOf(plan, name) if name else "")
        comparisons.follow(drawn, plan)
        row = rowOf(comparisons)
        assert row.numbers.dice == pytest.approx(value)
        assert row.referenceName == (name or "plan")
    comparisons.close()


def test_the_overlay_draws_against_it(scene, drawn, plan, ct):
    overlay = AgreementOverlay(scene)
    overlay.show(drawn, plan)
    while not overlay.update(0.05):
        pass
    assert np.array_equal(arrayOf(segmentImage(overlay.node, BOTH, ct)), DRAWN & GTV)
    overlay.hide()


def test_one_that_is_gone_means_none(plan, drawn):
    plan.GetSegmentation().AddEmptySegment("Lung", "Lung")
    plan.GetSegmentation().RemoveSegment(idOf(plan, "GTV"))
    assert referenceSegment(plan) == ""
    assert segmentChoices(drawn) == segmentChoices(None) == {}
