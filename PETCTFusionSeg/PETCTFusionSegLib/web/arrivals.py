"""What a visitor sent, as volumes and contours: read in a thread, taken for CT, PET, MR or contour, and shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes import Geometry, classify_pet, read_ct, read_mr, read_pet, read_volume
from petctfusion.volumes.dicom_files import find_series, tags_of
from petctfusion.volumes.dicom_pair import best_first, find_pair
from petctfusion.volumes.reading import as_label_map
from petctfusion.volumes.statistics import Statistics
from petctfusion.volumes.values import looks_like_ct
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage

from .contours import Contour, Contours, addContourNode, contoursAlone, contoursOfStudy, hasNamedSegments
from .opening import addPet
from .uploads import Arrival

Role = Literal["CT", "PET", "MR", "contour"]
_WORDS: dict[str, Role] = {
    **dict.fromkeys(
        ("mask", "seg", "segmentation", "label", "labels", "contour", "contours", "gtv", "igtv"), "contour"
    ),
    **dict.fromkeys(("ref", "reference", "truth", "tumor", "tumour", "lesion", "lesions", "roi"), "contour"),
    **dict.fromkeys(("pet", "pt", "suv", "suvbw", "fdg"), "PET"),
    **dict.fromkeys(("mr", "mri", "t1", "t2", "flair"), "MR"),
    **dict.fromkeys(("ct", "ctac"), "CT"),
}
_MOST_LABELS = 32


@dataclass(frozen=True)
class Arrived:
    """One volume, or a contour."""

    role: Role
    name: str
    image: sitk.Image | None = None
    unitsKnown: bool = False
    contour: Contour | None = None
    notes: tuple[str, ...] = ()
    """What of it could not be taken."""


def readArrival(arrival: Arrival, ct: Geometry | None = None) -> list[Arrived]:
    """Everything that was sent, CT and PET first. Touches no node; raises `BadInputError` for what cannot be read.

    `ct`: the grid of the one that is there already, for a structure set that comes alone.
    """
    found = [_readFile(path) for path in arrival.volumes]
    if arrival.dicom is not None:
        found += _readDicom(arrival.dicom, ct)
    order = ("CT", "PET", "MR", "contour")
    return sorted(found, key=lambda one: order.index(one.role))


def addArrived(scene: Any, found: list[Arrived], ct: Any) -> dict[Role, Any]:
    """The nodes, one of each role. A contour is drawn on the grid of the CT that came with it, else of `ct`."""
    nodes: dict[Role, Any] = {}
    for one in found:
        node = _node(scene, one, nodes.get("CT", ct))
        nodes.setdefault(one.role, node)
    return nodes


def roleOf(name: str, image: sitk.Image) -> Role:
    """What a volume is: its name says so, otherwise its values do."""
    for word in re.split(r"[^a-z0-9]+", name.lower()):
        role = _WORDS.get(word)
        if role is not None and (role != "contour" or _isLabels(image)):
            return role
    if looks_like_ct(Statistics.of(image)):
        return "CT"
    return "contour" if _isLabels(image) else "PET"


def _isLabels(image: sitk.Image) -> bool:
    """Whole numbers, few of them, and mostly background."""
    try:
        labels = sitk.GetArrayFromImage(as_label_map("", image))
    except BadInputError:
        return False
    counts = np.bincount(labels.ravel(), minlength=256)
    return bool(2 * counts[0] > labels.size and np.count_nonzero(counts) <= _MOST_LABELS)


def _readFile(path: Path) -> Arrived:
    name = path.name[: path.name.find(".")] or path.name
    if hasNamedSegments(path):
        return Arrived("contour", name, contour=Contour(name, segments=path))
    image = read_volume(path)
    role = roleOf(path.name, image)
    if role == "contour":
        return Arrived(role, name, contour=Contour(name, as_label_map(path, image)))
    if role == "PET":
        return Arrived(role, name, sitk.Cast(image, sitk.sitkFloat32), _isSuv(image))
    return Arrived(role, name, read_ct(path) if role == "CT" else image)


def _isSuv(image: sitk.Image) -> bool:
    """Whether the file itself says so; what cannot be SUV is told when it is to be segmented."""
    try:
        return not classify_pet(image, "auto", {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}).assumed
    except BadInputError:
        return False


def _readDicom(folder: Path, ct: Geometry | None) -> list[Arrived]:
    """The CT and PET that belong together, or what there is of them; an MR; structure sets as contours."""
    with tags_of(folder):
        series = find_series(folder)
    files = {name: [one.files[0] for one in best_first(series, name)[:1]] for name in ("CT", "PT", "MR")}
    if files["CT"] and files["PT"]:
        pair = find_pair(folder)
        files["CT"], files["PT"] = [pair.ct], [pair.pet]
    found = [Arrived("CT", "CT", read_ct(path)) for path in files["CT"]]
    found += [Arrived("PET", "PET", read_pet(path).image, unitsKnown=True) for path in files["PT"]]
    found += [Arrived("MR", "MR", read_mr(path)) for path in files["MR"]]
    contours = Contours()
    if files["CT"] and found[0].image is not None:
        contours = contoursOfStudy(series, Geometry.of(found[0].image), files["CT"][0])
    elif not found and ct is not None:
        contours = contoursAlone(series, ct)
    found += [Arrived("contour", one.name or _("Contour"), contour=one) for one in contours.found]
    if found:
        found[0] = replace(found[0], notes=contours.notes)
    else:
        names = "; ".join(str(one) for one in series)
        raise BadInputError(
            _("The DICOM files hold neither CT, PET nor MR volumes but {names}.").format(names=names),
            _("Send the folder of the study."),
        )
    return found


def _node(scene: Any, one: Arrived, ct: Any) -> Any:
    if one.contour is not None:
        return addContourNode(scene, one.contour, ct)
    assert one.image is not None
    assert one.role != "contour"
    if one.role == "PET":
        return addPet(scene, one.image, one.name, one.unitsKnown)
    return volumeNodeFromImage(scene, one.image, one.name, one.role)
