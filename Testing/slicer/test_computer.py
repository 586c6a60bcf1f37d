"""The Computer section in detail: packages, verdicts on another Python, a worker elsewhere, what is left behind."""

import json
import logging
import os
import sys
from pathlib import Path

import pytest
import slicer
from harness import proxy

import petctfusion
from petctfusion.errors import DeviceError
from PETCTFusionSegLib.desktop import install, python_check
from PETCTFusionSegLib.desktop.machine import writeMachine
from PETCTFusionSegLib.selftest.steps import chooseStudy, waitForResult
from PETCTFusionSegLib.workbench import interpreter
from PETCTFusionSegLib.workbench.parameters import MachineSettings

REQUIREMENTS = [*install.SHIPPED_WITH_SLICER, *install.readRequirements(install.requirementsFile())]


@pytest.fixture
def section(application):
    return application.panel.sections["Computer"]


@pytest.fixture
def machine(application):
    """Set machine-level choices, and put the defaults back."""

    def choose(**values):
        writeMachine(slicer.app.settings(), MachineSettings(**values))

    yield choose
    choose()
    application.panel.enter()


# --- packages


def test_the_first_use_page_unfolds_and_says_what_a_click_brings(application, section, monkeypatch):
    needed = install.packages(install.readRequirements(install.requirementsFile()), {"tqdm": "4.0"})
    monkeypatch.setattr(install, "currentPackages", lambda: needed)
    ui = application.ui
    ui.ComputerSection.collapsed = True
    section.packages.refresh()
    assert not ui.ComputerSection.collapsed
    assert not ui.computerPackagesButton.collapsed
    assert ui.installButton.isVisibleTo(ui.computerPackagesBody)
    table = ui.computerPackagesTable
    cells = [[table.item(row, column).text() for column in range(5)] for row in range(table.rowCount)]
    assert cells[0] == ["torch", ">=2.4", "missing", "0.2 - 2.5 GB", "PyTorch extension"]
    assert cells[2][2] == "4.0 (too old)"
    assert str(install.installFolder()) in ui.computerPackagesLabel.text
    section.probe()
    assert "Install missing packages" in ui.computerProbeLabel.text
    assert not application.panel.runner.busy
    monkeypatch.undo()
    section.packages.refresh()
    assert ui.computerPackagesButton.collapsed
    assert "Everything is there" in ui.computerPackagesLabel.text


def test_a_click_installs_and_a_failure_stays_in_the_page(application, section, monkeypatch):
    done = []
    monkeypatch.setattr(install, "currentPlan", lambda: install.Plan(("tqdm>=99",), torch=False))
    monkeypatch.setattr(install, "install", lambda plan: done.append(plan) or "The packages are installed.")
    application.click(application.ui.installButton)
    assert done == [install.Plan(("tqdm>=99",), torch=False)]
    assert application.ui.computerPackagesLabel.text == "The packages are installed."

    def fail(_plan):
        raise install.InstallError("No network.", "Try again.")

    monkeypatch.setattr(install, "install", fail)
    application.click(application.ui.installButton)
    assert application.ui.computerPackagesLabel.text == "No network. Try again."
    assert application.ui.installButton.enabled


# --- another Python


@pytest.mark.parametrize(
    ("python", "packages", "library", "said"),
    [
        ([3, 9, 1], {}, None, "3.9.1 is too old"),
        ([3, 12, 0], {"numpy": "2"}, None, 'pip install "scipy" "SimpleITK" "pydicom" "torch>=2.4"'),
        ([3, 12, 0], "all", None, "lacks petctfusion"),
        ([3, 12, 0], "all", "0.0.1", "install the same version"),
        ([3, 12, 0], "all", petctfusion.__version__, "ready"),
    ],
)
def test_the_verdict_on_a_python(python, packages, library, said):
    if packages == "all":
        packages = {install.nameOf(line): "9.0" for line in REQUIREMENTS}
    answer = {"petctfusion-check": 1, "python": python, "packages": packages, "library": library}
    output = b"Welcome to gpu-host\n[1, 2]\n" + json.dumps(answer).encode() + b"\n"
    verdict = python_check.judge(output, REQUIREMENTS, remote=False)
    assert said in verdict.sentence
    assert verdict.usable == (said == "ready")


