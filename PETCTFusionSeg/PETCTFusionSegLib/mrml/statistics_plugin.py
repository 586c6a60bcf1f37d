"""SUVmax, SUVmean, SUVpeak, MTV and TLG as a plugin of Slicer's Segment Statistics module, where that module exists."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from petctfusion.errors import FusionError
from petctfusion.metrics.lesions import lesion_table

from .headless import importSlicer
from .segmentations import segmentImage
from .volumes import SUV_CODE, geometryOfVolumeNode, imageFromVolumeNode, petUnitsOfNode

PLUGIN_NAME = "PET uptake (SUV)"


@dataclass(frozen=True)
class Measurement:
    """How a number is called and coded."""

    name: str
    description: str
    units: str
    quantity: tuple[str, str, str]
    derivation: tuple[str, str, str] | None = None


_SUV = ("126400", "DCM", "Standardized Uptake Value")
_VOLUME = ("118565006", "SCT", "Volume")
_TLG = ("126033", "DCM", "Total Lesion Glycolysis")
MEASUREMENTS: dict[str, Measurement] = {
    "suv_max": Measurement("SUVmax", "Highest SUV of a PET voxel in the segment.", SUV_CODE, _SUV,
                           ("56851009", "SCT", "Maximum")),
    "suv_mean": Measurement("SUVmean", "TLG / MTV: mean SUV, weighted by the volumes of the lesions.", SUV_CODE, _SUV,
                            ("373098007", "SCT", "Mean")),
    "suv_peak": Measurement("SUVpeak", "Highest mean of a 1 ml sphere centred on a PET voxel in the segment.", SUV_CODE,
                            _SUV, ("126031", "DCM", "Peak Value Within ROI")),
    "mtv_ml": Measurement("MTV", "Metabolic tumor volume: volume of the segment's lesions that the PET covers.",
                          "ml", _VOLUME),
    "tlg": Measurement("TLG", "Total lesion glycolysis: sum of SUVmean times volume over the lesions.", "g", _TLG),
}  # fmt: skip


def uptakeOfSegment(segmentation: Any, segmentId: str, pet: Any) -> dict[str, float]:
    """The numbers of `MEASUREMENTS` for one segment; empty when the volume is not in SUVbw or misses the segment.

    The segment is taken on its own reference grid; lesions are its 18-connected components (`metrics.lesions`).
    """
    if petUnitsOfNode(pet).units != "SUVbw":
        return {}
    reference = segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole()) or pet
    mask = segmentImage(segmentation, segmentId, geometryOfVolumeNode(reference).empty())
    lesions = [one for one in lesion_table(mask, imageFromVolumeNode(pet)) if one.suv_max is not None]
    if not lesions:
        return {}
    mtv = math.fsum(one.mtv_ml for one in lesions)
    tlg = math.fsum(one.tlg for one in lesions if one.tlg is not None)
    return {
        "suv_max": max(one.suv_max for one in lesions if one.suv_max is not None),
        "suv_mean": tlg / mtv,
        "suv_peak": max(one.suv_peak for one in lesions if one.suv_peak is not None),
        "mtv_ml": mtv,
        "tlg": tlg,
    }


def registerStatisticsPlugin() -> bool:
    """Add the plugin to Segment Statistics, in place of an earlier one; False where Slicer has no such module."""
    try:
        from SegmentStatistics import SegmentStatisticsLogic  # type: ignore[import-not-found]
        from SegmentStatisticsPlugins import SegmentStatisticsPluginBase  # type: ignore[import-not-found]
    except ImportError:
        return False
    plugin = pluginClass(SegmentStatisticsPluginBase)
    registered = SegmentStatisticsLogic.registeredPlugins
    # The list holds classes; one of an earlier load of this module would compute with the old code.
    registered[:] = [one for one in registered if one.__name__ != plugin.__name__]
    SegmentStatisticsLogic.registerPlugin(plugin())
    return True


def pluginClass(base: type) -> type:
    """The plugin as a subclass of Slicer's `SegmentStatisticsPluginBase`, which headless does not exist."""

    class PETUptakeSegmentStatisticsPlugin(base):  # type: ignore[misc]
        """PET uptake of segments; gives nothing for volumes that do not say that they are SUV."""

        def __init__(self) -> None:
            super().__init__()
            self.name = PLUGIN_NAME
            self.title = PLUGIN_NAME
            self.keys = list(MEASUREMENTS)
            self.defaultKeys = list(MEASUREMENTS)

        def computeStatistics(self, segmentID: str) -> dict[str, float]:
            """The requested numbers of a segment; an empty dictionary when there are none."""
            requested, nodes = self.getRequestedKeys(), self.getParameterNode()
            scene = importSlicer().mrmlScene
            segmentation = scene.GetNodeByID(nodes.GetParameter("Segmentation"))
            pet = scene.GetNodeByID(nodes.GetParameter("ScalarVolume"))
            if segmentation is None or pet is None or not requested:
                return {}
            try:
                found = uptakeOfSegment(segmentation, segmentID, pet)
            except FusionError:
                # A volume that cannot be read leaves the cells empty, as Slicer's own plugins do.
                return {}
            return {key: value for key, value in found.items() if key in requested}

        def getMeasurementInfo(self, key: str) -> Any:
            """Name, description, units and DICOM codes of a number; None for an unknown one."""
            one = MEASUREMENTS.get(key)
            if one is None:
                return None
            unit = one.units
            return self.createMeasurementInfo(
                name=one.name,
                description=one.description,
                units=unit,
                quantityDicomCode=self.createCodedEntry(*one.quantity, True),
                unitsDicomCode=self.createCodedEntry(unit, "UCUM", unit, True),
                derivationDicomCode=self.createCodedEntry(*one.derivation, True) if one.derivation else None,
            )

    return PETUptakeSegmentStatisticsPlugin
