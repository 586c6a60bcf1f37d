"""`benchmark igtv`: an IGTV contour as numbers, the tables, four trainings from recipe to result."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.cli import main
from petctfusion.errors import BadInputError
from petctfusion.models import read_card
from petctfusion.phantom.breathing_cohort import BreathingSettings, make_breathing_cohort
from petctfusion.training.benchmark.igtv_figure import igtv_figure
from petctfusion.training.benchmark.igtv_results import IgtvResult, read_results, write_result
from petctfusion.training.benchmark.igtv_rows import TRAININGS
from petctfusion.training.benchmark.igtv_run import IgtvCase, IgtvRow, igtv_row, load_cases, rule_segments
from petctfusion.training.benchmark.igtv_tables import by_motion, by_patient, by_position, lines_of, markdown
from petctfusion.training.optimiser import adam, network_of
from petctfusion.training.recipe import read_recipe
from petctfusion.volumes.geometry import Geometry

_GRID = Geometry((20, 20, 20), (2.0, 2.0, 3.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def _column(low: int, high: int, width: int = 10) -> np.ndarray:
    mask = np.zeros(_GRID.shape, dtype=np.uint8)
    mask[low:high, 5 : 5 + width, 5:15] = 1
    return mask


def _case(motion_mm: float = 10.0, patient: str = "a") -> IgtvCase:
    suv = np.where(_column(4, 16), 8.0, 0.5).astype(np.float32)
    volumes = {"CT": _GRID.image(np.zeros(_GRID.shape, dtype=np.int16)), "PET": _GRID.image(suv)}
    return IgtvCase(patient, "drawn", motion_mm, volumes, _GRID.image(_column(4, 16)))


def _row(mask: np.ndarray, motion_mm: float = 10.0, patient: str = "a") -> IgtvRow:
    return igtv_row(_case(motion_mm, patient), _GRID.image(mask), 1.0)


def test_a_contour_that_misses_the_ends_is_told_by_them() -> None:
    """Three of the four peripheral slices are missed, the central ones are half as wide as they should be."""
    mask = _column(5, 14, width=5)
    row = _row(mask)
    assert row.coverage == pytest.approx(9 * 50 / (12 * 100))
    assert row.conformity == 1.0
    assert row.dice == pytest.approx(2 * 450 / (450 + 1200))
    assert row.peripheral_dice == pytest.approx(2 * 50 / (50 + 400))
    assert row.peripheral_detected == 0.25
    assert row.central_dice == pytest.approx(2 * 400 / (400 + 800))
    assert [place for place, _ in row.slices][:2] == pytest.approx([0.5 / 12, 1.5 / 12])
    assert [dice > 0 for _, dice in row.slices] == [False, *[True] * 9, False, False]


def test_too_much_costs_conformity_and_nothing_has_none() -> None:
    assert _row(_column(2, 18)).conformity == pytest.approx(12 / 16)
    assert _row(_column(2, 18)).coverage == 1.0
    nothing = _row(_column(0, 0))
    assert (nothing.coverage, nothing.conformity, nothing.hd95_mm) == (0.0, None, np.inf)
    assert IgtvRow.from_json(json.loads(json.dumps(nothing.to_json(), allow_nan=False))) == nothing


def test_the_rules_find_a_hot_column() -> None:
    for segment in rule_segments().values():
        assert igtv_row(_case(), segment(_case()), 0.0).dice == 1.0


def _results() -> list[IgtvResult]:
    """Row "both" is right, "scratch" misses the ends; three tumours that move little, some and far."""
    motions = {"a": 2.0, "b": 12.0, "c": 20.0}
    rows = {
        "scratch": tuple(_row(_column(6, 14), mm, name) for name, mm in motions.items()),
        "both": tuple(_row(_column(4, 16), mm, name) for name, mm in motions.items()),
    }
    return [IgtvResult(name, name, 1, ({"seed": 1},), {}, {}, own) for name, own in rows.items()]


def test_the_tables_compare_with_the_first_row_and_tell_ends_from_middle() -> None:
    lines = lines_of(_results(), "drawn")
    first, second = by_patient(lines, "drawn").rows
    assert first[:3] == ("scratch", "0.800", "–")
    assert second[1:3] == ("1.000", "+0.200 (+0.200 to +0.200)")
    assert first[5] == "0.000"
    assert second[5:7] == ("1.000", "+1.000 (+1.000 to +1.000)")
    assert by_position(lines).rows[0] == ("scratch", "0.000", *["1.000"] * 4, "0.000")
    motion = by_motion(lines)
    assert motion.headings == ("row", "0 to 8 mm (1)", "8 to 16 mm (1)", "from 16 mm (1)")
    assert motion.rows[0][1] == "0.667 / 1.000"
    text = markdown(_results(), [])
    assert "nothing here was measured on a patient" in text
    assert "One seed a row" in text
    assert igtv_figure(lines, "drawn").count("<polyline") == 3 * 2


def test_results_are_read_back_in_order_and_others_left_out(tmp_path: Path) -> None:
    results = _results()
    for one in results:
        write_result(one, tmp_path)
    write_result(replace(results[0], name="slices", rows=results[0].rows[:1]), tmp_path)
    found, left = read_results(tmp_path, ["scratch", "slices", "both"])
    assert found == results
    assert left == ["slices-seed1.json was measured on other phantoms than most."]
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(BadInputError, match=r"broken\.json"):
        read_results(tmp_path, [])
    with pytest.raises(BadInputError, match="holds no result"):
        read_results(tmp_path / "empty", [])


def test_four_trainings_differ_in_what_they_say() -> None:
    recipes = {one.name: read_recipe("phantom_igtv", one.changes("gtv")) for one in TRAININGS}
    assert {name for name, recipe in recipes.items() if recipe.initial} == {"transferred", "both"}
    with_module = {name for name, recipe in recipes.items() if len(network_of(recipe).slice_interactions)}
    assert with_module == {"slices", "both"}
    same = {(r.steps, r.batch, r.learning_rate, r.spacing_mm, r.patch) for r in recipes.values()}
    assert len(same) == 1
    gtv, few = read_recipe("phantom_gtv"), recipes["transferred"]
    assert (gtv.arguments, gtv.spacing_mm, gtv.clip) == (few.arguments, few.spacing_mm, few.clip)


def test_what_was_carried_over_learns_slowly_and_only_then() -> None:
    recipe = read_recipe("phantom_igtv")
    network = network_of(recipe)
    slow = {id(p) for p in network.transferred_parameters()}
    begun = adam(replace(recipe, initial="gtv"), network)
    rates = {
        id(p): (group["base_rate"], group["weight_decay"]) for group in begun.param_groups for p in group["params"]
    }
    assert len(rates) == len(list(network.parameters()))
    assert {rate for key, (rate, _) in rates.items() if key in slow} == {recipe.learning_rate * 0.1}
    assert {rate for key, (rate, _) in rates.items() if key not in slow} == {recipe.learning_rate}
    scratch = adam(recipe, network)
    assert {group["base_rate"] for group in scratch.param_groups} == {recipe.learning_rate}
    assert {decay for _, decay in rates.values()} == {0.0, recipe.weight_decay}
    with pytest.raises(BadInputError, match="initial_rate_factor"):
        replace(recipe, initial_rate_factor=-1.0)


def _tiny(folder: Path, name: str) -> Path:
    """The recipe in two steps, coarsely."""
    recipe = read_recipe(name)
    slices = "interaction_stages = []\n" if "interaction_stages" in recipe.arguments else ""
    path = folder / f"{name}.toml"
    path.write_text(
        f'name = "{recipe.name}"\ntitle = "tiny"\nnetwork = "slice_interaction"\nspacing_mm = [12.0, 12.0, 12.0]\n'
        "patch = [8, 16, 16]\nsteps = 2\nbatch = 1\nscore_every = 2\nwarm_up_steps = 0\n"
        f"initial_rate_factor = {recipe.initial_rate_factor}\n[arguments]\nwidths = [8, 16]\ndepths = [1, 1]\n"
        "decoder_depth = 1\nstates = 2\nrectification_width = 8\ntrained_size = 16\ninput_channels = 1\n"
        f'scan = "ssd"\n{slices}[clip]\nCT = [-1024.0, 3071.0]\nPET = [0.0, 60.0]\n'
    )
    return path


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three moving phantoms, one in each part; two at rest."""
    folder = tmp_path_factory.mktemp("cohorts")
    for kind, count in (("igtv", 5), ("gtv", 1)):
        make_breathing_cohort(folder / kind, BreathingSettings(kind, count, seed=2))  # type: ignore[arg-type]
    return folder


