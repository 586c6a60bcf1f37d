"""`petctfusion view`: what it refuses before it starts anything, what it says, and that Ctrl-C leaves nothing."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="the browser workbench is not installed")

from pages import running

from petctfusion.errors import BadInputError
from petctfusion.teaching.lesson_file import EXAMPLE
from PETCTFusionSegLib.web.command import ViewCommand
from PETCTFusionSegLib.web.command_run import startOf
from PETCTFusionSegLib.web.order import SessionOrder
from PETCTFusionSegLib.web.start import SessionStart


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    ViewCommand().configure(parser)
    return parser.parse_args(arguments)


def view(*arguments, **environment):
    command = [sys.executable, "-m", "petctfusion.cli", "view", "--no-browser", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ct", "nothing.nii.gz"], "nothing.nii.gz does not exist."),
        (["--phantom", "--teach"], "--teach and --phantom exclude each other."),
        (["--phantom", "--ct", "here.nii"], "--phantom and --ct / --pet exclude each other."),
        (["--seed", "3"], "--seed belongs to --phantom."),
        (["--pet", "here.nii"], "A CT is missing"),
        (["--reference", "here.nii"], "A CT is missing"),
        (["--ct", "empty.nii"], "empty.nii is empty (0 bytes)."),
        (["--teach", "folder"], "folder is a folder."),
        (["--dicom", "folder"], "folder holds no DICOM files."),
        (["--ct", "a\0b"], "cannot be opened."),
        (["--ct", "x" * 5000], "cannot be opened."),
    ],
)
def test_what_cannot_be_opened_is_said_before_anything_starts(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.nii").write_bytes(b"x")
    (tmp_path / "empty.nii").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadInputError) as refused:
        startOf(parsed(*arguments))
    assert sentence in refused.value.message
    assert refused.value.hint


def test_what_a_session_begins_with(tmp_path):
    ct, pet = tmp_path / "ct.nii", tmp_path / "pet.nii"
    for path in (ct, pet):
        path.write_bytes(b"x")
    start = startOf(parsed("--ct", str(ct), "--pet", str(pet), "--pet-units", "suvbw"))
    assert (start.ct, start.pet, start.petUnits, start.phantomSeed, start.teaching) == (ct, pet, "suvbw", None, False)
    assert startOf(parsed("--phantom")).phantomSeed == 7
    assert startOf(parsed("--phantom", "--seed", "0")).phantomSeed == 0
    lesson = startOf(parsed("--teach"))
    assert (lesson.teaching, lesson.lesson) == (True, None)
    assert startOf(parsed("--teach", str(EXAMPLE))).lesson == EXAMPLE
    assert startOf(parsed()) == SessionStart(Path())


def test_the_order_survives_its_journey(tmp_path):
    order = SessionOrder(SessionStart(tmp_path, ct=tmp_path / "ü.nii", phantomSeed=3), "secret", 17, True)
    line = order.toJson()
    assert "\n" not in line
    assert SessionOrder.fromJson(line) == order
    assert "secret" not in repr(order)


def test_a_bad_path_is_one_sentence_and_an_exit_code():
    answer = view("--ct", "nothing.nii.gz")
    assert answer.returncode == 3
    assert answer.stdout == ""
    assert answer.stderr.splitlines()[0] == "petctfusion: nothing.nii.gz does not exist."
    assert "Traceback" not in answer.stderr


def test_a_port_that_is_taken_and_a_host_that_is_not_ours():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = view("--port", str(taken.getsockname()[1]))
        assert answer.returncode == 5
        assert "cannot listen at 127.0.0.1" in answer.stderr
    assert view("--host", "192.0.2.1").returncode == 5
    assert view("--port", "700000").returncode == 5
    assert view("--token", "short").returncode == 3


def test_the_address_is_printed_and_ctrl_c_ends_it():
    with running(testing=False) as server:
        with urllib.request.urlopen(server.address, timeout=10) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(server.origin, timeout=10)
        server.process.send_signal(signal.SIGINT)
        rest = server.process.stdout.read()
        assert server.process.wait(20) == 0
        assert "Stop it with Ctrl-C" in rest
        assert "not encrypted" not in rest
        assert server.process.stderr.read() == ""


def test_beyond_this_computer_it_warns_and_still_asks_for_the_token():
    with running("--host", "0.0.0.0", "--token", "given-for-this-lecture", testing=False) as server:
        assert server.token == "given-for-this-lecture"
        port = server.origin.rsplit(":", 1)[1]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
        server.process.send_signal(signal.SIGTERM)
        assert "not encrypted" in server.process.stdout.read()


def test_the_gateway_loads_nothing_heavy():
    program = (
        "import json, sys; import PETCTFusionSegLib.web.gateway.run, PETCTFusionSegLib.web.command_run;"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)
    assert {"slicer", "vtkmodules", "vtk", "trame", "torch", "SimpleITK", "numpy"} & set(loaded) == set()
