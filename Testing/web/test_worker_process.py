"""A run on the asyncio loop, without a browser: the real worker, a real scene, and every way in which it can end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer", reason="slicer-core is not installed")

from petctfusion.models import find_model
from PETCTFusionSegLib.mrml.headless import bootHeadless
from PETCTFusionSegLib.mrml.segmentations import segmentImage
from PETCTFusionSegLib.mrml.volumes import imageFromVolumeNode
from PETCTFusionSegLib.selftest.study import addStudy
from PETCTFusionSegLib.web.timers import makeTimer
from PETCTFusionSegLib.web.worker_process import AsyncioProcess
from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.interpreter import Interpreter
from PETCTFusionSegLib.workbench.parameters import MachineSettings, StudyParameters
from PETCTFusionSegLib.workbench.runner import WorkerRunner
from PETCTFusionSegLib.workbench.segmenting import Segmenting
from PETCTFusionSegLib.workbench.worker_process import ProcessEvents


class Story:
    """A study in a scene and a bench around it, with what was said and shown."""

    def __init__(self, python: str = "") -> None:
        self.booted = bootHeadless()
        self.study = addStudy(self.booted.scene)
        self.said: list[str] = []
        self.shown: list[float] = []
        self.edited: list[object] = []
        editor = SimpleNamespace(
            segmentation=lambda: self.edited[-1] if self.edited else None,
            working=lambda: False,
            edit=lambda node, _volume: self.edited.append(node),
        )
        self.runner = WorkerRunner(self.said.append, lambda _devices: None, AsyncioProcess, makeTimer)
        self.bench = Workbench(
            StudyParameters(self.study.ct, self.study.pet),
            editor,
            self.runner,
            self.said.append,
            lambda: None,
            makeTimer,
            machine=MachineSettings(device="cpu", python=python),
        )
        self.segmenting = Segmenting(self.bench, lambda: self.shown.append(self.segmenting.fraction))

    def start(self) -> None:
        self.segmenting.start(find_model("tiny"), 0.5)

    async def until(self, condition, seconds=60.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds:g} s; it said: {self.said}"
            await asyncio.sleep(0.01)

    async def ends(self, seconds=60.0):
        await self.until(lambda: not self.runner.busy, seconds)


@pytest.fixture
def play(tinyModel, monkeypatch):
    """Run a story to its end; afterwards no worker of it lives."""
    monkeypatch.setenv("PETCTFUSION_MODELS", str(tinyModel.parents[1]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(story, **arguments):
        async def whole():
            told = Story(**arguments)
            try:
                await story(told)
            finally:
                pid = told.runner.workerPid
                told.runner.shutdown()
                told.segmenting.cleanup()
                told.booted.clear()
            assert not pid or not isRunning(pid)

        asyncio.run(whole())

    return run


def isRunning(pid: int) -> bool:
    """True for a process that is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_brings_the_voxels_that_the_network_gives_and_the_loop_goes_on(play, tinyModel):
    async def story(told):
        turns = 0
        told.start()
        while told.runner.busy:
            await asyncio.sleep(0)
            turns += 1
        assert turns > 50
        (result,) = told.edited
        volumes = {"CT": imageFromVolumeNode(told.study.ct), "PET": imageFromVolumeNode(told.study.pet)}
        direct = segment_study(volumes, load_model(tinyModel, "cpu"), SegmentOptions(device="cpu"))
        wanted = sitk.GetArrayFromImage(direct.labels)
        got = sitk.GetArrayFromImage(segmentImage(result, result.GetSegmentation().GetNthSegmentID(0), told.study.ct))
        assert 0 < wanted.sum() < wanted.size
        assert np.count_nonzero(got != wanted) <= 1e-4 * wanted.size
        assert told.shown == sorted(told.shown)
        assert told.shown[-1] == 1
        assert len(set(told.shown)) >= 5
        assert any("% " in sentence or sentence.endswith(" s left") for sentence in told.said)
        assert told.segmenting.elapsed.endswith(" s")
        assert told.bench.results.of(result).threshold == 0.5

    from petctfusion.inference import SegmentOptions, load_model, segment_study

    play(story)


