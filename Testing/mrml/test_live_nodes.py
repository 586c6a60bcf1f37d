"""Tables, plot, distance model, jumps and the statistics plugin, on real nodes."""

import sys
import time
from types import ModuleType

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from vtkmodules.util.numpy_support import vtk_to_numpy

from petctfusion.errors import BadInputError
from petctfusion.metrics import dice, hd95_mm
from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml import distance_model, live_plot, live_tables, statistics_plugin
from PETCTFusionSegLib.mrml.live import LiveComparisons
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, setSegmentImage
from PETCTFusionSegLib.mrml.terminology import NEOPLASM
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage
from PETCTFusionSegLib.mrml.worst_place import centreSliceViews, worstPlaces

OBLIQUE = tuple(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5).GetMatrix())
AXIAL = (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)
SHAPE = (30, 36, 40)


def ball(centre, radius, shape=SHAPE, spacing=(3.0, 2.0, 2.0)):
    index = np.indices(shape)
    squares = sum(((i - c) * s) ** 2 for i, c, s in zip(index, centre, spacing, strict=True))
    return squares < radius * radius


TRUTH = ball((10, 15, 15), 14) | ball((22, 28, 30), 7)
RESULT = ball((10, 15, 16), 14) | ball((24, 6, 6), 6)


class Followed:
    def __init__(self, scene, direction=AXIAL):
        self.scene = scene
        self.grid = Geometry((40, 36, 30), (2.0, 2.0, 3.0), (-40.0, -36.0, -30.0), direction)
        self.ct = volumeNodeFromImage(scene, self.grid.image(np.zeros(SHAPE, np.int16)), "CT", "CT")
        self.prediction, self.reference = self.node(RESULT, "Result"), self.node(TRUTH, "Truth")
        self.live = LiveComparisons(scene)
        self.live.follow(self.prediction, self.reference)
        self.settle()

    def node(self, mask, name):
        spec = LabelSpec(value=1, name=name, terminology=NEOPLASM, color=(200, 0, 0))
        return createSegmentation(self.scene, self.grid.image(mask.astype(np.uint8)), [spec], self.ct, name, {})

    def edit(self, mask, node=None, name="Result"):
        setSegmentImage(node or self.prediction, name, self.grid.image(mask.astype(np.uint8)))
        self.live.flush()
        self.settle()

    def settle(self):
        assert self.live.wait(20)
        self.live.poll()

    @property
    def row(self):
        return self.live.rows()[0]

    def lesions(self):
        for _ in range(2000):
            table, complete = live_tables.updateLesionTable(self.scene, self.live.rows())
            if complete:
                return table
            time.sleep(0.002)
        raise AssertionError("no lesions")


@pytest.fixture
def followed(scene):
    made = Followed(scene)
    yield made
    made.live.close()


@pytest.fixture
def oblique(scene):
    made = Followed(scene, OBLIQUE)
    yield made
    made.live.close()


def cells(table):
    columns = [table.GetTable().GetColumn(i) for i in range(table.GetNumberOfColumns())]
    rows = columns[0].GetNumberOfValues()
    return [{c.GetName(): c.GetValue(i) for c in columns} for i in range(rows)]


def test_the_segment_table_has_the_numbers_and_says_what_they_are(followed):
    table = live_tables.updateSegmentTable(followed.scene, followed.live.rows())
    (row,) = cells(table)
    assert row["Segment"] == "Result"
    assert row["Reference"] == "Truth"
    assert row["Dice"] == f"{dice(RESULT, TRUTH):.4f}"
    assert row["HD95"] == f"{hd95_mm(RESULT, TRUTH, (3, 2, 2)):.2f}"
    assert row["Volume"] == f"{RESULT.sum() * 0.012:.3f}"
    assert row["Difference"] == f"{(RESULT.sum() - TRUTH.sum()) * 0.012:+.3f}"
    assert "3.00 mm" in table.GetColumnDescription("NSD")
    assert table.GetColumnUnitLabel("HD95") == "mm"
    assert table.GetAttribute("PETCTFusionSeg.Role") == "SegmentComparison"


def test_the_same_table_is_written_again_and_never_shows_inf(followed):
    table = live_tables.updateSegmentTable(followed.scene, followed.live.rows())
    column = table.GetTable().GetColumnByName("HD95")
    followed.edit(RESULT & False)
    assert live_tables.updateSegmentTable(followed.scene, followed.live.rows()) is table
    assert table.GetTable().GetColumnByName("HD95") is column
    (row,) = cells(table)
    assert (row["Dice"], row["HD95"], row["HD"], row["ASSD"]) == ("0.0000", "no contour", "no contour", "no contour")
    assert "inf" not in str(list(row.values()))
    assert followed.scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1


