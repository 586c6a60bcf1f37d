"""`benchmark clicks`: the simulated reader, rows, means over those with a contour, table, figure, and the command."""

import dataclasses
import json
import math
import xml.etree.ElementTree as ElementTree

import dataset_miniatures
import numpy as np
import pytest
import SimpleITK as sitk
from torch import nn

from petctfusion.cli import main
from petctfusion.inference import LoadedModel, load_model
from petctfusion.models import read_card, write_card
from petctfusion.training.benchmark import Study
from petctfusion.training.benchmark.click_user import next_click
from petctfusion.training.benchmark.clicks_run import ClickRow, Way, measure_clicks, summarise_clicks
from petctfusion.training.benchmark.clicks_tables import clicks_figure, clicks_table
from petctfusion.training.click_settings import ClickSettings
from petctfusion.training.export import Cohort, export_model
from petctfusion.training.material import TrainingData
from petctfusion.training.optimiser import network_of
from petctfusion.volumes.geometry import Geometry

GRID = Geometry((24, 20, 16), (2.0, 2.0, 4.0), (-7.0, 3.0, 11.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def test_the_reader_clicks_in_the_middle_of_the_largest_error_and_says_which_way_it_is_wrong():
    contour, labels = np.zeros(GRID.shape, bool), np.zeros(GRID.shape, bool)
    contour[2:7, 4:9, 4:9] = True
    labels[10:13, 12:15, 15:20] = True
    click = next_click(labels, contour, GRID)
    assert click.foreground
    assert np.allclose(GRID.indices(np.array([click.point])), [[6, 6, 4]])
    labels |= contour
    click = next_click(labels, contour, GRID)
    assert not click.foreground
    assert np.allclose(GRID.indices(np.array([click.point]))[0, 1:], [13, 11])
    assert next_click(contour, contour, GRID) is None


def test_the_middle_is_in_the_error_even_of_a_bent_one():
    contour = np.zeros(GRID.shape, bool)
    contour[3:14, 3:17, 3:21] = True
    labels = contour.copy()
    labels[5:12, 5:15, 5:19] = False
    labels[4, 4, 4] = False
    click = next_click(contour, labels, GRID)
    x, y, z = np.rint(GRID.indices(np.array([click.point]))[0]).astype(int)
    assert contour[z, y, x]
    assert not labels[z, y, x]


class Hot(nn.Module):
    """Marks SUV above 3."""

    divisor = 4

    def forward(self, x):
        return 4.0 * (x[:, 1:2] - 3.0)


@pytest.fixture
def study():
    """A warm and a hot cube; the contour holds the hot one and a third, cold one."""
    pet, contour = np.ones(GRID.shape, np.float32), np.zeros(GRID.shape, np.uint8)
    pet[2:7, 4:9, 4:9], pet[10:14, 4:9, 4:9] = 8.0, 6.0
    contour[2:7, 4:9, 4:9], contour[5:10, 13:17, 15:20] = 1, 1
    ct = GRID.image(np.full(GRID.shape, 40.0, np.float32))
    return Study("A", "as-is", ct, GRID.image(pet), GRID.image(contour))


@pytest.fixture
def hot(tiny_recipe, tmp_path):
    card = tiny_model(tiny_recipe, tmp_path / "hot").card
    return LoadedModel(card, Hot().eval(), "cpu")


def tiny_model(recipe, folder) -> LoadedModel:
    cohort = Cohort(TrainingData("sts", folder), ("X",), (), False)
    export_model(recipe, network_of(recipe).state_dict(), cohort, folder, "1.0.0", lambda _: None)
    model = load_model(folder, "cpu")
    assert isinstance(model, LoadedModel)
    return model


def test_constraints_give_up_and_add_what_is_clicked(study, hot):
    rows = measure_clicks(study, Way(hot, False), [0, 1, 2], lambda _: None)
    assert [row.clicks for row in rows] == [row.made for row in rows] == [0, 1, 2]
    assert rows[0].seconds is None
    assert rows[2].seconds > 0
    assert rows[0].dice < rows[2].dice


def test_nobody_clicks_where_nothing_is_wrong(study, hot):
    perfect = Study("A", "as-is", study.ct, study.pet, sitk.Cast(study.pet > 100, sitk.sitkUInt8))
    cold = Study("A", "as-is", study.ct, study.pet * 0, perfect.contour)
    rows = measure_clicks(cold, Way(hot, False), [0, 3], lambda _: None)
    assert [(row.clicks, row.made, row.dice) for row in rows] == [(0, 0, 1.0), (3, 0, 1.0)]


ROWS = [
    ClickRow("net, network", "as-is", "A", 0, 0, 0.8, 5.0, None),
    ClickRow("net, network", "as-is", "B", 0, 0, 0.0, math.inf, None),
    ClickRow("net, network", "as-is", "A", 3, 3, 0.9, 3.0, 0.5),
    ClickRow("net, network", "as-is", "B", 3, 2, 0.7, 7.0, 0.7),
    ClickRow("other, constraints", "re-cropped", "A", 0, 0, 0.1, math.inf, None),
]


def test_means_are_over_those_that_have_a_contour():
    first, second, third = summarise_clicks(ROWS)
    assert (first["clicks"], first["dice"], first["hd95_mm"], first["no_contour"]) == (0, 0.4, 5.0, 1)
    assert first["seconds"] is None
    assert (second["clicks"], second["hd95_mm"], second["lowest_dice"]) == (3, 5.0, 0.7)
    assert second["seconds"] == pytest.approx(0.6)
    assert (third["crop"], third["hd95_mm"], third["no_contour"]) == ("re-cropped", None, 1)


def test_table_and_figure_hold_the_numbers():
    lines = summarise_clicks(ROWS)
    table = clicks_table(lines)
    assert "| as-is | net, network | 3 | 2 | 0.800 | 0.700 | 5.0 | 0 | 0.60 |" in table
    figure = clicks_figure(lines)
    ElementTree.fromstring(figure)
    assert "net, network, 3 clicks: 0.800" in figure
    assert "other, constraints, 0 clicks: 0.100" in figure
    json.dumps([row.to_json() for row in ROWS], allow_nan=False)


def test_the_command_measures_both_ways_and_refuses_a_model_without_clicks(tiny_recipe, tmp_path, capsys):
    data = dataset_miniatures.sts(tmp_path / "sts")
    plain, guided = (tmp_path / name for name in ("plain", "guided"))
    tiny_model(tiny_recipe, plain)
    tiny_model(dataclasses.replace(tiny_recipe, name="guided", clicks=ClickSettings()), guided)
    card = read_card(guided)
    write_card(dataclasses.replace(card, flips=()), guided)
    output = tmp_path / "clicks.json"
    arguments = ["benchmark", "clicks", "--data", str(data), "--beside", str(plain), "--output", str(output)]
    assert main([*arguments, "--model", str(guided), "--clicks", "1", "0"]) == 0
    found = json.loads(output.read_text())
    assert len(found["rows"]) == 1 * 2 * 2 * 2
    ways = {row["way"] for row in found["rows"]}
    assert ways == {"tiny 1.0.0, constraints", "guided 1.0.0, network"}
    ElementTree.parse(output.with_suffix(".svg"))
    assert "| guided 1.0.0, network | 1 | 1 |" in capsys.readouterr().out
    assert main([*arguments, "--model", str(plain)]) != 0
    assert "takes no clicks" in capsys.readouterr().err
    assert main([*arguments, "--model", str(guided), "--clicks", "-1"]) != 0
    assert "below 0" in capsys.readouterr().err
