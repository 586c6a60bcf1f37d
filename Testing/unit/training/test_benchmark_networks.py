"""`benchmark networks` from data folder to results, with systems that need no training and one that is trained."""

import json
import shutil
from dataclasses import replace

import dataset_miniatures
import pytest

from petctfusion.cli import main
from petctfusion.errors import BadInputError
from petctfusion.models import find_model
from petctfusion.training.benchmark import campaign
from petctfusion.training.benchmark.budget import FULL_STEPS, under_budget
from petctfusion.training.benchmark.campaign import Campaign, Wish
from petctfusion.training.benchmark.run import read_run
from petctfusion.training.benchmark.systems import Entry, entries, wanted_entries
from petctfusion.training.recipe import read_recipe

TOY = Entry("toy", "Uptake above a threshold", "toy_systems:ToySystem")
HUNGRY = Entry("hungry", "Takes more memory than there is", "toy_systems:HungrySystem")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset_miniatures.sts(tmp_path_factory.mktemp("sts"))


@pytest.fixture
def start(data, tmp_path):
    """Makes runs in a folder of this test; returns what was said, the rows that were reported, and what failed."""

    def started(chosen, baselines=False, seed=1, again=False, models=(), folder=data):
        wish = Wish(folder, "validation", tmp_path / "results", tmp_path / "work", "quick", seed, "cpu", 1, again)
        said, rows = [], []
        failed = Campaign(wish, said.append, rows.append).run(chosen, list(models), baselines)
        return said, rows, failed

    return started


def test_a_system_is_trained_and_measured_once(start, tmp_path):
    said, rows, failed = start([TOY])
    assert failed == []
    assert "training the toy" in said
    run = read_run(tmp_path / "results" / "toy-quick-seed1-validation.json")
    assert run.data.patients == ("STS_019",)
    assert list(run.rows) == rows
    assert [row.crop for row in run.rows] == ["as-is", "re-cropped"]
    assert all(row.dice > 0.5 and row.reference_volume_ml > 10 for row in run.rows)
    assert (run.facts.steps, run.facts.recipe) == (3, {"threshold": 3.0})
    assert run.origin.command.endswith("--split validation --system toy --budget quick --seed 1 --threads 1")
    said, rows, _ = start([TOY])
    assert rows == []
    assert "training the toy" not in said
    assert "already done" in said[0]


def test_again_measures_anew_and_another_seed_is_another_run(start, tmp_path):
    start([TOY])
    assert len(start([TOY], again=True)[1]) == 2
    assert len(start([TOY], seed=2)[1]) == 2
    names = sorted(path.name for path in (tmp_path / "results").iterdir())
    assert names == ["toy-quick-seed1-validation.json", "toy-quick-seed2-validation.json"]


def test_a_system_that_fails_costs_no_other_and_leaves_nothing(start, tmp_path):
    said, _, failed = start([HUNGRY, TOY])
    assert [one.name for one in failed] == ["hungry"]
    assert any("hungry is left out: There is not enough memory" in line for line in said)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["toy-quick-seed1-validation.json"]


def test_the_baselines_are_one_run_of_all_rules(start, tmp_path):
    start([], baselines=True)
    run = read_run(tmp_path / "results" / "baselines-validation.json")
    assert len(run.methods) == 7
    assert "blind ellipsoid" in run.methods
    assert (run.seed, run.budget, run.facts.parameters) == (None, "", None)


def test_a_measurement_that_is_stopped_leaves_no_result(start, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(campaign, "measure_method", stopped)
    with pytest.raises(KeyboardInterrupt):
        start([TOY])
    assert not (tmp_path / "results").exists()


def test_tables_and_page_come_from_the_results_alone(start, tmp_path, capsys):
    start([TOY], baselines=True)
    html = tmp_path / "pages" / "networks.html"
    code = main(["benchmark", "networks", "--table", "--results", str(tmp_path / "results"), "--page", str(html)])
    assert code == 0
    assert "| toy | as-is |" in capsys.readouterr().out
    assert "toy-quick-seed1-validation.json" in html.read_text()
    assert html.with_suffix(".svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--data is missing"),
        (["--data", "nowhere"], "not the prepared sarcoma collection"),
        (["--data", "nowhere", "--system", "early_une"], "Did you mean 'early_unet'"),
        (["--data", "nowhere", "--model", "no-such-model"], "no model 'no-such-model'"),
        (["--table", "--results", "nowhere"], "holds no run"),
        (["--threads", "0"], "no number of threads"),
    ],
)
def test_wrong_arguments_get_one_sentence(arguments, sentence, capsys):
    assert main(["benchmark", "networks", *arguments]) in (2, 3, 4)
    assert sentence in capsys.readouterr().err


