"""`petctfusion models windows`: what the zero layers learned, as numbers and as a figure."""

from xml.etree import ElementTree

import pytest
import torch

from petctfusion.cli.window_figure import window_figure
from petctfusion.errors import ModelError
from petctfusion.networks import build
from petctfusion.networks.blocks.zero_layer import INITIAL_WINDOWS
from petctfusion.networks.window_shift import window_shifts

MODALITIES = ("CT", "PET")
_SVG = "{http://www.w3.org/2000/svg}"


def network(**more):
    return build("anatomy_guided", widths=(4, 8), **more)


def test_an_untrained_network_has_moved_nothing_and_a_moved_window_is_seen():
    guided = network()
    for shift in window_shifts(guided, MODALITIES):
        assert shift.learned == pytest.approx(shift.start, rel=1e-4, abs=1e-2)
    with torch.no_grad():
        guided.zero_layers[1].levels[2] += 0.3  # of 10 SUV
    moved = [s for s in window_shifts(guided, MODALITIES) if abs(s.learned[0] - s.start[0]) > 0.5]
    assert [(s.modality, s.unit, s.start) for s in moved] == [("PET", "SUV", (5.0, 10.0))]
    assert moved[0].learned == pytest.approx((8.0, 10.0), rel=1e-4)


@pytest.mark.parametrize("other", [{"normalisation": "fixed"}, {"zero_layer": "residual"}])
def test_fixed_windows_are_refused(other):
    with pytest.raises(ModelError, match="learns no windows"):
        window_shifts(network(**other), MODALITIES)


def test_the_figure_has_two_bars_a_window_where_the_numbers_say():
    guided = network()
    with torch.no_grad():
        guided.zero_layers[0].levels[1] += 0.1  # of 1000 HU
    shifts = window_shifts(guided, MODALITIES)
    root = ElementTree.fromstring(window_figure(shifts, "a <model> & more"))
    bars = [rect for rect in root.iter(f"{_SVG}rect") if float(rect.get("width")) != 2]
    assert len(bars) == 2 * sum(len(INITIAL_WINDOWS[kind]) for kind in MODALITIES)
    start, learned = bars[2], bars[3]
    assert float(learned.get("x")) > float(start.get("x"))
    assert float(learned.get("width")) == pytest.approx(float(start.get("width")), abs=0.2)
    # 100 HU to the right, on the same scale as a width of 400 HU.
    moved = float(learned.get("x")) - float(start.get("x"))
    assert moved == pytest.approx(float(start.get("width")) / 4, abs=0.3)
    texts = [text.text for text in root.iter(f"{_SVG}text")]
    assert {"40 / 400", "140 / 400", "−600 / 1500", "HU", "SUV"} <= set(texts)


def test_the_command_prints_and_draws_a_shipped_model(cli, tmp_path):
    answer = cli("models", "windows", "sts-anatomy-guided", "--figure", str(tmp_path / "w.svg"))
    assert answer.code == 0
    assert sum(line.startswith("| CT | ") for line in answer.out.splitlines()) == 4
    assert ElementTree.parse(tmp_path / "w.svg").getroot().tag == f"{_SVG}svg"
    shifts = cli("models", "windows", "sts-anatomy-guided", "--json").json
    assert {shift["modality"] for shift in shifts} == {"CT", "PET"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sts-h2aseg"], "learns no windows"),
        (["sts-ensemble"], "is an ensemble"),
        (["no-such-model"], "no model 'no-such-model'"),
        (["sts-anatomy-guided", "--figure", "nowhere/w.svg"], "nowhere"),
    ],
)
def test_what_has_no_windows_gets_one_sentence(cli, arguments, sentence):
    answer = cli("models", "windows", *arguments)
    assert answer.code != 0
    assert sentence in answer.err