def test_from_recipes_to_tables(cohorts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        "--cohort", str(cohorts / "igtv"), "--gtv", str(cohorts / "gtv"), "--results", str(tmp_path / "results"),
        "--work", str(tmp_path / "work"), "--recipe", str(_tiny(tmp_path, "phantom_igtv")),
        "--gtv-recipe", str(_tiny(tmp_path, "phantom_gtv")), "--threads", "1",
    ]  # fmt: skip
    assert main(["benchmark", "igtv", *options, "--row", "both", "--row", "gtv"]) == 0
    text = capsys.readouterr().out
    assert "| from the GTV model, with slice interaction |" in text
    document = json.loads((tmp_path / "results" / "both-seed1.json").read_text())
    assert document["simulated"] is True
    assert [card["breathing"] for card in document["cohorts"]] == ["gtv", "igtv"]
    gtv = read_card(tmp_path / "work" / "gtv-seed1" / "model")
    assert document["training"]["recipe"]["initial"] == f"gtv-seed1, {gtv.sha256}"
    both = read_card(tmp_path / "work" / "both-seed1" / "model")
    assert set(both.training.patients) == {"igtv_000", "igtv_001", "igtv_002", "gtv_000"}
    assert (tmp_path / "results" / "igtv-drawn.svg").read_text().startswith("<svg")
    assert main(["benchmark", "igtv", *options, "--row", "both"]) == 0
    assert "already done" in capsys.readouterr().err
    assert main(["benchmark", "igtv", "--table", "--results", str(tmp_path / "results")]) == 0
    assert capsys.readouterr().out == text


def test_mistakes_are_told_before_any_training(cohorts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "igtv", "--row", "transfered"]) != 0
    assert "transferred" in capsys.readouterr().err
    assert main(["benchmark", "igtv"]) != 0
    assert "--cohort and --gtv" in capsys.readouterr().err
    wrong = ["--cohort", str(cohorts / "gtv"), "--gtv", str(cohorts / "gtv")]
    assert main(["benchmark", "igtv", *wrong]) != 0
    assert "no phantoms in the part test" in capsys.readouterr().err


def test_a_case_knows_its_motion(cohorts: Path) -> None:
    (case,) = load_cases(cohorts / "igtv")
    assert case.patient == "igtv_004"
    assert 0 < case.motion_mm <= 25
    assert sitk.GetArrayViewFromImage(case.contour).any()
