"""Whether a study can be segmented, from where its volumes lie and a sample of their values: milliseconds, no copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from petctfusion.errors import BadInputError
from petctfusion.volumes import Finding, Geometry, Verdict, check_grids
from petctfusion.volumes.checks import swap_findings
from petctfusion.volumes.overlap import covered_share
from petctfusion.volumes.statistics import Statistics

from .transforms import RAS_LPS, arrayFromImage, isSheared, linearToWorld
from .volumes import geometryOfVolumeNode, ijkToRasOfNode

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLVolumeNode

_SAMPLED_VOXELS = 50_000
_LEAST_OVERLAP = 0.01


def studyVerdict(
    ct: vtkMRMLVolumeNode,
    pet: vtkMRMLVolumeNode,
    extra: vtkMRMLVolumeNode | None = None,
    reference: vtkMRMLNode | None = None,
) -> Verdict:
    """What `check_study` would say about place and grids, and whether CT and PET are in each other's place.

    Parent transforms count. Other values (units, plausibility) are looked at when the study is collected for a run.
    """
    findings: list[Finding] = []
    grids: dict[str, Geometry] = {}
    for subject, node in (("CT", ct), ("PET", pet), ("MR", extra)):
        if node is not None:
            try:
                grids[subject] = geometryOfVolumeNode(node)
            except BadInputError as error:
                findings.append(Finding("refuse", subject, error.message, error.hint))
            else:
                findings += _transformFindings(subject, node)
    if any(finding.severity == "refuse" for finding in findings):
        return Verdict(tuple(findings))
    findings += swap_findings(_sampled(ct), _sampled(pet))
    findings += check_grids(grids["CT"], grids["PET"]).findings
    if "MR" in grids and max(_shares(grids["MR"], grids["CT"])) < _LEAST_OVERLAP:
        message = "The additional volume does not overlap the CT: is it of another patient?"
        findings.append(Finding("refuse", "MR", message, "Choose another one, or none."))
    if reference is not None and _isElsewhere(reference, grids["CT"]):
        findings.append(Finding("note", "reference", "The reference lies outside the CT: is it of another patient?"))
    return Verdict(tuple(findings))


def _transformFindings(subject: str, node: Any) -> list[Finding]:
    """A transform that no origin, spacing and direction can describe costs an interpolation."""
    toWorld = linearToWorld(node)
    if toWorld is not None and not isSheared(toWorld @ ijkToRasOfNode(node)):
        return []
    message = f"The transform of the {subject} bends or shears it: its values are interpolated onto an upright grid."
    return [Finding("resample", subject, message)]


def _sampled(node: Any) -> Statistics:
    values = arrayFromImage(node.GetImageData()).reshape(-1)
    # An odd step visits every column of the grid sooner or later.
    return Statistics.of_some(values[:: max(1, values.size // _SAMPLED_VOXELS) | 1])


def _shares(first: Geometry, second: Geometry) -> tuple[float, float]:
    return covered_share(first, second), covered_share(second, first)


def _isElsewhere(node: Any, ct: Geometry) -> bool:
    """True when the box around a contour, in world space, does not touch the CT's; an empty one is nowhere."""
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    if not np.all(low <= high):
        return False
    corners = ct.corners() @ RAS_LPS[:3, :3]
    return bool(np.any(high < corners.min(axis=0)) or np.any(low > corners.max(axis=0)))
