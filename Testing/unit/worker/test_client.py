from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError, CancelledError, DeviceError, ModelError, WorkerError
from petctfusion.inference.options import SegmentOptions
from petctfusion.worker.client import WorkerClient
from petctfusion.worker.exchange import PREFIX, sweep_stale
from petctfusion.worker.launch import worker_environment
from petctfusion.worker.protocol import Ignored

CPU = SegmentOptions(device="cpu")


@pytest.fixture
def client(environment, tmp_path):
    """`client(**arguments)`: a client whose exchange folder lies under `tmp_path`; closed at the end."""
    clients = []

    def make(**arguments) -> WorkerClient:
        arguments.setdefault("exchange_root", tmp_path)
        clients.append(WorkerClient(environment=environment, **arguments))
        return clients[-1]

    yield make
    for each in clients:
        each.close()


@pytest.fixture(scope="module")
def warm_client(tmp_path_factory):
    """One client for all tests that leave it as they found it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    with WorkerClient(environment=environment, exchange_root=tmp_path_factory.mktemp("exchange")) as worker:
        yield worker


def wait_until(condition, seconds: float = 10.0) -> float:
    """Seconds until `condition()` holds."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.01)
    return time.monotonic() - started


def is_running(pid: int) -> bool:
    """False also for a zombie that nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_study_comes_back_on_the_ct_grid_as_the_library_computes_it(warm_client, tiny_model, study):
    from petctfusion.inference import load_model, segment_study

    answer = warm_client.segment(study, tiny_model, CPU)
    here = segment_study(study, load_model(tiny_model, "cpu"), CPU)
    assert answer.labels.GetSize() == study["CT"].GetSize()
    assert answer.labels.GetOrigin() == study["CT"].GetOrigin()
    difference = sitk.GetArrayFromImage(answer.probability).astype(int) - sitk.GetArrayFromImage(here.probability)
    assert np.abs(difference).max() <= 1
    assert sitk.GetArrayFromImage(answer.probability).std() > 0
    assert answer.device == "cpu"
    assert answer.model == "tiny 1.0"


def test_the_second_request_is_warm(warm_client, tiny_model, study):
    worker = warm_client
    first = worker.segment(study, tiny_model, CPU)
    pid = worker.pid
    second = worker.segment(study, tiny_model, CPU)
    assert second.values["was_warm"]
    assert worker.pid == pid
    assert np.array_equal(sitk.GetArrayFromImage(first.probability), sitk.GetArrayFromImage(second.probability))


def test_progress_counts_up_and_says_how_long_it_will_take(warm_client, tiny_model, study):
    seen = []
    warm_client.segment(study, tiny_model, CPU, seen.append)
    stages = list(dict.fromkeys(event.stage for event in seen))
    assert stages == ["load", "prepare", "segment", "restore"]
    windows = [event for event in seen if event.stage == "segment"]
    assert [event.done for event in windows] == list(range(1, windows[-1].total + 1))
    assert all(event.eta_s is not None and event.eta_s >= 0 for event in windows)
    assert windows[-1].eta_s == 0
    assert windows[0].eta_s > 0


def test_cancel_is_answered_within_one_window(warm_client, slow_model, study):
    worker = warm_client
    seen: list[tuple[float, int]] = []

    def cancel_after_three(event) -> None:
        if event.stage == "segment":
            seen.append((time.monotonic(), event.done))
            if event.done == 3:
                worker.cancel()

    with pytest.raises(CancelledError):
        worker.segment(study, slow_model, CPU, cancel_after_three)
    # The worker was already in a window, and may have sent it while the cancel was under way.
    assert seen[-1][1] <= 5
    pid = worker.pid
    assert worker.start()["transport"] == "files"
    assert worker.pid == pid


def test_a_worker_that_does_not_answer_cancel_is_ended_by_force_within_two_seconds(client, slow_model, study):
    worker = client()
    stopped: list[float] = []

    def freeze(event) -> None:
        if event.stage == "segment" and not stopped:
            os.kill(worker.pid, signal.SIGSTOP)
            stopped.append(time.monotonic())
            worker.cancel()

    with pytest.raises(CancelledError):
        worker.segment(study, slow_model, CPU, freeze)
    assert time.monotonic() - stopped[0] < 4.0


def test_a_killed_worker_is_told_cleaned_up_and_started_again(client, slow_model, tiny_model, study):
    notes: list[str] = []
    worker = client(on_note=notes.append)
    pids = []

    def kill(event) -> None:
        if event.stage == "segment" and not pids:
            pids.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(WorkerError, match="SIGKILL") as caught:
        worker.segment(study, slow_model, CPU, kill)
    assert "Nothing you edited is lost" in caught.value.hint
    assert [p.name for p in worker.exchange_folder.iterdir()] == ["owner.json"]
    assert worker.segment(study, tiny_model, CPU).device == "cpu"
    assert worker.pid not in pids
    assert notes == ["The background worker had ended and was started again."]
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not worker.is_running)
    assert worker.start()["protocol"] == 1
    assert len(notes) == 2


CLIENT = """
import sys
import SimpleITK as sitk
from petctfusion.inference.options import SegmentOptions
from petctfusion.worker.client import WorkerClient
from pathlib import Path
client = WorkerClient(exchange_root=Path(sys.argv[1]))
study = {"CT": sitk.ReadImage(sys.argv[2]), "PET": sitk.ReadImage(sys.argv[3])}
def show(event):
    print(client.pid, event.stage, flush=True)
