"""From files or a phantom to nodes: read in a thread, put into the scene on the main one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import SimpleITK as sitk

from petctfusion.phantom import make_phantom
from petctfusion.volumes import Geometry, MaskChoice, read_region
from petctfusion.volumes.dicom_files import find_series
from petctfusion.volumes.reading import read_ct, read_mr
from petctfusion.volumes.units import read_pet
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.hanging import hangStudy, lesionPlace
from PETCTFusionSegLib.mrml.sample_studies import SAMPLE_PATIENT
from PETCTFusionSegLib.mrml.segmentations import addContour
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage

from .contours import Contour, Contours, addContourNode, contoursOfStudy, readContour
from .start import SessionStart

if TYPE_CHECKING:
    from PETCTFusionSegLib.workbench.bench import Workbench

    from .views.board import ViewBoard

RESULT_RGB = (230, 159, 0)


@dataclass(frozen=True)
class OpenedStudy:
    """Images of a study (HU, SUVbw, masks) and what their nodes shall be called; what is not there is None."""

    name: str
    ct: sitk.Image | None = None
    pet: sitk.Image | None = None
    mr: sitk.Image | None = None
    references: Contours = field(default_factory=Contours)
    """The first one is compared with."""
    segmentation: sitk.Image | None = None
    unitsKnown: bool = True
    """False: nothing says that the PET is in SUV, so the user is asked."""


@dataclass(frozen=True)
class StudyNodes:
    """The nodes of an opened study, or None."""

    ct: Any = None
    pet: Any = None
    extra: Any = None
    reference: Any = None
    output: Any = None


def readStudy(start: SessionStart) -> OpenedStudy | None:
    """Read what the session begins with; None when it begins empty. Touches no node; raises `BadInputError`."""
    if start.phantomSeed is not None:
        phantom = make_phantom(replace(SAMPLE_PATIENT, seed=start.phantomSeed))
        reference = Contour(_("Reference"), phantom.reference)
        return OpenedStudy(_("Phantom"), phantom.ct, phantom.pet, references=Contours((reference,)))
    if start.ct is None and start.pet is None:
        return None
    ct = read_ct(start.ct) if start.ct is not None else None
    pet = read_pet(start.pet, start.petUnits) if start.pet is not None else None
    return OpenedStudy(
        _studyName(start),
        ct,
        pet.image if pet is not None else None,
        read_mr(start.mr) if start.mr is not None else None,
        _references(start, ct),
        _mask(start.segmentation, ct),
        unitsKnown=pet is None or not pet.units.assumed,
    )


def addStudy(scene: Any, study: OpenedStudy) -> StudyNodes:
    """The study's nodes, made now; masks become segmentations, the reference as an outline."""
    ct = _volume(scene, study.ct, study.name, "CT")
    references = [addContourNode(scene, one, ct) for one in study.references.found] if ct is not None else []
    result = None
    if ct is not None and study.segmentation is not None:
        result = addContour(scene, study.segmentation, ct, _("Result"), RESULT_RGB)
    pet = addPet(scene, study.pet, f"{study.name} PET", study.unitsKnown) if study.pet is not None else None
    mr = _volume(scene, study.mr, study.name, "MR")
    return StudyNodes(ct, pet, mr, references[0] if references else None, result)


def addPet(scene: Any, image: sitk.Image, name: str, unitsKnown: bool) -> Any:
    """A PET's node; the units are left open when nothing says what they are."""
    node = volumeNodeFromImage(scene, image, name, "PET")
    if not unitsKnown:
        node.SetVoxelValueUnits(None)
        node.SetVoxelValueQuantity(None)
    return node


def showStudy(bench: Workbench, board: ViewBoard, study: OpenedStudy) -> None:
    """Make the study's nodes, choose and hang them; the reference, if there is one, decides what the views cut."""
    nodes, chosen = addStudy(bench.scene, study), bench.study
    chosen.ct, chosen.pet, chosen.extra, chosen.reference = nodes.ct, nodes.pet, nodes.extra, nodes.reference
    hangStudy(bench.scene, nodes.ct, nodes.pet, lesionPlace(nodes.output or nodes.reference))
    if nodes.output is not None:
        bench.editor.edit(nodes.output, nodes.ct)
    board.fit()


def _volume(scene: Any, image: sitk.Image | None, study: str, kind: Any) -> Any:
    return volumeNodeFromImage(scene, image, f"{study} {kind}", kind) if image is not None else None


def _references(start: SessionStart, ct: sitk.Image | None) -> Contours:
    """What was given, otherwise what lies in the study's DICOM folder."""
    if start.reference is not None:
        return readContour(start.reference, _("Reference"), Geometry.of(ct) if ct is not None else None)
    if start.dicom is None or start.ct is None or ct is None:
        return Contours()
    return contoursOfStudy(find_series(start.dicom), Geometry.of(ct), start.ct)


def _mask(path: Path | None, ct: sitk.Image | None) -> sitk.Image | None:
    if path is None:
        return None
    return read_region(path, MaskChoice(), Geometry.of(ct) if ct is not None else None).image


def _studyName(start: SessionStart) -> str:
    source = start.dicom or start.ct or start.pet
    return source.name.split(".")[0] if source is not None else ""
