"""Classification benchmark: numbers by hand, rules cut where they should be, and a whole tiny run."""

import argparse
import json

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.phantom.texture_cohort import make_texture_cohort
from petctfusion.training.benchmark.classification_results import lines_of, markdown, read_results
from petctfusion.training.benchmark.classification_run import features_of
from petctfusion.training.benchmark.classification_scores import Answer, Cut, auroc, macro_f1, scores_of


def test_auroc_is_how_often_a_pair_is_in_order():
    rng = np.random.default_rng(1)
    truth, score = rng.integers(0, 2, 60), rng.integers(0, 8, 60).astype(float)
    pairs = [(a > b) + 0.5 * (a == b) for a in score[truth == 1] for b in score[truth == 0]]
    assert auroc(truth, score) == pytest.approx(np.mean(pairs))
    assert auroc(np.array([1, 1]), np.array([0.2, 0.3])) is None


def test_confusion_accuracy_and_macro_f1_by_hand():
    answers = [
        *[Answer(0, 0, 0.1)] * 3,
        Answer(0, 1, 0.8),
        *[Answer(1, 1, 0.9)] * 2,
        Answer(1, 0, 0.4),
        Answer(1, None, 0.5),
    ]
    found = scores_of(answers)
    assert found.confusion == ((3, 1), (1, 2))
    assert found.unanswered == (0, 1)
    assert found.accuracy == pytest.approx(5 / 8)
    low, high = found.accuracy_interval
    assert low < 5 / 8 < high
    # F1 = 2 TP / (2 TP + FP + FN); the lesion that was not found is a miss of its class.
    assert found.macro_f1 == pytest.approx((6 / (6 + 1 + 1) + 4 / (4 + 1 + 2)) / 2)
    assert macro_f1([[3, 1], [1, 2]], [0, 1]) == found.macro_f1
    assert found.auroc == pytest.approx(14 / 16)
    assert found.auroc_interval[0] < found.auroc <= found.auroc_interval[1]


def test_who_always_says_the_same_has_chance():
    found = scores_of([Answer(n % 2, 1, 0.0) for n in range(40)])
    assert (found.accuracy, found.auroc, found.auroc_interval) == (0.5, 0.5, (0.5, 0.5))
    assert found.macro_f1 == pytest.approx(1 / 3)


def test_one_class_alone_has_no_auroc():
    found = scores_of([Answer(1, 1, 0.7)] * 4)
    assert (found.accuracy, found.auroc, found.auroc_interval) == (1.0, None, None)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_rule_is_cut_where_it_answers_best_in_either_direction(sign):
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    cut = Cut.best([sign * v for v in values], [0, 0, 0, 1, 1, 1])
    assert cut == Cut(sign * 3.5, sign)
    assert cut.answer(sign * 3.6, 1) == Answer(1, 1, 3.6)
    assert cut.answer(sign * 3.4, 1).said == 0


def test_features_see_a_rim():
    grid = np.mgrid[-12:13, -12:13, -12:13]
    radius = np.sqrt((grid**2).sum(axis=0))
    pet, contour = np.where(radius < 7, 2.0, 6.0) * (radius <= 10), (radius <= 10).astype(np.uint8)
    found = features_of(sitk.GetImageFromArray(pet.astype(np.float32)), sitk.GetImageFromArray(contour))
    assert found["volume"] == pytest.approx(contour.sum() / 1000)
    assert found["SUVmax"] == pytest.approx(6.0)
    assert 3.0 < found["SUVmean"] < 5.5
    assert found["core/rim"] < 0.7


def result(tmp_path, name, rows):
    values = {"format": 1, "title": name, "rows": rows}
    (tmp_path / f"{name}.json").write_text(json.dumps(values))


def row(number, split, features):
    kind = number % 2
    return {
        "patient": f"p{number}", "split": split, "lesion_class": kind, "probability": 0.9 if kind else 0.2,
        "dice": 0.8, "features": features,
    }  # fmt: skip


def test_the_table_cuts_rules_on_the_tuning_lesions_and_names_the_majority(tmp_path):
    def features(number):
        # SUVmax tells on the tuning lesions, and nothing on the others: a rule that looked at the test would see it.
        value = float(number % 2) if number < 10 else float(number // 2 % 2)
        return {"volume": 50.0 + number, "SUVmean": 5.0, "SUVmax": value, "SUV SD": 1.0, "core/rim": float(number % 2)}

    rows = [row(n, "tune" if n < 10 else "test", features(n)) for n in range(30)]
    result(tmp_path, "mask-seed1", rows)
    lines = {line.title.split(" 0")[0]: line for line in lines_of(read_results(tmp_path))}
    assert lines["mask-seed1"].scores.accuracy == 1.0
    assert lines["mask-seed1"].mean_dice == pytest.approx(0.8)
    assert lines["rule: rim from SUVmax"].scores.accuracy == pytest.approx(0.5)
    assert lines["rule: rim from core/rim"].scores.auroc == 1.0
    assert lines["always the larger class"].scores.confusion == ((10, 0), (10, 0))
    assert markdown(read_results(tmp_path)).count("\n") == 2 + 1 + 5 + 1 - 1
    result(tmp_path, "mean-seed1", rows[:-1])
    with pytest.raises(BadInputError, match="different lesions"):
        markdown(read_results(tmp_path))


def test_a_folder_without_results_or_with_a_damaged_one_is_told(tmp_path):
    with pytest.raises(BadInputError, match="holds no result"):
        read_results(tmp_path)
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(BadInputError, match=r"a\.json"):
        read_results(tmp_path)


@pytest.mark.slow
def test_contour_and_class_are_learnt_together_from_table_to_table(tmp_path, capsys):
    from petctfusion.training.benchmark import command

    make_texture_cohort(tmp_path / "cohort", 20, seed=2)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = ["classification", "--cohort", tmp_path / "cohort", "--row", "mask", "--steps", 3, "--threads", 1]
    words += ["--results", tmp_path / "results", "--work", tmp_path / "work"]
    assert command.run(parser.parse_args([str(word) for word in words])) == 0
    table = capsys.readouterr().out
    assert "dual attention, pooled over its own contour | 6 |" in table
    values = json.loads((tmp_path / "results" / "mask-seed1.json").read_text())
    assert values["simulated"] is True
    assert values["training"]["steps"] == 3
    assert [one["split"] for one in values["rows"]] == ["tune"] * 4 + ["test"] * 6
    assert command.run(parser.parse_args([str(word) for word in words])) == 0
    assert "already done" in capsys.readouterr().err