client.segment(study, sys.argv[4], SegmentOptions(device="cpu"), show)
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in /proc")
def test_the_worker_dies_with_a_killed_client_and_the_next_start_sweeps_its_files(
    slow_model, study, tmp_path, environment
):
    root = tmp_path / "exchange"
    root.mkdir()
    for name, image in study.items():
        sitk.WriteImage(image, str(tmp_path / f"{name}.mha"))
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(root), str(tmp_path / "CT.mha"), str(tmp_path / "PET.mha"), str(slow_model)],
        stdout=subprocess.PIPE,
        env=worker_environment(environment),
        text=True,
    )
    assert process.stdout is not None
    pid = next(int(line.split()[0]) for line in process.stdout if line.split()[1] == "segment")
    process.kill()
    process.wait()
    assert wait_until(lambda: not is_running(pid), 2.0) < 2.0
    left = list(root.glob(f"{PREFIX}*"))
    assert len(left) == 1
    assert list(left[0].glob("*/CT.npy"))
    with WorkerClient(exchange_root=root) as successor:
        assert not left[0].exists()
        assert successor.exchange_folder.exists()
    assert sweep_stale(root) == []


def test_a_worker_that_sees_no_shared_disk_gets_frames_and_answers_the_same_bytes(
    client, warm_client, tiny_model, study, tmp_path
):
    # The wrapper forwards all bytes, but the folder that `hello` offers is another one beyond it.
    wrapper = tmp_path / "elsewhere.py"
    wrapper.write_text(
        "import os, subprocess, sys\n"
        "p = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)\n"
        "hello = sys.stdin.buffer.readline()\n"
        "p.stdin.write(hello.replace(b'" + PREFIX + "', b'elsewhere-')); p.stdin.flush()\n"
        "while data := os.read(0, 65536):\n"
        "    p.stdin.write(data); p.stdin.flush()\n"
    )
    worker = client(prefix=(sys.executable, str(wrapper)))
    assert worker.start()["transport"] == "frames"
    assert warm_client.start()["transport"] == "files"
    by_frames, by_files = worker.segment(study, tiny_model, CPU), warm_client.segment(study, tiny_model, CPU)
    for name in ("probability", "labels"):
        assert np.array_equal(by_frames.packed[name].array, by_files.packed[name].array)
        assert by_frames.packed[name].description["geometry"] == by_files.packed[name].description["geometry"]
        assert "file" in by_files.packed[name].description
        assert "file" not in by_frames.packed[name].description


