from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.inference.clicks import Click
from petctfusion.worker import protocol
from petctfusion.worker.exchange import array_of_frame, pack
from petctfusion.worker.protocol import Failure, LineDecoder, Progress, Result
from petctfusion.worker.session import Segmented, WorkerSession


@pytest.fixture
def told() -> list:
    return []


@pytest.fixture
def session(tmp_path, told):
    session = WorkerSession(told.append, exchange_root=tmp_path)
    yield session
    session.close()


def answer(number: int, event: str, **values) -> bytes:
    return protocol.encode({"id": number, "event": event, **values})


def test_a_study_is_shipped_as_files_that_only_the_request_names(session, study):
    message = json.loads(session.segment(study, "sts"))
    assert message["request"] == "segment"
    assert message["options"]["device"] == "auto"
    array = np.load(message["volumes"]["PET"]["file"])
    assert np.array_equal(array, sitk.GetArrayFromImage(study["PET"]))
    assert session.running == message["id"] == session.last_id


def test_without_a_shared_disk_the_study_is_shipped_as_frames(session, study):
    session.feed(answer(json.loads(session.hello())["id"], "result", request="hello", transport="frames"))
    messages = LineDecoder().feed(session.segment(study, "sts"))
    assert [m["request"] for m in messages] == ["frame", "frame", "segment"]
    ct = array_of_frame(messages[0]["payload"], messages[2]["volumes"]["CT"])
    assert np.array_equal(ct, sitk.GetArrayFromImage(study["CT"]))
    assert "output" not in messages[2]


def test_progress_result_and_files_of_a_run(session, study, told):
    request = json.loads(session.segment(study, "sts"))
    number, labels = request["id"], sitk.Cast(study["CT"] > 60, sitk.sitkUInt8)
    array, description = pack(labels)
    frame = protocol.encode_frame({"id": number, "event": "frame", "name": "labels"}, array.data)
    done = answer(
        number, "result", request="segment", images={"labels": description}, model="m 1", device="cpu", seconds=2.0
    )
    session.feed(answer(number, "progress", done=1, total=2, stage="segment", eta_s=1.0) + frame + done)
    progress, result = told
    assert progress == Progress(number, 1, 2, "segment", 1.0)
    assert isinstance(result, Segmented)
    assert np.array_equal(sitk.GetArrayFromImage(result.labels), sitk.GetArrayFromImage(labels))
    assert result.labels.GetSpacing() == study["CT"].GetSpacing()
    assert session.running is None
    assert [p.name for p in session.exchange.folder.iterdir()] == ["owner.json"]


def test_an_answer_that_lacks_its_images_is_a_failure_and_not_an_exception(session, study, told):
    number = json.loads(session.segment(study, "sts"))["id"]
    session.feed(answer(number, "result", request="segment", seconds=1.0))
    assert isinstance(told[0], Failure)
    assert told[0].id == number
    assert session.running is None


def test_the_end_of_the_process_fails_what_runs_and_removes_its_files(session, study, told):
    number = json.loads(session.segment(study, "sts"))["id"]
    session.feed(b'{"id": 1, "event": "progr')
    session.process_ended(-9)
    assert [(e.id, e.kind) for e in told] == [(number, "internal")]
    assert "SIGKILL" in told[0].message
    assert [p.name for p in session.exchange.folder.iterdir()] == ["owner.json"]
    # The half line of the dead process is not glued to the first line of the next one.
    hello = json.loads(session.hello())["id"]
    session.feed(answer(hello, "result", request="hello", transport="files"))
    assert isinstance(told[-1], Result)


def test_progress_that_comes_after_the_answer_is_dropped(session, study, told):
    number = json.loads(session.segment(study, "sts"))["id"]
    session.feed(answer(number, "error", kind="cancelled", message="Stopped."))
    session.feed(answer(number, "progress", done=2, total=2, stage="segment"))
    assert [type(e) for e in told] == [Failure]


def test_cancel_names_the_running_request(session, study):
    number = json.loads(session.segment(study, "sts"))["id"]
    assert json.loads(session.cancel())["target"] == number


def test_another_protocol_version_is_a_failure_with_a_hint(session, told):
    session.feed(answer(0, "ready", protocol=99, pid=1))
    assert isinstance(told[0], Failure)
    assert "99" in told[0].message
    assert told[0].hint


def test_clicks_travel_in_millimetres(session, study):
    labels = sitk.Cast(study["CT"] > 60, sitk.sitkUInt8)
    message = json.loads(session.refine(labels, labels, [Click((1.0, 2.0, 3.5), True)], 0.5))
    assert message["clicks"] == [{"point": [1.0, 2.0, 3.5], "foreground": True}]