def test_a_segment_that_is_gone_says_so_in_the_table(followed):
    followed.prediction.GetSegmentation().RemoveSegment("Result")
    followed.live.flush()
    (row,) = cells(live_tables.updateSegmentTable(followed.scene, followed.live.rows()))
    assert row["Dice"] == "gone"
    assert "was removed" in row["Note"]


def test_the_lesion_table_has_hits_misses_and_false_ones_with_their_places(oblique):
    rows = cells(oblique.lesions())
    assert sorted(row["Found"] for row in rows) == ["fn", "fp", "tp"]
    missed = next(row for row in rows if row["Found"] == "fn")
    assert missed["HD95"] == "no contour"
    assert float(missed["Reference volume"]) == pytest.approx(ball((22, 28, 30), 7).sum() * 0.012, abs=1e-3)
    x, y, z = oblique.grid.points(np.array([[30.0, 28.0, 22.0]]))[0]
    np.testing.assert_allclose([float(missed[axis]) for axis in "RAS"], [-x, -y, z], atol=0.06)


def test_lesions_of_an_older_contour_are_not_shown(followed):
    followed.lesions()
    setSegmentImage(followed.prediction, "Result", followed.grid.image(TRUTH.astype(np.uint8)))
    followed.live.flush()
    table, complete = live_tables.updateLesionTable(followed.scene, followed.live.rows())
    assert (cells(table), complete) == ([], False)
    assert [row["Found"] for row in cells(followed.lesions())] == ["tp", "tp"]


@pytest.mark.parametrize("direction", [AXIAL, (-1.0, 0, 0, 0, 1.0, 0, 0, 0, -1.0)])
def test_the_curve_is_dice_by_position_and_updated_in_place(scene, direction):
    followed = Followed(scene, direction)
    chart = live_plot.updateSlicePlot(scene, followed.live.rows())
    series = chart.GetNthPlotSeriesNode(0)
    values = cells(series.GetTableNode())
    step = direction[8]
    wanted = {
        round(-30 + 3 * z * step, 3): dice(RESULT[z], TRUTH[z]) for z in range(30) if RESULT[z].any() or TRUTH[z].any()
    }
    got = {round(row[series.GetXColumnName()], 3): row[series.GetYColumnName()] for row in values}
    assert got == pytest.approx(wanted)
    assert list(got) == sorted(got)
    followed.edit(TRUTH)
    assert live_plot.updateSlicePlot(scene, followed.live.rows()) is chart
    assert chart.GetNumberOfPlotSeriesNodes() == 1
    assert {row[series.GetYColumnName()] for row in cells(series.GetTableNode())} == {1.0}
    followed.edit(TRUTH & False)
    followed.edit(TRUTH & False, followed.reference, "Truth")
    live_plot.updateSlicePlot(scene, followed.live.rows())
    assert cells(series.GetTableNode()) == []
    followed.live.close()


def test_two_segments_of_one_name_are_two_curves_and_a_gone_one_none(followed):
    spec = followed.prediction.GetSegmentation()
    spec.CopySegmentFromSegmentation(followed.node(TRUTH, "Result").GetSegmentation(), "Result")
    followed.live.flush()
    followed.settle()
    chart = live_plot.updateSlicePlot(followed.scene, followed.live.rows())
    assert chart.GetNumberOfPlotSeriesNodes() == 3
    spec.RemoveSegment("Result")
    followed.live.flush()
    followed.settle()
    live_plot.updateSlicePlot(followed.scene, followed.live.rows())
    assert chart.GetNumberOfPlotSeriesNodes() == 1
    assert followed.scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 1


@pytest.mark.parametrize("which", ["followed", "oblique"])
def test_the_worst_place_is_the_voxel_farthest_from_the_other_surface(which, request):
    followed = request.getfixturevalue(which)
    worst = worstPlaces(followed.row)
    index = followed.grid.indices(np.array([[-worst.point[0], -worst.point[1], worst.point[2]]]))[0]
    z, y, x = (round(v) for v in index[::-1])
    np.testing.assert_allclose(index[::-1], (z, y, x), atol=1e-6)
    wanted = followed.row.numbers.hd_mm
    far, near = (TRUTH, RESULT) if TRUTH[z, y, x] and not RESULT[z, y, x] else (RESULT, TRUTH)
    assert far[z, y, x]
    others = np.argwhere(near) - (z, y, x)
    assert np.sqrt(((others * (3, 2, 2)) ** 2).sum(axis=1)).min() == pytest.approx(wanted)
    assert f"{wanted:.1f} mm" in worst.sentence