def test_a_patient_without_files_is_told(data, tmp_path, capsys):
    broken = dataset_miniatures.sts(tmp_path / "sts")
    (broken / "STS_019" / "PET.nii.gz").unlink()
    arguments = ["--data", str(broken), "--system", "baselines", "--results", str(tmp_path / "results")]
    assert main(["benchmark", "networks", *arguments]) == 3
    assert "STS_019" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_every_network_of_the_registry_and_nnunet_are_listed(capsys, tmp_path):
    assert main(["benchmark", "networks", "--list", "--results", str(tmp_path)]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("anatomy_guided", "early_unet", "swin_unetr", "nnunet", "baselines"))


def test_only_what_can_be_run_is_run_by_default():
    assert all(not entry.missing for entry in wanted_entries([]))
    assert "anatomy_guided" in [entry.name for entry in wanted_entries([])]
    assert len(wanted_entries(["anatomy_guided", "anatomy_guided", "baselines"])) == 1


def test_a_system_without_recipe_says_so():
    with pytest.raises(BadInputError, match="cannot be run: There is no recipe sts_x"):
        Entry("x", "", "", "sts_x", "There is no recipe sts_x.").system()


def test_the_full_budget_has_the_published_size():
    quick = read_recipe("sts_anatomy_guided")
    assert under_budget(quick, "quick") is quick
    full = under_budget(quick, "full")
    assert full.steps == FULL_STEPS
    assert full.patch == tuple(2 * side for side in quick.patch)
    assert full.arguments == {"fusion": "intermediate", "normalisation": "learnable", "deep_supervision": True}


@pytest.mark.slow
@pytest.mark.parametrize("entry", [e for e in entries() if e.recipe and not e.missing], ids=lambda entry: entry.name)
def test_every_network_can_be_built_under_the_full_budget(entry):
    """Its own arguments exist, and its patch fits what it divides by."""
    from petctfusion.networks import build

    recipe = under_budget(read_recipe(entry.recipe), "full")
    network = build(recipe.network, **{**recipe.arguments, "modalities": list(recipe.modalities)})
    divisor = getattr(network, "divisor", 1)
    divisors = (divisor,) * 3 if isinstance(divisor, int) else tuple(divisor)
    window = recipe.patch[-len(divisors) :]
    assert all(length % step == 0 for length, step in zip(window, divisors, strict=True))


_TINY = """
name = "tiny"
title = "tiny"
network = "anatomy_guided"
spacing_mm = [6.0, 6.0, 6.0]
patch = [16, 16, 16]
steps = 2
batch = 1
checkpoint_every = 1
score_every = 100

[arguments]
widths = [4, 8, 8]
deep_supervision = true

[clip]
CT = [-1024.0, 3071.0]
PET = [0.0, 60.0]
"""


def test_a_recipe_is_trained_measured_and_costed(start, tmp_path, data):
    (tmp_path / "tiny.toml").write_text(_TINY)
    source = "petctfusion.training.benchmark.recipe_system:RecipeSystem"
    _, rows, failed = start([Entry("tiny", "tiny", source, str(tmp_path / "tiny.toml"))])
    assert failed == []
    assert len(rows) == 2
    run = json.loads((tmp_path / "results" / "tiny-quick-seed1-validation.json").read_text())
    facts = run["facts"]
    assert facts["steps"] == 2
    assert facts["training_seconds"] > 0
    assert facts["window"] == [16, 16, 16]
    assert facts["macs"] > 0
    assert facts["recipe"]["learning_rate"] == 1e-3
    assert 0.3 <= facts["threshold"] <= 0.8

    # The model that it left can be measured by itself: the same rows, apart from the time they took.
    model = find_model(tmp_path / "work" / "tiny-quick-seed1" / "model")
    _, again, _ = start([], models=[model])
    assert [replace(row, seconds=0.0) for row in again] == [
        replace(row, seconds=0.0, method="tiny 1.0.0") for row in rows
    ]
    assert (tmp_path / "results" / "model-tiny-1.0.0-seed1-validation.json").exists()

    # On a patient that it learned from it is not measured.
    leaky = tmp_path / "leaky"
    shutil.copytree(data, leaky)
    split = json.loads((leaky / "split.json").read_text())
    (leaky / "split.json").write_text(json.dumps({**split, "validation": split["train"]}))
    _, none, failed = start([], models=[model], folder=leaky, again=True)
    assert none == []
    assert "learned from STS_001, one of the validation patients" in failed[0].error.message
