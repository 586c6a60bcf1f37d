"""`benchmark ablations`: studies that change one thing a row, runs taken over where they are the same, the tables."""

import dataclasses
import json
import shutil

import dataset_miniatures
import pytest

from petctfusion.cli import main
from petctfusion.errors import BadInputError
from petctfusion.models import read_card
from petctfusion.training.benchmark import Row
from petctfusion.training.benchmark.ablation import ablation_names, read_ablation
from petctfusion.training.benchmark.ablation_runs import runs_of, twin_of
from petctfusion.training.benchmark.ablation_table import effects
from petctfusion.training.benchmark.run import Data, Origin, Run, read_run, write_run
from petctfusion.training.benchmark.system import Facts
from petctfusion.training.checkpoint import identity
from petctfusion.training.recipe import read_recipe

STUDIES = ablation_names()
PATIENTS = ("P1", "P2", "P3", "P4")
ORIGIN = Origin("petctfusion benchmark", "0123456789abcdef", "2026-01-01", "cpu", "any", 1, {})
RECIPE = """
name = "tiny"
title = "tiny"
network = "anatomy_prompted"
spacing_mm = [6.0, 6.0, 6.0]
patch = [16, 16, 16]
steps = 2
batch = 1
score_every = 100
[arguments]
widths = [4, 8, 16]
prompts = "none"
[clip]
CT = [-1024.0, 3071.0]
PET = [0.0, 60.0]
"""
PRETRAINING = (
    RECIPE.replace('prompts = "none"\n', "").replace('"tiny"', '"tiny-before"')
    + """
[pretraining]
block = 4
latent = 16
[augmentation]
foreground_probability = 0.0
uncropped_probability = 1.0
"""
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset_miniatures.sts(tmp_path_factory.mktemp("sts"))


@pytest.fixture
def study(tmp_path):
    """A study of three rows: the recipe itself, another learning rate, and pre-trained encoders."""
    (tmp_path / "tiny.toml").write_text(RECIPE)
    (tmp_path / "before.toml").write_text(PRETRAINING)
    path = tmp_path / "rates.toml"
    path.write_text(
        f'question = "Does it matter?"\nrecipe = "{(tmp_path / "tiny.toml").as_posix()}"\n'
        '[[row]]\nname = "plain"\ntitle = "as it is"\n'
        '[[row]]\nname = "faster"\ntitle = "ten times the rate"\nlearning_rate = 1e-2\nloss.dice = 2\n'
        f'[[row]]\nname = "begun"\ntitle = "begun"\npretraining = "{(tmp_path / "before.toml").as_posix()}"\n'
    )
    return path


def flat(table, before=""):
    found = {}
    for name, value in table.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return found


def changed(first, second):
    """Names of the settings that differ, and the pre-training."""
    one, other = (flat(identity(entry.system().resolved("quick", 1))) for entry in (first, second))
    names = {name for name in {**one, **other} if one.get(name) != other.get(name)} - {"name"}
    return names | ({"pretraining"} if first.row.pretraining != second.row.pretraining else set())


@pytest.mark.parametrize("name", STUDIES)
def test_every_row_of_a_study_can_be_trained_and_changes_one_thing(name):
    study = read_ablation(name)
    entries = study.entries()
    assert study.question.endswith("?")
    for entry in entries:
        entry.system().require_trainable("quick")
    # Without prompts there is no student to teach: two settings, one thing.
    one_thing = {"arguments.prompts", "objective.organ_weight"}
    for entry in entries:
        nearest = min((changed(entry, other) for other in entries if other is not entry), key=len)
        assert len(nearest) == 1 or nearest == one_thing, (entry.name, nearest)
    # The published row is the recipe itself: its training is not repeated.
    recipe = read_recipe(study.recipe)
    assert any(not entry.row.changes and not entry.row.pretraining for entry in entries)
    assert all(entry.system().resolved("quick", 1).steps == recipe.steps for entry in entries)


def test_the_studies_of_the_package_are_those_of_the_papers_ideas():
    assert set(STUDIES) >= {"zero_layer", "fusion", "blocks", "prompts", "slices"}
    assert [row.name for row in read_ablation("prompts").rows] == [
        "nothing", "prompts", "pretraining", "both", "no-scan",
    ]  # fmt: skip


def test_changes_are_laid_over_the_tables_key_by_key(study):
    plain, faster, begun = (entry.system().resolved("quick", 3) for entry in read_ablation(str(study)).entries())
    assert (faster.learning_rate, faster.loss.dice, faster.loss.cross_entropy) == (1e-2, 2.0, 1.0)
    assert faster.arguments == plain.arguments
    assert (plain.seed, plain.name, plain.initial) == (3, "rates-plain", "")
    assert begun.initial == "before-quick-seed3/encoder.safetensors"


@pytest.mark.parametrize(
    ("before", "now", "sentence", "hint"),
    [
        ("learning_rate", "lerning_rate", "lerning_rate", "learning_rate"),
        ("loss.dice", "loss.dyce", "dyce", "dice"),
        ("learning_rate = 1e-2", "arguments.width = [4]", "no argument 'width'", "widths"),
        ('name = "faster"\n', "", "row 2, lacks name", "Add what is missing"),
        ("title = ", "titel = ", "row 1, lacks title", "Add what is missing"),
        ('"faster"', '"plain"', "cannot use the name 'plain'", "each once"),
        ('"faster"', '"Fast er"', "cannot use the name 'Fast er'", "small letters"),
        ("question", "qustion", "does not know qustion", "question"),
        ("[[row]]", "[row]", "cannot be read", "Correct the TOML"),
        ("before.toml", "tiny.toml", "is no pre-training", "[pretraining]"),
        ("tiny.toml", "gone.toml", "no recipe", "Known"),
    ],
)
def test_a_study_that_cannot_be_run_is_told_before_the_first_training(
    study, data, tmp_path, capsys, before, now, sentence, hint
):
    text = study.read_text()
    assert before in text
    study.write_text(text.replace(before, now))
    code = main(["benchmark", "ablations", str(study), "--data", str(data), "--work", str(tmp_path / "work")])
    told = capsys.readouterr().err
    assert code in (2, 3, 4)
    assert sentence in told
    assert hint in told
    assert not (tmp_path / "work").exists()


def test_encoders_of_another_width_are_told_before_anything_is_trained(study, data, tmp_path, capsys):
    before = tmp_path / "before.toml"
    before.write_text(before.read_text().replace("[4, 8, 16]", "[4, 8, 32]"))
    assert main(["benchmark", "ablations", str(study), "--data", str(data), "--work", str(tmp_path / "work")]) == 3
    assert "Row begun: The encoders of tiny-before do not fit" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "A study and --data are needed"),
        (["zero_layr", "--data", "nowhere"], "no study 'zero_layr'"),
        (["zero_layer", "--data", "nowhere", "--row", "fixt"], "Did you mean 'fixed'"),
        (["zero_layer", "--data", "nowhere", "--row", "fixed"], "not the prepared sarcoma collection"),
        (["--threads", "0"], "no number of threads"),
    ],
)
def test_wrong_arguments_get_one_sentence(arguments, sentence, capsys):
    assert main(["benchmark", "ablations", *arguments]) in (2, 3, 4)
    assert sentence in capsys.readouterr().err


