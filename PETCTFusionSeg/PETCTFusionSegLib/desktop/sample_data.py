"""Sample Data of this extension: simulated patients with known contours, made on the user's computer on a click."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from petctfusion.phantom import make_phantom
from petctfusion.phantom.breathing import make_breathing
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.hanging import fitSlices, hottestPlace, showFused
from PETCTFusionSegLib.mrml.sample_studies import SAMPLE_PATIENT, SampleStudy, addBreathingPatient, addSamplePatient

CATEGORY = "PETCTFusionSeg"
_ICONS = Path(__file__).resolve().parents[2] / "Resources" / "Icons"
_MESSAGE_MS = 5000
_TURN_S = 0.02
Made = TypeVar("Made")


@dataclass(frozen=True)
class Sample(Generic[Made]):
    """One entry of Sample Data: its name, its thumbnail, and how it is simulated and put into a scene."""

    name: str
    thumbnail: str
    simulate: Callable[[], Made]
    add: Callable[[Any, Made], SampleStudy]


def samples() -> tuple[Sample[Any], ...]:
    """What this extension offers."""
    return (
        Sample(
            _("PET/CT phantom: thigh sarcoma"),
            "SamplePatient.png",
            partial(make_phantom, SAMPLE_PATIENT),
            addSamplePatient,
        ),
        Sample(_("4D PET/CT phantom: breathing"), "SampleBreathing.png", make_breathing, addBreathingPatient),
    )


def registerSampleData() -> None:
    """Offer the samples in Slicer's Sample Data module, once; called when the application has started."""
    import SampleData  # type: ignore[import-not-found]

    logic = SampleData.SampleDataLogic
    # Slicer before 5.13 makes the category with its first entry.
    if hasattr(logic, "registerCustomSampleDataCategory"):
        logic.registerCustomSampleDataCategory(CATEGORY, title=CATEGORY)
    known = {source.sampleName for source in logic.sampleDataSourcesByCategory(CATEGORY)}
    for sample in samples():
        if sample.name not in known:
            logic.registerCustomSampleDataSource(
                category=CATEGORY,
                sampleName=sample.name,
                uris=[],
                fileNames=[],
                nodeNames=[],
                thumbnailFileName=str(_ICONS / sample.thumbnail),
                customDownloader=loadSample,
            )


def loadSample(source: Any) -> list[Any]:
    """Simulate the sample that was clicked and show it; returns CT, PET and reference. Windows are drawn meanwhile."""
    import slicer

    sample = next(one for one in samples() if one.name == source.sampleName)
    slicer.util.showStatusMessage(_("Simulating the sample patient, a few seconds..."))
    study = sample.add(slicer.mrmlScene, _computed(sample.simulate))
    _show(study)
    slicer.util.showStatusMessage(_("{name} is loaded.").format(name=sample.name), _MESSAGE_MS)
    return [study.ct, study.pet, study.reference]


def _computed(work: Callable[[], Made]) -> Made:
    """The result of `work`, done in a thread: the application draws its windows, but takes no clicks and keys."""
    import qt
    import slicer

    outcome: list[Made] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="PETCTFusionSeg sample", daemon=True)
    thread.start()
    while thread.is_alive():
        slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)
        time.sleep(_TURN_S)
    if failure:
        raise failure[0]
    return outcome[0]


def _show(study: SampleStudy) -> None:
    """CT with the PET over it in the slice views; a breathing patient with the bar that steps through the phases."""
    import slicer

    # The active volume is what other modules start with.
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetActiveVolumeID(study.ct.GetID())
    selection.SetSecondaryVolumeID(study.pet.GetID())
    showFused(slicer.mrmlScene, study.ct, study.pet)
    fitSlices(slicer.mrmlScene, study.ct, hottestPlace(study.pet))
    showBrowser = getattr(slicer.modules.sequences, "showSequenceBrowser", None)
    if study.phases is not None and showBrowser is not None:
        showBrowser(study.phases.browser)
