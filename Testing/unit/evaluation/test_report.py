from __future__ import annotations

import csv
import io
import json
import math
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from ball_masks import ball

from petctfusion.evaluation import Report, Settings, cohort_pairs, csv_text, evaluate_cohort, html_page
from petctfusion.evaluation.drawing import Axis, Chart, around
from petctfusion.evaluation.statistics import summarise


@pytest.fixture
def report(cohort) -> Report:
    outcomes = evaluate_cohort(cohort_pairs(*cohort, None), Settings(), 1, lambda done, total: None)
    return Report(outcomes, Settings(), "petctfusion evaluate <pred> 'r & r'", "9.9.9", "2030-01-02T03:04:05+00:00")


def test_infinite_distances_are_counted_and_left_out_of_the_mean(report):
    hd95 = report.summaries["hd95_mm"]
    finite = [e.comparison.hd95_mm for e in report.evaluations if math.isfinite(e.comparison.hd95_mm)]
    assert (hd95.count, hd95.infinite) == (2, 1)
    assert hd95.mean == sum(finite) / 2
    assert report.summaries["dice"].count == 3
    assert report.summaries["dice"].lowest == 0.0


def test_aggregated_numbers_are_sums_over_patients(report):
    shared = ball().sum() + (ball() & ball(1)).sum()
    sizes = 2 * ball().sum() + ball().sum() + ball(1).sum() + ball().sum()
    assert report.aggregated_dice == pytest.approx(2 * shared / sizes)
    assert report.lesions.to_json() == {"tp": 2, "fp": 0, "fn": 1, "f1": 4 / 5}


def test_json_says_everything_and_has_no_infinity(report):
    values = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert (values["petctfusion"], values["date"]) == ("9.9.9", "2030-01-02T03:04:05+00:00")
    assert (values["evaluated"], [f["patient"] for f in values["failed"]]) == (3, ["P4", "P5", "P10"])
    assert [p["hd95_mm"] is None for p in values["patients"]] == [False, False, True]
    assert values["patients"][2]["hd95_note"] == "no contour"
    assert values["bootstrap"] == {"resamples": 2000, "seed": 20240, "unit": "patient", "interval": "percentile, 95 %"}
    assert {
        "dice",
        "hd95_mm",
        "hd_mm",
        "assd_mm",
        "nsd",
        "fpv_ml",
        "fnv_ml",
        "volume_ml",
        "reference_volume_ml",
    } <= set(values["patients"][0])
    assert {"tp", "fp", "fn", "rows"} <= set(values["patients"][0]["lesions"])
    assert "2000 times" in values["definitions"]["Mean, SD, 95 % interval"]


def test_csv_has_a_row_per_patient_and_per_statistic(report):
    rows = list(csv.DictReader(io.StringIO(csv_text(report))))
    assert [(r["row"], r["patient"]) for r in rows[:6]] == [
        *(("patient", f"P{n}") for n in (1, 2, 3)),
        *(("failed", f"P{n}") for n in (4, 5, 10)),
    ]
    assert float(rows[1]["dice"]) == report.evaluations[1].comparison.dice
    assert float(rows[2]["hd95_mm"]) == math.inf
    assert rows[3]["dice"] == ""
    assert "not an NRRD file" in rows[3]["message"]
    by_name = {r["row"]: r for r in rows[6:]}
    assert float(by_name["mean"]["hd95_mm"]) == report.summaries["hd95_mm"].mean
    assert by_name["no contour"]["hd95_mm"] == "1"
    assert float(by_name["mean 95 % low"]["dice"]) == report.summaries["dice"].low
    assert float(by_name["all patients as one"]["dice"]) == report.aggregated_dice
    assert by_name["all patients as one"]["lesion_fn"] == "1"


class Checker(HTMLParser):
    """Notes what a page loads and whether its tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.loads = [], []

    def handle_starttag(self, tag, attrs):
        self.loads += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data")]
        if tag in ("script", "link", "img", "iframe", "object"):
            self.loads.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.loads += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_says_what_was_done(report):
    page = html_page(report)
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert checker.loads == []
    assert "url(" not in page
    assert "@import" not in page
    for words in (
        "9.9.9",
        "2030-01-02",
        "petctfusion evaluate &lt;pred&gt; &#x27;r &amp; r&#x27;",
        "Not evaluated (3)",
    ):
        assert words in page
    for words in ("not an NRRD file", "There is no prediction.", "no contour", "Bland-Altman", "seed 20240"):
        assert words in page
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(svg)
    # Three evaluated patients: two plots of all, one curve each.
    assert page.count("<svg") == 5


def test_names_of_patients_cannot_break_the_page(tmp_path, write):
    name = 'a<b>&"c'
    path = write(tmp_path / "p" / f"{name}.nii", ball())
    outcomes = evaluate_cohort(cohort_pairs(path.parent, path.parent, None), Settings(), 1, lambda done, total: None)
    page = html_page(Report(outcomes, Settings(), "c", "v", "d"))
    assert "<b>&" not in page
    assert "a&lt;b&gt;&amp;" in page
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(svg)


def test_a_cohort_without_a_single_number_still_has_a_report(cohort):
    pairs = [pair for pair in cohort_pairs(*cohort, None) if pair.patient in ("P4", "P5")]
    report = Report(evaluate_cohort(pairs, Settings(), 1, lambda done, total: None), Settings(), "c", "v", "d")
    assert "Not evaluated (2)" in html_page(report)
    assert report.to_json()["summary"]["dice"]["mean"] is None
    assert "failed,P4" in csv_text(report)


def test_a_single_patient_has_numbers_but_no_interval(tmp_path, write):
    path = write(tmp_path / "p" / "A.nii", ball())
    outcomes = evaluate_cohort(cohort_pairs(path.parent, path.parent, None), Settings(), 1, lambda done, total: None)
    report = Report(outcomes, Settings(), "c", "v", "d")
    assert (report.summaries["dice"].mean, report.summaries["dice"].low) == (1.0, None)
    assert "1.000" in html_page(report)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-983.2, 804.4), (1e-3, 2e-3), (17.0, 2339.0)])
def test_ticks_are_round_and_within_the_axis(low, high):
    ticks = Axis(low, high).ticks()
    assert 3 <= len(ticks) <= 12
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    logarithmic = Axis(17.0, 2339.0, True).ticks()
    assert logarithmic == [20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0]


def test_points_lie_where_their_values_are():
    chart = Chart("t", Axis(0, 10), Axis(0, 1), width=200, height=100, left=50, right=50, top=20, bottom=30)
    assert chart.at(0, 0) == (50, 70)
    assert chart.at(10, 1) == (150, 20)
    assert chart.at(5, 0.5) == (100, 45)
    same = around([3.0, 3.0])
    assert same.low < 3.0 < same.high
    assert summarise([3.0]).mean == 3.0