def test_the_studies_are_listed(capsys):
    assert main(["benchmark", "ablations", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in (*STUDIES, "no-scan", "intermediate"))


def finished(entry, folder, seed=1, dice=0.8, system=None, patients=PATIENTS, hd95_mm=10.0, **recipe):
    """A result of a row whose Dice is `dice` and a little more from patient to patient."""
    name = system or entry.name
    made_by = dataclasses.replace(entry.system().resolved("quick", seed), **recipe)
    rows = [
        Row(name, crop, patient, dice + 0.01 * number, hd95_mm, 0.9, 1.0, 0.0, 0.0, 11.0, 10.0, 4.0)
        for number, patient in enumerate(patients)
        for crop in ("as-is", "re-cropped")
    ]
    facts = Facts(recipe=json.loads(json.dumps(dataclasses.asdict(made_by))), steps=2, parameters=1)
    run = Run(name, name, "quick", seed, Data("sts", "validation", tuple(patients)), ORIGIN, facts, tuple(rows))
    return write_run(run, folder)


def cells(table, name):
    return next(cells for cells in table.rows if cells[0] == name and cells[2] == "as-is")


def test_differences_are_paired_and_to_the_first_row(study, tmp_path):
    ablation = read_ablation(str(study))
    plain, faster, begun = ablation.entries()
    results = tmp_path / "results"
    finished(plain, results, dice=0.5, hd95_mm=12.0)
    finished(faster, results, dice=0.6)
    found = runs_of(ablation, [results], "validation", "quick")
    table = effects(found)
    assert found.missing == ("begun",)
    assert cells(table, "plain")[3:] == ("0.515", "–", "12.0", "–", "1")
    # The same step for every patient: an interval without width.
    assert cells(table, "faster")[3:] == ("0.615", "+0.100 (+0.100 to +0.100)", "10.0", "−2.0 (−2.0 to −2.0)", "1")
    text = " ".join(table.notes)
    assert "One seed a row" in text
    assert "Not run yet: begun." in text
    finished(begun, results, dice=0.4)
    finished(faster, results, seed=2, dice=0.7)
    table = effects(runs_of(ablation, [results], "validation", "quick"))
    assert cells(table, "begun")[4].startswith("−0.100")
    assert cells(table, "faster")[4].startswith("+0.150")
    assert cells(table, "faster")[-1] == "1, 2"
    assert "One seed a row" not in " ".join(table.notes)


def test_a_missing_contour_leaves_its_patient_out_of_the_distance(study, tmp_path):
    ablation = read_ablation(str(study))
    plain, faster, _ = ablation.entries()
    path = finished(plain, tmp_path / "results")
    finished(faster, tmp_path / "results", hd95_mm=11.0)
    run = read_run(path)
    rows = tuple(dataclasses.replace(r, hd95_mm=float("inf")) if r.patient == "P1" else r for r in run.rows)
    write_run(dataclasses.replace(run, rows=rows), tmp_path / "results")
    table = effects(runs_of(ablation, [tmp_path / "results"], "validation", "quick"))
    assert cells(table, "plain")[5] == "10.0 (1 without contour)"
    assert cells(table, "faster")[6] == "+1.0 (+1.0 to +1.0, 3 patients)"


def test_a_training_of_the_same_recipe_is_taken_over_and_said(study, tmp_path):
    ablation = read_ablation(str(study))
    plain, faster, begun = ablation.entries()
    networks, results = tmp_path / "networks", tmp_path / "results"
    path = finished(plain, networks, system="early_unet", name="tiny")
    finished(faster, networks, system="late_unet", steps=3)
    data = Data("sts", "validation", PATIENTS)
    folders = [networks, results]
    assert twin_of(plain, folders, data, "quick", 1) == path
    assert twin_of(plain, folders, data, "quick", 2) is None
    assert twin_of(plain, folders, dataclasses.replace(data, patients=("P1",)), "quick", 1) is None
    assert twin_of(faster, folders, data, "quick", 1) is None
    assert twin_of(begun, folders, data, "quick", 1) is None
    found = runs_of(ablation, folders, "validation", "quick")
    assert [line.label for line in found.lines] == ["plain"]
    assert "seed 1 are those of early_unet-quick-seed1-validation.json (commit 0123456789)" in found.reused[0]
    # Its own run has the first word.
    finished(plain, results, dice=0.1)
    found = runs_of(ablation, folders, "validation", "quick")
    assert (found.reused, len(found.lines[0].runs)) == ((), 1)
    assert found.lines[0].runs[0].system == "rates-plain"


def test_a_run_of_a_recipe_that_was_changed_since_is_left_out_and_named(study, tmp_path):
    ablation = read_ablation(str(study))
    plain, faster, begun = ablation.entries()
    finished(faster, tmp_path / "results", learning_rate=0.5)
    finished(begun, tmp_path / "results", initial="")
    finished(plain, tmp_path / "results", seed=2, patients=("P1", "P2"))
    finished(plain, tmp_path / "results")
    (tmp_path / "results" / "broken.json").write_text("{")
    found = runs_of(ablation, [tmp_path / "results"], "validation", "quick")
    reasons = " ".join(one.reason for one in found.left_out)
    assert "rates-faster-quick-seed1-validation.json was made by another recipe" in reasons
    assert "learning_rate = 0.5, now 0.01" in reasons
    assert "initial = nothing, now before-quick-seed1/encoder.safetensors" in reasons
    assert "broken.json cannot be used" in reasons
    assert "on other patients than most" in reasons
    assert [line.label for line in found.lines] == ["plain"]


def test_nothing_finished_is_said(study, tmp_path, capsys):
    arguments = ["--results", str(tmp_path / "none"), "--networks", str(tmp_path / "none")]
    assert main(["benchmark", "ablations", str(study), "--table", *arguments]) == 0
    assert "Not run yet: plain, faster, begun." in capsys.readouterr().out


def test_a_study_is_trained_measured_and_shown_and_not_trained_twice(study, data, tmp_path, capsys):
    where = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work"), "--networks", str(tmp_path)]
    order = ["benchmark", "ablations", str(study), "--data", str(data), "--threads", "1", *where]
    assert main([*order, "--row", "plain", "--row", "begun"]) == 0
    assert "pre-training first" in capsys.readouterr().err
    run = read_run(tmp_path / "results" / "rates-begun-quick-seed1-validation.json")
    assert run.facts.recipe["initial"] == "before-quick-seed1/encoder.safetensors"
    assert run.facts.note.startswith("begun with encoders pre-trained on 1 patients without their contours")
    assert "--row begun --budget quick --seed 1 --threads 1" in run.origin.command
    assert str(tmp_path / "work") not in json.dumps(run.to_json())
    card = read_card(tmp_path / "work" / "rates-begun-quick-seed1" / "model")
    assert card.training.command == run.origin.command
    learned = json.loads((tmp_path / "results" / "pretraining" / "before-quick-seed1.json").read_text())
    assert learned["scored_on"] == ["STS_002"]

    # Encoders are made once; made again from their checkpoint they are the same, and another recipe is refused.
    assert main([*order, "--row", "begun", "--again"]) == 0
    assert "pre-training first" not in capsys.readouterr().err
    again = read_run(tmp_path / "results" / "rates-begun-quick-seed1-validation.json")
    assert again.facts.weights_sha256 == run.facts.weights_sha256
    before = (tmp_path / "before.toml").read_text()
    (tmp_path / "before.toml").write_text(before.replace("steps = 2", "steps = 3"))
    assert main([*order, "--row", "begun", "--again"]) == 3
    assert "holds a run with steps = 2; this recipe has 3" in capsys.readouterr().err
    (tmp_path / "before.toml").write_text(before)

    shutil.rmtree(tmp_path / "work")
    assert main([*order, "--row", "plain", "--row", "begun"]) == 0
    assert "already done" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()

    assert main(["benchmark", "ablations", str(study), "--table", *where]) == 0
    shown = capsys.readouterr().out
    assert "### Does it matter?" in shown
    assert "| begun | begun | as-is |" in shown
    assert "What the pre-training learned (tuning patients: 1 patients" in shown
    assert "| tiny-before | 1 | 2 |" in shown
    assert "Not run yet: faster." in shown


def test_a_study_without_rows_is_refused(tmp_path):
    (tmp_path / "one.toml").write_text('question = "?"\nrecipe = "sts_h2aseg"\n[[row]]\nname = "a"\ntitle = "a"\n')
    with pytest.raises(BadInputError, match="needs two rows or more"):
        read_ablation(str(tmp_path / "one.toml"))
