from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from ball_masks import ball, outcome_that_kills

from petctfusion.evaluation import Evaluation, Failure, Pair, Settings, cohort_pairs, evaluate_cohort
from petctfusion.evaluation import cohort as cohort_module


def evaluated(folders, jobs):
    told = []
    pairs = cohort_pairs(*folders, None)
    return evaluate_cohort(pairs, Settings(), jobs, lambda done, total: told.append((done, total))), told


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failed_patient_costs_its_own_row_and_no_other(cohort, jobs):
    outcomes, told = evaluated(cohort, jobs)
    assert [outcome.patient for outcome in outcomes] == ["P1", "P2", "P3", "P4", "P5", "P10"]
    assert [type(outcome) for outcome in outcomes] == [Evaluation] * 3 + [Failure] * 3
    assert [outcome.comparison.dice for outcome in outcomes[:3]] == [1.0, pytest.approx(0.86, abs=0.05), 0.0]
    assert "not an NRRD file" in outcomes[3].message
    assert outcomes[4].message == "There is no prediction."
    assert outcomes[5].message == "There is no reference."
    assert told == [(n, 6) for n in range(1, 7)]


def test_a_process_that_dies_costs_one_patient(monkeypatch, tmp_path):
    monkeypatch.setattr(cohort_module, "outcome_of", outcome_that_kills)
    pairs = [Pair(f"P{n}", tmp_path, tmp_path) for n in range(4)]
    outcomes = evaluate_cohort(pairs, Settings(), 2, lambda done, total: None)
    assert [outcome.message for outcome in outcomes if outcome.patient != "P2"] == ["reached"] * 3
    assert "ended from outside, or crashed" in outcomes[2].message


def test_something_unforeseen_is_a_row_with_its_traceback(monkeypatch, tmp_path):
    from petctfusion.evaluation import case

    def broken(pair, settings):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(case, "evaluate_pair", broken)
    (outcome,) = evaluate_cohort([Pair("P1", tmp_path, tmp_path)], Settings(), 1, lambda done, total: None)
    assert outcome.kind == "internal"
    assert "ZeroDivisionError: by zero" in outcome.message
    assert "Traceback" in outcome.details
    assert "details" not in outcome.to_json()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_soon_and_leaves_no_process_and_no_file(tmp_path, write, number):
    first = write(tmp_path / "m" / "P0.nii.gz", ball())
    for n in range(1, 400):
        os.link(first, first.with_name(f"P{n}.nii.gz"))
    command = [sys.executable, "-m", "petctfusion.cli", "evaluate", tmp_path / "m", tmp_path / "m", "--jobs", "2"]
    running = subprocess.Popen(
        [*map(str, command), "--output", str(tmp_path / "out")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
        # Whoever starts the tests in the background hands on an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert "evaluating" in running.stderr.readline()
    if number == signal.SIGINT:
        os.killpg(running.pid, number)  # as a terminal does it: the children get it, too
    else:
        running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Cancelled" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()
    assert no_process_of(running.pid)


def no_process_of(group: int) -> bool:
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