def test_the_second_run_is_warm_and_cancel_ends_it_within_two_seconds(play):
    async def story(told):
        told.start()
        await told.ends()
        pid = told.runner.workerPid
        told.start()
        await told.until(lambda: "%" in told.said[-1])
        started = time.monotonic()
        told.segmenting.cancel()
        await told.ends(5)
        assert time.monotonic() - started <= 2.0
        assert told.said[-1] == "Cancelled."
        assert told.runner.workerPid == pid
        assert len(told.edited) == 1

    play(story)


def test_a_killed_worker_is_said_and_the_next_run_works(play):
    async def story(told):
        told.start()
        await told.until(lambda: "%" in told.said[-1])
        pid = told.runner.workerPid
        os.kill(pid, signal.SIGKILL)
        await told.ends(10)
        assert any("worker ended during the run" in sentence for sentence in told.said)
        assert "repeat" in told.said[-1]
        told.start()
        await told.ends()
        assert len(told.edited) == 1
        assert told.runner.workerPid not in (0, pid)

    play(story)


def test_a_python_that_cannot_be_run_or_dies_at_once_is_one_sentence(play, tmp_path):
    broken = tmp_path / "broken"
    broken.write_bytes(b"no program")
    broken.chmod(0o755)
    dying = tmp_path / "dying"
    dying.write_text("#!/bin/sh\necho no torch here >&2\nexit 3\n")
    dying.chmod(0o755)

    async def story(told):
        told.start()
        await told.ends(10)
        sentence = "could not be started" if told.bench.machine.python == str(broken) else "exit code 3"
        assert sentence in told.said[-1]
        assert not told.runner.warm
        assert told.edited == []

    play(story, python=str(broken))
    play(story, python=str(dying))


def test_a_worker_that_does_not_answer_cancel_is_killed_with_its_children(play, deafWorker):
    async def story(told):
        told.start()
        await told.until(deafWorker.child.exists)
        assert deafWorker.childRuns
        started = time.monotonic()
        told.segmenting.cancel()
        await told.ends(10)
        assert time.monotonic() - started >= 1.5
        assert told.said[-1] == "Cancelled."
        await told.until(lambda: not deafWorker.childRuns, 2)

    play(story, python=str(deafWorker.program))


def test_the_end_is_told_after_the_last_output_and_large_input_does_not_block():
    heard: list[object] = []

    async def story():
        events = ProcessEvents(
            lambda data: heard.append(data),
            lambda data: heard.append(data),
            lambda code: heard.append(code),
            lambda: heard.append("failed"),
        )
        process = AsyncioProcess(events)
        program = "import sys; n = len(sys.stdin.buffer.read(5000000)); print(n, flush=True); sys.exit(7)"
        process.start(Interpreter(sys.executable, external=False), "-c", program)
        process.write(b"x" * 2_000_000)
        started = time.monotonic()
        await asyncio.sleep(0.3)
        process.write(b"x" * 3_000_000)
        assert time.monotonic() - started < 2
        while not heard or not isinstance(heard[-1], int):
            await asyncio.sleep(0.01)
        process.close()

    asyncio.run(asyncio.wait_for(story(), 20))
    assert b"".join(heard[:-1]) == b"5000000\n"
    assert heard[-1] == 7


def test_a_process_that_was_closed_tells_nobody():
    heard: list[object] = []

    async def story():
        events = ProcessEvents(heard.append, heard.append, heard.append, lambda: heard.append("failed"))
        process = AsyncioProcess(events)
        process.start(Interpreter(sys.executable, external=False), "-c", "print('here', flush=True); input()")
        process.close()
        await asyncio.sleep(0.5)

    asyncio.run(story())
    assert heard == []


def test_timers_ring_once_or_again_and_can_be_stopped():
    async def story():
        rung: list[str] = []
        once = makeTimer(10, True, lambda: rung.append("once"))
        again = makeTimer(10, False, lambda: rung.append("again"))
        never = makeTimer(10, True, lambda: rung.append("never"))
        for timer in (once, again, never):
            assert not timer.isActive()
            timer.start()
            assert timer.isActive()
        never.stop()
        await asyncio.sleep(0.2)
        assert rung.count("once") == 1
        assert not once.isActive()
        assert rung.count("again") >= 5
        again.stop()
        before = len(rung)
        await asyncio.sleep(0.05)
        assert len(rung) == before
        assert "never" not in rung

    asyncio.run(story())
