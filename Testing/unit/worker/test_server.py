"""The server in this process, over real pipes: what a client that is not ours may send."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.inference import sliding_window
from petctfusion.inference.clicks import Click
from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.prepare import local_volumes
from petctfusion.inference.uncertainty import entropy_image
from petctfusion.models import ClickGuidance, read_card
from petctfusion.volumes.geometry import Geometry
from petctfusion.worker import protocol
from petctfusion.worker.channel import Channel
from petctfusion.worker.protocol import Failure, Progress, Ready, Result
from petctfusion.worker.server import Server
from petctfusion.worker.session import ClickGuide, Explained, Segmented, WorkerSession

from .conftest import TINY, make_model


class Talk:
    """Gives lines to a server and collects its answers until `bye`."""

    def __init__(self, tmp_path, transport=None) -> None:
        self.events: list = []
        self.session = WorkerSession(self.events.append, transport, tmp_path)

    def run(self, *requests: bytes) -> list:
        read_end, write_end = os.pipe()
        server = Server(Channel(write_end))
        for message in protocol.LineDecoder().feed(b"".join(requests) + self.session.bye()):
            server.accept(message)

        def read() -> None:
            while data := os.read(read_end, 1 << 20):
                self.session.feed(data)

        reader = threading.Thread(target=read)
        reader.start()
        server.run()
        os.close(write_end)
        reader.join(30)
        os.close(read_end)
        return [e for e in self.events if not (isinstance(e, Ready) or getattr(e, "request", "") == "bye")]


@pytest.fixture
def talk(tmp_path):
    talk = Talk(tmp_path)
    yield talk
    talk.session.close()


@pytest.mark.parametrize("line", [b"not json\n", b"[]\n", b'{"id": "x", "request": "hello"}\n', b'{"id": 4}\n'])
def test_bad_json_is_answered_and_the_next_request_served(talk, line):
    failure, result = talk.run(line, talk.session.hello())
    assert (failure.id, failure.kind) == (-1, "bad_input")
    assert isinstance(result, Result)
    assert result.values["transport"] == "files"
    assert result.values["devices"][0]["id"] == "cpu"


@pytest.mark.parametrize(
    "fields",
    [
        {"request": "dance"},
        {"request": "load"},
        {"request": "segment", "volumes": [], "model": "m"},
        {"request": "segment", "volumes": {"CT": {}}, "model": "m"},
        {"request": "segment", "volumes": {"CT": {"file": "/no/such.npy"}}, "model": "m"},
        {"request": "segment", "options": {"colour": "red"}, "model": "m"},
        {"request": "refine", "volumes": {}, "clicks": [], "threshold": 0.5, "value": 1},
        {"request": "explain", "model": "m"},
    ],
)
def test_a_wrong_request_is_bad_input_with_a_hint(talk, fields):
    failure = next(e for e in talk.run(protocol.encode({"id": 5, **fields})) if isinstance(e, Failure))
    assert (failure.id, failure.kind) == (5, "bad_input")
    assert failure.hint


def test_a_cancel_for_a_waiting_request_is_answered_before_it_starts(talk, study, tiny_model):
    events = talk.run(talk.session.segment(study, tiny_model), talk.session.cancel())
    answer = next(e for e in events if getattr(e, "request", "") == "cancel")
    assert answer.values == {"cancelled": True}
    assert [e.kind for e in events if isinstance(e, Failure)] == ["cancelled"]


def test_an_unforeseen_error_is_internal_and_shows_no_traceback(talk, study, tiny_model, monkeypatch, capsys):
    def broken(*_, **__):
        raise KeyError("secret detail")

    monkeypatch.setattr("petctfusion.inference.study.segment_study", broken)
    events = talk.run(talk.session.segment(study, tiny_model, SegmentOptions(device="cpu")))
    failure = next(e for e in events if isinstance(e, Failure))
    assert failure.kind == "internal"
    assert "secret detail" not in failure.message + failure.hint
    assert "secret detail" in capsys.readouterr().err


def test_memory_that_runs_out_for_good_has_its_kind_and_every_step_is_announced(talk, study, tiny_model, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(sliding_window, "_forward", full)
    events = talk.run(talk.session.segment(study, tiny_model, SegmentOptions(device="cpu")))
    notes = [e.note for e in events if isinstance(e, Progress) and e.note]
    assert len(notes) == 2
    assert "8 x 8 x 8" in notes[0]
    assert "4 x 4 x 4" in notes[1]
    assert [e.kind for e in events if isinstance(e, Failure)] == ["out_of_memory"]


@pytest.mark.parametrize("transport", ["files", "frames"])
def test_clicks_are_answered_with_the_corrected_labels(tmp_path, transport):
    share = np.zeros((20, 20, 20), np.uint8)
    share[5:10, 5:10, 5:10], share[14:17, 14:17, 14:17] = 200, 90
    labels = (share >= 128).astype(np.uint8)
    talk = Talk(tmp_path, transport)
    clicks = [Click((15.0, 15.0, 15.0), True), Click((7.0, 7.0, 7.0), False)]
    request = talk.session.refine(sitk.GetImageFromArray(share), sitk.GetImageFromArray(labels), clicks, 0.5)
    (answer,) = talk.run(request)
    talk.session.close()
    assert isinstance(answer, Segmented)
    assert np.array_equal(sitk.GetArrayFromImage(answer.labels) == 1, share == 90)


def test_probe_gives_a_verdict_on_every_device_and_needs_no_model(talk):
    (result,) = talk.run(talk.session.probe())
    assert isinstance(result, Result)
    assert result.values["torch"]
    cpu = result.values["verdicts"][0]
    assert (cpu["id"], cpu["usable"]) == ("cpu", True)
    assert cpu["sentence"].endswith(".")


@pytest.mark.parametrize("transport", ["files", "frames"])
def test_a_click_is_answered_by_the_network_that_takes_clicks(tmp_path, study, transport):
    model = make_model(tmp_path / "guided", {**TINY, "clicks": True}, clicks=ClickGuidance(12.0))
    card = read_card(model)
    labels = Geometry.of(study["CT"]).empty()
    click = Click((60.0, 60.0, 60.0), True)
    guide = ClickGuide(model, local_volumes(study, card, click.point), "cpu")
    talk = Talk(tmp_path, transport)
    events = talk.run(talk.session.refine(labels, labels, [click], 0.5, guide=guide))
    talk.session.close()
    (answer,) = [e for e in events if isinstance(e, Segmented)]
    assert (answer.request, answer.model, answer.device) == ("refine", "guided 1.0", "cpu")
    assert answer.seconds > 0
    x, y, z = study["CT"].TransformPhysicalPointToIndex(click.point)
    assert answer.labels[x, y, z] == 1
    changed = np.argwhere(sitk.GetArrayFromImage(answer.labels))
    assert (np.linalg.norm((changed - (z, y, x)) * 3.0, axis=1) <= 40.0).all()


def test_a_model_without_clicks_does_not_answer_one(talk, study, tiny_model):
    labels = Geometry.of(study["CT"]).empty()
    guide = ClickGuide(tiny_model, study, "cpu")
    events = talk.run(talk.session.refine(labels, labels, [Click((60.0, 60.0, 60.0), True)], 0.5, guide=guide))
    (failure,) = [e for e in events if isinstance(e, Failure)]
    assert (failure.kind, failure.message) == ("bad_input", "The model tiny takes no clicks.")


@pytest.mark.parametrize("transport", ["files", "frames"])
def test_explain_answers_the_segmentation_its_uncertainty_and_every_attention_map(
    tmp_path, study, tiny_model, transport
):
    talk = Talk(tmp_path, transport)
    options = SegmentOptions(device="cpu")
    events = talk.run(
        talk.session.segment(study, tiny_model, options), talk.session.explain(study, tiny_model, options)
    )
    talk.session.close()
    segmented, explained = (e for e in events if isinstance(e, Segmented))
    assert isinstance(explained, Explained)
    assert np.array_equal(*(sitk.GetArrayFromImage(answer.probability) for answer in (segmented, explained)))
    unsure, *seen = explained.maps
    assert (unsure.name, unsure.kind) == ("uncertainty", "uncertainty")
    percent, expected = (sitk.GetArrayFromImage(i) for i in (unsure.image, entropy_image(segmented.probability)))
    assert np.abs(percent - expected / 2.55).max() < 1
    assert percent.max() > 90
    assert "spatial gate, level 1" in [found.name for found in seen]
    assert {(found.kind, found.model, found.image.GetSpacing()) for found in seen} == {
        ("attention", "tiny 1.0", (4.0, 4.0, 4.0))
    }
    # A gate is a share.
    gate = sitk.GetArrayFromImage(seen[0].image)
    assert 0.0 <= gate.min() < gate.max() <= 1.0


def test_explain_is_cancelled_and_counted_like_a_segmentation(talk, study, tiny_model):
    events = talk.run(talk.session.explain(study, tiny_model, SegmentOptions(device="cpu")))
    steps = [e for e in events if isinstance(e, Progress) and e.stage == "segment"]
    assert steps[-1].done == steps[-1].total > 1
    events = talk.run(talk.session.explain(study, tiny_model), talk.session.cancel())
    assert [e.kind for e in events if isinstance(e, Failure)] == ["cancelled"]


def test_an_explanation_that_lacks_a_map_is_a_failure_and_not_an_exception(talk, study, tiny_model):
    talk.session.explain(study, tiny_model)
    number = talk.session.last_id
    values = {"request": "explain", "seconds": 1.0, "images": {}, "maps": [{"name": "gate", "kind": "attention"}]}
    (event,) = talk.session.feed(protocol.encode({"id": number, "event": "result", **values}))
    assert isinstance(event, Failure)
    assert event.id == number
