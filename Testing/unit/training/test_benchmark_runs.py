"""Runs as files, and what tables and page make of them."""

import json
from html.parser import HTMLParser

import pytest

from petctfusion.errors import BadInputError, OutputError
from petctfusion.training.benchmark import Facts, Row
from petctfusion.training.benchmark import files as benchmark_files
from petctfusion.training.benchmark.comparison import comparison_of
from petctfusion.training.benchmark.page import page
from petctfusion.training.benchmark.plot import dice_figure
from petctfusion.training.benchmark.run import Data, Origin, Run, read_run, write_run
from petctfusion.training.benchmark.runs import read_runs
from petctfusion.training.benchmark.table import markdown

PATIENTS = tuple(f"P{number}" for number in range(1, 9))
ORIGIN = Origin("petctfusion benchmark networks", "abc", "2026-01-01", "cpu", "a processor", 2, {"torch": "2"})


def make_run(system, base, seed=1, budget="quick", patients=PATIENTS, split="validation", facts=None):
    """Dice falls by 0.01 a patient and by 0.05 when re-cropped."""
    rows = tuple(
        Row(system, crop, patient, base - 0.01 * number - less, 5.0, 0.9, 1.0, 0.0, 0.0, 11.0, 10.0, 4.0)
        for crop, less in (("as-is", 0.0), ("re-cropped", 0.05))
        for number, patient in enumerate(patients)
    )
    facts = facts or Facts(
        steps=100, parameters=2_000_000, macs=3_000_000_000, training_seconds=600.0, window=(8, 8, 8)
    )
    data = Data("sts", split, tuple(patients))
    return Run(system, f"Title of {system}", budget, seed, data, ORIGIN, facts, rows)


def folder_of(tmp_path, *runs):
    for run in runs:
        write_run(run, tmp_path)
    return tmp_path


def test_a_run_comes_back_as_it_was(tmp_path):
    run = make_run("net", 0.9)
    path = write_run(run, tmp_path)
    assert path.name == "net-quick-seed1-validation.json"
    assert read_run(path) == run
    means = json.loads(path.read_text())["means"]
    assert [mean["dice"] for mean in means] == pytest.approx([0.865, 0.815])


