"""What the panel makes of a worker that answers badly; a stand-in for the worker speaks its protocol."""

import sys

import pytest

from PETCTFusionSegLib.selftest.steps import chooseStudy
from PETCTFusionSegLib.selftest.stories_robust import Drawing

WORKER = """#!{python}
import json, os, sys
os.setsid()
def say(**message):
    print(json.dumps(message), flush=True)
say(id=0, event="ready", protocol=1, pid=os.getpid())
for line in sys.stdin:
    request = json.loads(line)
    if request["request"] == "hello":
        say(id=request["id"], event="result", request="hello", devices={devices})
    elif request["request"] == "segment":
        {answer}
"""


@pytest.fixture
def worker(application, tmp_path):
    """Make a worker of one answer the external Python, and put Slicer's own back."""

    def make(answer, devices="[]"):
        program = tmp_path / "python"
        program.write_text(WORKER.format(python=sys.executable, answer=answer, devices=devices))
        program.chmod(0o755)
        choose(str(program))

    def choose(text):
        application.ui.pythonEdit.text = text
        application.ui.pythonEdit.editingFinished()

    yield make
    choose("")
    application.panel.runner.shutdown()


def run(application):
    study = chooseStudy(application)
    drawing = Drawing(application, study)
    application.click(application.ui.applyButton)
    application.wait(lambda: not application.panel.runner.busy, "the run ends", 30)
    drawing.requireIntact()
    assert application.ui.applyButton.text == "Apply"
    assert application.ui.applyButton.enabled


def test_a_full_gpu_is_one_sentence_with_a_hint(application, worker):
    worker(
        'say(id=request["id"], event="error", kind="out_of_memory", message="The GPU is full.", hint="Choose the CPU.")'
    )
    run(application)
    assert application.status == "The GPU is full. Choose the CPU."


def test_an_answer_that_is_not_understood_is_one_sentence(application, worker):
    worker('say(id=request["id"], event="result", request="segment", images={"labels": 7}, seconds=1)')
    run(application)
    assert "not understood" in application.status


def test_a_worker_that_dies_in_the_middle_is_one_sentence(application, worker):
    worker('say(id=request["id"], event="progress", done=1, total=4, stage="segment"); os._exit(9)')
    run(application)
    assert "ended during the run (exit code 9)" in application.status


def test_the_devices_are_listed_with_their_free_memory(application, worker):
    worker(
        'say(id=request["id"], event="error", kind="device", message="Nothing here.")',
        [{"id": "cuda:0", "name": "Big GPU", "free_bytes": 3 * 2**30}],
    )
    run(application)
    selector = application.ui.deviceSelector
    assert selector.findData("cuda:0") >= 0
    assert selector.itemText(selector.findData("cuda:0")) == "Big GPU (3.0 GB free)"
    assert application.status == "Nothing here."