def test_a_run_leaves_no_file_behind(warm_client, tiny_model, study):
    warm_client.segment(study, tiny_model, CPU)
    assert [p.name for p in warm_client.exchange_folder.iterdir()] == ["owner.json"]


def test_leaving_the_client_while_it_computes_ends_the_worker_and_removes_the_folder(
    client, slow_model, study, tmp_path
):
    worker = client()
    started = threading.Event()

    def run() -> None:
        with pytest.raises(WorkerError):
            worker.segment(study, slow_model, CPU, lambda event: event.stage == "segment" and started.set())

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(60)
    pid = worker.pid
    worker.close()
    wait_until(lambda: not is_running(pid), 2.0)
    thread.join(10)
    assert not thread.is_alive()
    assert list(tmp_path.glob(f"{PREFIX}*")) == []


def test_what_a_shell_or_a_library_prints_does_not_disturb_the_protocol(tiny_model, study, tmp_path):
    # sitecustomize stands for a library that prints from Python and from C; the prefix for a login shell that greets.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, threading, os, time\n"
        "def chatter():\n"
        "    while True:\n"
        "        time.sleep(0.05)\n"
        "        if sys.stdout is sys.stderr:\n"
        "            print('rubbish from python')\n"
        "            os.write(1, b'rubbish from C\\n')\n"
        "threading.Thread(target=chatter, daemon=True).start()\n"
    )
    greeting = "import os, sys; print('Welcome to host', flush=True); os.execv(sys.argv[1], sys.argv[1:])"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(tmp_path)}
    events: list = []
    with WorkerClient(
        environment=environment,
        exchange_root=tmp_path,
        prefix=(sys.executable, "-c", greeting),
        on_event=events.append,
    ) as worker:
        assert worker.segment(study, tiny_model, CPU).device == "cpu"
        assert "rubbish from python" in worker.log_tail
        assert "rubbish from C" in worker.log_tail
    assert Ignored("Welcome to host") in events
    assert not [event for event in events if "rubbish" in str(event)]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"volumes": "PET"}, BadInputError),
        ({"model": "no-such-model"}, ModelError),
        ({"options": SegmentOptions(device="cuda:99")}, DeviceError),
    ],
)
def test_every_failure_has_its_kind_a_sentence_and_a_hint(warm_client, tiny_model, study, change, error):
    worker = warm_client
    volumes = {"CT": study["CT"]} if "volumes" in change else study
    with pytest.raises(error) as caught:
        worker.segment(volumes, change.get("model", tiny_model), change.get("options", CPU))
    assert caught.value.message.endswith(".")
    assert caught.value.hint
    assert "Traceback" not in str(caught.value)
    assert worker.segment(study, tiny_model, CPU).device == "cpu"


def test_a_python_that_is_not_there_is_said_in_one_sentence(client):
    with pytest.raises(WorkerError, match="cannot be started"):
        client(python="/no/such/python").start()


def test_a_python_without_the_library_is_said_with_its_last_words(client):
    worker = client(prefix=(sys.executable, "-c", "import sys; sys.exit('torch is broken')"))
    with pytest.raises(WorkerError) as caught:
        worker.start()
    assert "torch is broken" in caught.value.hint


def test_the_worker_is_ready_before_torch_is_imported(environment):
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "petctfusion.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=worker_environment(environment),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    process.stdin.close()
    assert ready == {"id": 0, "event": "ready", "protocol": 1, "pid": process.pid}
    assert process.stderr is not None
    imported = process.stderr.read().decode()
    process.wait()
    assert "petctfusion.worker.server" in imported
    assert "| torch\n" not in imported
    assert "monai" not in imported
