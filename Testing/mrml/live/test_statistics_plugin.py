"""The plugin for Segment Statistics, with a stand-in that has the documented interface."""

import sys
from types import ModuleType

import numpy as np
import pytest
import slicer
from ball_study import RESULT, SHAPE

from PETCTFusionSegLib.mrml import statistics_plugin
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage


class PluginBase:
    """As much of `SegmentStatisticsPluginBase` as plugins use."""

    @staticmethod
    def createCodedEntry(code, scheme, meaning, asString=False):
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(code, scheme, meaning)
        return entry.GetAsString() if asString else entry

    @staticmethod
    def createMeasurementInfo(
        name,
        description,
        units,
        quantityDicomCode=None,
        unitsDicomCode=None,
        measurementMethodDicomCode=None,
        derivationDicomCode=None,
        componentNames=None,
    ):
        return {"name": name, "description": description, "units": units, "DICOM.QuantityCode": quantityDicomCode,
                "DICOM.UnitsCode": unitsDicomCode, "DICOM.DerivationCode": derivationDicomCode}  # fmt: skip

    def __init__(self):
        self.name, self.keys, self.defaultKeys, self.parameterNode = "", [], [], None

    def getRequestedKeys(self):
        prefix = self.__class__.__name__ + "."
        return [key for key in self.keys if self.parameterNode.GetParameter(f"{prefix}{key}.enabled") == "True"]

    def getParameterNode(self):
        return self.parameterNode


def plugin(followed, pet, keys=None):
    made = statistics_plugin.pluginClass(PluginBase)()
    made.parameterNode = slicer.vtkMRMLScriptedModuleNode()
    made.parameterNode.SetParameter("Segmentation", followed.prediction.GetID())
    made.parameterNode.SetParameter("ScalarVolume", pet.GetID())
    for key in keys or made.defaultKeys:
        made.parameterNode.SetParameter(f"{made.__class__.__name__}.{key}.enabled", "True")
    return made


@pytest.fixture
def suv():
    return (np.random.default_rng(2).random(SHAPE) * 9).astype(np.float32)


def test_the_plugin_gives_suv_numbers(followed, suv):
    pet = volumeNodeFromImage(followed.scene, followed.grid.image(suv), "PET", "PET")
    found = plugin(followed, pet).computeStatistics("Result")
    inside = suv[RESULT].astype(np.float64)
    assert found["suv_max"] == inside.max()
    assert found["suv_mean"] == pytest.approx(inside.mean(), rel=1e-9)
    assert found["mtv_ml"] == pytest.approx(RESULT.sum() * 0.012)
    assert found["tlg"] == pytest.approx(inside.mean() * RESULT.sum() * 0.012, rel=1e-9)
    assert inside.mean() < found["suv_peak"] < found["suv_max"]
    assert list(plugin(followed, pet, ["tlg"]).computeStatistics("Result")) == ["tlg"]


def test_the_plugin_gives_nothing_where_there_is_no_suv(followed, suv):
    unknown = volumeNodeFromImage(followed.scene, followed.grid.image(suv), "PET", "MR")
    assert plugin(followed, unknown).computeStatistics("Result") == {}
    pet = volumeNodeFromImage(followed.scene, followed.grid.image(suv), "PET", "PET")
    followed.edit(RESULT & False)
    assert plugin(followed, pet).computeStatistics("Result") == {}
    gone = plugin(followed, pet)
    followed.scene.RemoveNode(pet)
    assert gone.computeStatistics("Result") == {}


def test_every_number_of_the_plugin_is_described(followed, suv):
    made = plugin(followed, volumeNodeFromImage(followed.scene, followed.grid.image(suv), "PET", "PET"))
    for key in made.keys:
        info = made.getMeasurementInfo(key)
        assert info["name"]
        assert info["units"]
        assert "CodeValue" in info["DICOM.QuantityCode"]
    assert made.getMeasurementInfo("nothing") is None


def test_it_is_registered_once_and_only_where_segment_statistics_exists(monkeypatch):
    assert not statistics_plugin.registerStatisticsPlugin()

    class Logic:
        """Slicer's logic keeps classes, and makes its own instance of each."""

        registeredPlugins = [PluginBase]  # noqa: RUF012 - Slicer's own name and kind

        @staticmethod
        def registerPlugin(one):
            assert isinstance(one, PluginBase)
            if one.__class__ not in Logic.registeredPlugins:
                Logic.registeredPlugins.append(one.__class__)

    for name, content in (
        ("SegmentStatistics", {"SegmentStatisticsLogic": Logic}),
        ("SegmentStatisticsPlugins", {"SegmentStatisticsPluginBase": PluginBase}),
    ):
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    assert statistics_plugin.registerStatisticsPlugin()
    assert statistics_plugin.registerStatisticsPlugin()
    assert [one().name for one in Logic.registeredPlugins] == ["", "PET uptake (SUV)"]