@pytest.mark.parametrize("which", ["followed", "oblique"])
def test_the_worst_slice_is_centred_in_every_view(which, request):
    followed = request.getfixturevalue(which)
    views = [followed.scene.AddNewNodeByClass("vtkMRMLSliceNode", name) for name in ("Red", "Green")]
    views[1].SetOrientation("Coronal")
    worst = worstPlaces(followed.row)
    assert centreSliceViews(followed.scene, worst.slice) == 2
    for view in views:
        matrix = view.GetSliceToRAS()
        np.testing.assert_allclose([matrix.GetElement(i, 3) for i in range(3)], worst.slice, atol=1e-6)
    index = followed.grid.indices(np.array([[-worst.slice[0], -worst.slice[1], worst.slice[2]]]))[0]
    z = round(index[2])
    lowest = {z for z in range(30) if (TRUTH[z].any() or RESULT[z].any()) and dice(TRUTH[z], RESULT[z]) == 0}
    assert z in lowest


def test_equal_and_empty_contours_have_no_worst_place(followed):
    followed.edit(TRUTH)
    assert worstPlaces(followed.row).point is None
    assert "equal" in worstPlaces(followed.row).sentence
    followed.edit(TRUTH & False)
    found = worstPlaces(followed.row)
    assert found.point is None
    assert found.slice is not None
    assert "no contour" in found.sentence
    followed.edit(TRUTH & False, followed.reference, "Truth")
    assert "Both are empty" in worstPlaces(followed.row).sentence


def distances(surface):
    return vtk_to_numpy(surface.GetPointData().GetArray(distance_model.DISTANCE_ARRAY))


@pytest.mark.parametrize("direction", [AXIAL, OBLIQUE])
def test_distances_are_those_to_the_triangles_of_the_reference(direction):
    grid = Geometry((40, 36, 30), (2.0, 2.0, 3.0), (-40.0, -36.0, -30.0), direction)
    raw = distance_model._isosurface(RESULT, distance_model.ijkToRasOfGeometry(grid))
    target = distance_model._isosurface(TRUTH, distance_model.ijkToRasOfGeometry(grid))
    found = distances(distance_model.distanceSurface(RESULT, TRUTH, grid))
    points = vtk_to_numpy(raw.GetPoints().GetData())
    corners = vtk_to_numpy(target.GetPoints().GetData())[
        vtk_to_numpy(target.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    ]
    # Every triangle sampled finely: the true distance is at most the sampled one, and hardly less.
    weights = np.array([(i, j, 12 - i - j) for i in range(13) for j in range(13 - i)]) / 12
    samples = np.einsum("wk,tkd->twd", weights, corners).reshape(-1, 3)
    from scipy.spatial import cKDTree

    sampled = cKDTree(samples).query(points)[0]
    assert (np.abs(found) <= sampled + 1e-4).all()
    assert np.abs(sampled - np.abs(found)).max() < 0.2
    assert found.max() == pytest.approx(sampled.max(), abs=0.2)
    assert found.min() < -1


def test_equal_masks_are_zero_everywhere_and_a_grown_one_is_outside():
    grid = Geometry((40, 36, 30), (2.0, 2.0, 3.0), (0.0, 0.0, 0.0), AXIAL)
    assert np.abs(distances(distance_model.distanceSurface(TRUTH, TRUTH, grid))).max() < 1e-4
    small, large = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    small[10:20, 10:20, 10:20] = True
    large[8:22, 8:22, 8:22] = True
    outside = distances(distance_model.distanceSurface(large, small, grid))
    inside = distances(distance_model.distanceSurface(small, large, grid))
    assert outside.min() >= 4 - 1e-3
    assert -6.0 - 1e-3 <= inside.min() <= inside.max() <= -4 + 1e-3


def test_the_model_node_is_coloured_symmetrically_and_written_in_place(followed):
    node = distance_model.updateDistanceModel(followed.scene, followed.row)
    display = node.GetDisplayNode()
    low, high = display.GetScalarRange()
    assert -low == high >= 2
    assert display.GetActiveScalarName() == distance_model.DISTANCE_ARRAY
    table = display.GetColorNode()
    red = [0.0] * 4
    table.GetColor(255, red)
    blue = [0.0] * 4
    table.GetColor(0, blue)
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    assert legend.GetTitleText() == "Distance (mm)"
    followed.edit(TRUTH)
    assert distance_model.updateDistanceModel(followed.scene, followed.row) is node
    assert followed.scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == 1
    assert slicer.vtkSlicerColorLogic.GetNumberOfColorLegendDisplayNodes(node) == 1


def test_no_contour_no_model(followed):
    followed.edit(RESULT & False)
    with pytest.raises(BadInputError, match="result has no contour"):
        distance_model.updateDistanceModel(followed.scene, followed.row)


# --- Segment Statistics, with a stand-in that has the documented interface


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