@pytest.mark.parametrize("output", [b"", b"\xff\x00", b"{}\n[]\nhello\n", b"Permission denied (publickey).\n"])
def test_what_is_no_python_is_said(output):
    assert "no Python" in python_check.judge(output, REQUIREMENTS, remote=True).sentence


def wrapper(folder, text):
    program = folder / "remote"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_a_command_with_a_python_runs_the_worker_and_its_process_id_is_never_killed(
    application, section, machine, tmp_path, monkeypatch
):
    """A stand-in for ssh: it drops its host and joins the words again, as ssh does."""
    program = wrapper(tmp_path, 'shift; exec sh -c "$*"')
    killed = []
    monkeypatch.setattr(os, "killpg", lambda *arguments: killed.append(arguments))
    ui = application.ui
    ui.pythonEdit.text = f"{program} gpu-host {sys.executable}"
    ui.pythonEdit.editingFinished()
    application.wait(lambda: not section.pythonCheck.busy, "the Python answers", 30)
    assert "on the other computer: ready" in ui.computerPythonLabel.text
    chooseStudy(application)
    application.click(ui.applyButton)
    assert waitForResult(application) is not None
    assert application.panel.runner.facts["torch"]
    pid = application.panel.runner.workerPid
    application.panel.runner.shutdown()
    assert killed == []
    application.wait(lambda: not Path(f"/proc/{pid}").exists(), "the worker ends with its stdin", 10)


def test_a_chosen_python_is_a_path_or_a_command():
    found = interpreter.findInterpreter(f"{sys.executable} -I {sys.executable}")
    assert (found.program, found.arguments, found.remote) == (sys.executable, ("-I", sys.executable), True)
    assert found.command("-m", "x") == ["-I", sys.executable, "-m", "x"]
    assert not interpreter.findInterpreter(sys.executable).remote
    assert not interpreter.localInterpreter(f"{sys.executable} -I {sys.executable}").external


@pytest.mark.parametrize("text", ["/no/such", "nothing such python", "'unclosed python", "   x"])
def test_a_chosen_python_that_cannot_be_run_is_one_sentence(text):
    with pytest.raises(DeviceError, match="cannot be run"):
        interpreter.findInterpreter(text)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_a_python_that_does_not_answer_is_given_up(application, section, tmp_path):
    verdicts = []
    check = python_check.PythonCheck(verdicts.append)
    check._timer.setInterval(200)
    check.start(str(wrapper(tmp_path, "exec sleep 60")))
    application.wait(lambda: verdicts, "it is given up", 10)
    assert "did not answer" in verdicts[0].sentence
    assert not check.busy


def test_a_check_reports_a_program_that_cannot_be_started(application, tmp_path):
    broken = tmp_path / "python"
    broken.write_bytes(b"\x7fELF no program")
    broken.chmod(0o755)
    verdicts = []
    python_check.PythonCheck(verdicts.append).start(str(broken))
    application.wait(lambda: verdicts, "the failed start is told", 10)
    assert not verdicts[0].usable


def test_a_worker_that_is_not_to_stay_ends_when_it_is_done(application, machine):
    machine(warm=False)
    application.click(application.ui.computerProbeButton)
    application.wait(lambda: not application.panel.runner.busy, "the devices are tried", 60)
    assert "CPU" in application.ui.computerProbeLabel.text
    application.wait(lambda: not application.panel.runner.warm, "the worker ends", 5)
    assert application.panel.runner.facts == {}


def test_the_section_leaves_nothing_behind(desktop):
    import PETCTFusionSeg
    from PETCTFusionSegLib.selftest.application import SlicerApplication

    logger = logging.getLogger("PETCTFusionSeg")
    before = list(logger.handlers)
    with SlicerApplication(PETCTFusionSeg.PETCTFusionSegWidget) as another:
        assert len(logger.handlers) == len(before) + 1
        another.panel.sections["Computer"].models.addFrom("/no/such/folder")
    assert logger.handlers == before
    assert proxy.SLOT_ERRORS == []
