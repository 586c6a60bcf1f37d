"""Sample Data: a click gives a whole study with its known contour, ready to be segmented and compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from PETCTFusionSegLib.desktop.sample_data import CATEGORY, registerSampleData
from PETCTFusionSegLib.mrml.segmentations import referenceMask, segmentImage
from PETCTFusionSegLib.mrml.sequences import showPhase
from PETCTFusionSegLib.mrml.volumes import imageFromVolumeNode, petUnitsOfNode

from .application import SlicerApplication, require


def clickSample(number: int) -> tuple[Any, Any, Any]:
    """What the button of the sample in the Sample Data module does; CT, PET and reference."""
    registerSampleData()
    source = slicer.modules.sampleDataSources[CATEGORY][number]
    ct, pet, reference = source.customDownloader(source)
    return ct, pet, reference


def sampleIsReadyToBeSegmented(app: SlicerApplication) -> None:
    """The sample patient can be segmented as it is: the PET says that it is SUV, the contour lies on the tumor."""
    ct, pet, reference = clickSample(0)
    require(petUnitsOfNode(pet).units == "SUVbw", "the PET does not say its units")
    shown = {node.GetBackgroundVolumeID() for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    require(shown <= {ct.GetID()}, f"the slice views show {shown}")
    app.ui.ctSelector.setCurrentNode(ct)
    app.ui.petSelector.setCurrentNode(pet)
    app.ui.referenceSelector.setCurrentNode(reference)
    app.wait(lambda: app.ui.applyButton.enabled, f"Apply is possible: {app.ui.applyButton.toolTip}", 5)
    pixels = slicer.util.arrayFromVolume(pet)
    inside = _arrayOf(referenceMask(reference, pet)) > 0
    require(pixels[inside].mean() > 3 * pixels[~inside].mean(), "the reference does not lie on the uptake")


def breathingSampleMovesTheTumor(app: SlicerApplication) -> None:
    """The breathing sample steps through its phases, and each contour lies within the IGTV."""
    ct, _pet, reference = clickSample(1)
    browser = app.scene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    require(browser.GetNumberOfItems() == 10, f"{browser.GetNumberOfItems()} phases")
    first = _arrayOf(imageFromVolumeNode(ct)).copy()
    showPhase(browser, 5)
    require(np.any(_arrayOf(imageFromVolumeNode(ct)) != first), "the CT of another phase is the same")
    ids = reference.GetSegmentation().GetSegmentIDs()
    igtv, still, deep = (_arrayOf(segmentImage(reference, ids[k], ct)) > 0 for k in (0, 1, 6))
    require(igtv[still].all() and igtv[deep].all(), "a contour reaches out of the IGTV")
    down = (np.argwhere(deep).mean(axis=0) - np.argwhere(still).mean(axis=0))[0] * ct.GetSpacing()[2]
    require(-14 < down < -8, f"the tumor moved {down:.1f} mm along the body at full inhalation")


def _arrayOf(image: sitk.Image) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = sitk.GetArrayFromImage(image)
    return array


STORIES = (sampleIsReadyToBeSegmented, breathingSampleMovesTheTumor)