def test_a_full_disk_leaves_the_earlier_result_whole(tmp_path, monkeypatch):
    path = write_run(make_run("net", 0.9), tmp_path)
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(benchmark_files.os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"):
        write_run(make_run("net", 0.5), tmp_path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def damage(values, how):
    if how == "no rows":
        values["rows"] = []
    elif how == "patient missing":
        values["rows"] = [row for row in values["rows"] if row["patient"] != "P3"]
    elif how == "twice":
        values["rows"].append(values["rows"][0])
    elif how == "no facts":
        del values["facts"]
    elif how == "other format":
        values["format"] = 99
    elif how == "words":
        values["rows"][0]["dice"] = "good"
    return values


@pytest.mark.parametrize("how", ["no rows", "patient missing", "twice", "no facts", "other format", "words"])
def test_a_damaged_result_is_named_and_left_out(tmp_path, how):
    folder = folder_of(tmp_path, make_run("good", 0.9), make_run("bad", 0.9))
    path = folder / "bad-quick-seed1-validation.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()), how)))
    found = read_runs(folder, "validation")
    assert [run.system for run in found.runs] == ["good"]
    assert [one.path for one in found.left_out] == [path]
    assert path.name in found.left_out[0].reason
    assert path.name in page(comparison_of(found))


def test_half_a_file_is_left_out_too(tmp_path):
    folder = folder_of(tmp_path, make_run("good", 0.9))
    (folder / "half.json").write_text('{"format": 1, "rows": [')
    assert [one.path.name for one in read_runs(folder, "validation").left_out] == ["half.json"]


def test_a_run_on_other_patients_is_left_out_and_named(tmp_path):
    runs = [make_run("a", 0.9), make_run("b", 0.8), make_run("other", 0.99, patients=("Q1", "Q2"))]
    found = read_runs(folder_of(tmp_path, *runs), "validation")
    assert [run.system for run in found.runs] == ["a", "b"]
    assert "other-quick-seed1-validation.json was measured on other patients" in found.left_out[0].reason


def test_only_the_split_asked_for_is_shown(tmp_path):
    folder = folder_of(tmp_path, make_run("a", 0.9), make_run("a", 0.5, split="tune"))
    assert [run.data.split for run in read_runs(folder, "tune").runs] == ["tune"]


def test_no_run_is_said_in_one_sentence(tmp_path):
    with pytest.raises(BadInputError, match="holds no run on the validation patients"):
        read_runs(tmp_path, "validation")


def compared(tmp_path, *runs, reference=None):
    return comparison_of(read_runs(folder_of(tmp_path, *runs), "validation"), reference)


def test_several_seeds_are_one_line_with_their_mean(tmp_path):
    comparison = compared(tmp_path, make_run("net", 0.9, seed=1), make_run("net", 0.8, seed=2), make_run("late", 0.7))
    first = comparison.lines[0]
    assert (first.label, first.seeds) == ("net", "1, 2")
    assert first.dice("as-is")["P1"] == pytest.approx(0.85)
    assert first.summaries["as-is"].dice == pytest.approx(0.85 - 0.035)
    assert first.fall == pytest.approx(0.05)


def test_budgets_are_lines_of_their_own(tmp_path):
    labels = [line.label for line in compared(tmp_path, make_run("a", 0.8), make_run("a", 0.9, budget="full")).lines]
    assert labels == ["a (full)", "a (quick)"]


def test_the_tests_are_against_early_unet_and_against_the_best(tmp_path):
    runs = [make_run("early_unet", 0.8), make_run("better", 0.9), make_run("worse", 0.7)]
    families = compared(tmp_path, *runs).families
    assert [family.against for family in families] == ["early_unet", "better"]
    by_name = {(test.label, test.crop): test for test in families[0].tests}
    test = by_name["better", "as-is"]
    # All eight differ by 0.1 in one direction: p = 2 / 2^8, four tests in the family.
    assert test.difference == pytest.approx(0.1)
    assert (test.better, test.p, test.p_holm) == (8, pytest.approx(0.0078125), pytest.approx(0.03125))
    assert by_name["worse", "re-cropped"].better == 0


def test_the_rules_are_never_the_best(tmp_path):
    runs = [make_run("net", 0.6), make_run("rule", 0.9, seed=None, budget="", facts=Facts())]
    assert [family.against for family in compared(tmp_path, *runs).families] == ["net"]


def test_an_unknown_reference_gets_the_nearest_name(tmp_path):
    with pytest.raises(BadInputError, match="Did you mean 'early_unet'"):
        compared(tmp_path, make_run("early_unet", 0.8), reference="early_une")


def test_markdown_says_what_so_few_patients_cannot_show(tmp_path):
    text = markdown(compared(tmp_path, *(make_run(f"net{number}", 0.9 - 0.01 * number) for number in range(6))))
    assert "p cannot be below 0.0078" in text
    assert "no difference here can reach 0.05" in text  # ten tests: 10 x 0.0078
    assert "| net0 | as-is | 0.865 | 0.865 | 0.830 | 5.0 | 0.900 |" in text
    assert "| net0 | Title of net0 | 2.00 | 3.0 | 8 x 8 x 8 | quick | 100 | 10 | 1 |" in text


class Cells(HTMLParser):
    """The text of every table cell, and whatever the page would load."""

    def __init__(self):
        super().__init__()
        self.cells, self.loads, self.open = [], [], False

    def handle_starttag(self, tag, attributes):
        self.open = tag == "td"
        self.loads += [value for name, value in attributes if name in ("src", "href")]
        if self.open:
            self.cells.append("")

    def handle_data(self, data):
        if self.open:
            self.cells[-1] += data

    def handle_endtag(self, tag):
        self.open = self.open and tag != "td"


def test_the_page_holds_every_run_and_nothing_else(tmp_path):
    runs = [make_run("early_unet", 0.8), make_run("net", 0.9, seed=1), make_run("net", 0.85, seed=2)]
    comparison = compared(tmp_path, *runs)
    text = page(comparison)
    parser = Cells()
    parser.feed(text)
    assert parser.loads == []
    assert "<script" not in text
    for run in runs:
        assert run.file_name in parser.cells
    # Every row is there: 3 runs, 8 patients, 2 crops; each ends with its volume, the reference's and its seconds.
    ends = [tuple(parser.cells[place : place + 3]) for place in range(len(parser.cells))]
    assert ends.count(("11.0", "10.0", "4.0")) == 48
    assert not {"h2aseg", "swin_unetr", "nnunet"} & set(parser.cells)
    assert "within 3 mm of the other" in text


def test_a_method_with_a_bad_name_cannot_break_the_page(tmp_path):
    comparison = compared(tmp_path, make_run("<b>&", 0.9, budget=""))
    assert "<b>&<" not in page(comparison)
    assert "<b>&" not in dice_figure(comparison.lines)


def test_the_figure_has_a_dot_a_patient_and_crop(tmp_path):
    comparison = compared(tmp_path, make_run("a", 0.9), make_run("b", 0.8))
    figure = dice_figure(comparison.lines)
    assert figure.count("<circle") == 2 * 8 * 2 + 2  # and two in the legend
    assert figure.count(": mean ") == 4
