"""When frames are drawn, by a clock that the test moves; and what a page may send."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("PIL", reason='needs: pip install "petctfusion[web]"')

from PETCTFusionSegLib.web.views.frames import Picture
from PETCTFusionSegLib.web.views.pointer import PointerEvent, UnusableMessage, number
from PETCTFusionSegLib.web.views.schedule import ANSWER_S, QUIET_S, REST_S, FrameSchedule


class View:
    def __init__(self, name, log, shown=True, differs=True):
        self.name, self.log, self.shown, self.differs = name, log, shown, differs
        self.fails = False

    def draw(self):
        if self.fails:
            raise RuntimeError("no picture")
        self.log.append(self.name)
        return self.differs

    def sharpen(self):
        self.log.append(f"{self.name} sharp")


def played(story, *names):
    """What was drawn while `story(schedule, views)` ran on a loop of its own."""
    log = []

    async def run():
        schedule = FrameSchedule()
        views = [View(name, log) for name in names]
        for view in views:
            schedule.add(view)
        await story(schedule, *views)
        schedule.stop()

    elsewhere(lambda: asyncio.run(run()))
    return log


def elsewhere(function):
    """In a thread of its own: beside a browser this one has a running loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


async def soon():
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_change_is_drawn_at_once_and_many_are_one_frame():
    async def story(schedule, axial):
        for _ in range(20):
            schedule.changed(axial)
        await soon()

    assert played(story, "axial") == ["axial"]


def test_a_page_that_is_slow_gets_the_newest_state_and_no_queue():
    async def story(schedule, axial):
        for _ in range(10):
            schedule.changed(axial)
            await soon()
        schedule.arrived(axial)
        await soon()

    # Two under way, then one for all that came meanwhile.
    assert played(story, "axial") == ["axial"] * 3


def test_a_page_that_never_answers_is_sent_frames_all_the_same():
    async def story(schedule, axial):
        for _ in range(3):
            schedule.changed(axial)
            await soon()
        await asyncio.sleep(ANSWER_S + 0.1)

    assert played(story, "axial").count("axial") == 3


def test_the_view_in_the_hand_comes_first_and_the_others_when_it_is_quiet():
    async def story(schedule, axial, coronal):
        for _ in range(3):
            schedule.inHand(axial)
            schedule.changed(coronal)
            schedule.changed(axial)
            await soon()
            schedule.arrived(axial)
        await asyncio.sleep(QUIET_S + 0.05)

    assert played(story, "axial", "coronal") == ["axial", "axial", "axial", "coronal"]


def test_the_last_frame_is_sent_again_sharp_once_it_rests():
    async def story(schedule, axial):
        schedule.changed(axial)
        await asyncio.sleep(REST_S / 2)
        schedule.changed(axial)
        await asyncio.sleep(REST_S + 0.1)

    assert played(story, "axial") == ["axial", "axial", "axial sharp"]


def test_what_looks_the_same_is_not_sharpened_and_what_is_hidden_not_drawn():
    async def story(schedule, same, hidden):
        same.differs, hidden.shown = False, False
        schedule.changed(same)
        schedule.changed(hidden)
        await asyncio.sleep(REST_S + 0.1)

    assert played(story, "same", "hidden") == ["same"]


def test_a_view_that_fails_keeps_no_other_from_being_drawn():
    async def story(schedule, broken, axial):
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        broken.fails = True
        schedule.changed(broken)
        schedule.changed(axial)
        await soon()

    assert played(story, "broken", "axial") == ["axial"]


def test_after_the_end_nothing_is_drawn():
    async def story(schedule, axial):
        schedule.changed(axial)
        schedule.stop()
        schedule.changed(axial)
        schedule.arrived(axial)
        await soon()

    assert played(story, "axial") == []


def test_before_the_server_runs_nothing_is_drawn():
    log = []
    schedule = FrameSchedule(lambda: 0.0)
    view = View("axial", log)
    schedule.add(view)
    elsewhere(lambda: schedule.changed(view))
    assert log == []


def test_a_pointer_event_counts_rows_from_below():
    message = {"kind": "move", "points": [[3, 10], [5.5, 0]], "button": 0, "pressed": True, "ctrl": True}
    event = PointerEvent.fromPage(message, 512)
    assert event.points == ((3.0, 501.0), (5.5, 511.0))
    assert event.point == (5.5, 511.0)
    assert (event.pressed, event.modified, event.shift) == (True, True, False)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"kind": "explode", "points": [[1, 2]]},
        {"kind": "move", "points": []},
        {"kind": "move", "points": "1,2"},
        {"kind": "move", "points": [[1, 2, 3]]},
        {"kind": "move", "points": [[1, "2"]]},
        {"kind": "move", "points": [[float("nan"), 2]]},
        {"kind": "move", "points": [[1e300, 2]]},
        {"kind": "move", "points": [[1, 2]] * 501},
    ],
)
def test_what_our_page_does_not_send_is_refused(message):
    with pytest.raises(UnusableMessage):
        PointerEvent.fromPage(message, 512)


@pytest.mark.parametrize("value", [True, None, "1", float("inf"), [1]])
def test_a_number_is_a_number(value):
    with pytest.raises(UnusableMessage):
        number(value)


def test_a_picture_is_the_right_way_up_and_sharper_at_rest():
    import io

    from PIL import Image

    pixels = np.zeros((40, 60, 4), np.uint8)
    pixels[:10, :, 0] = 255
    pixels[:, ::2, 1] = 200
    picture = Picture(pixels)
    assert picture.image().size == (60, 40)
    assert picture.image().getpixel((30, 39))[0] == 255
    assert picture.image().getpixel((30, 0))[0] == 0
    wanted = np.asarray(picture.image(), dtype=int)
    errors = [
        np.abs(np.asarray(Image.open(io.BytesIO(picture.jpeg(sharp)))) - wanted).mean() for sharp in (False, True)
    ]
    assert errors[1] < errors[0] / 2
    assert picture.same(Picture(pixels.copy()))
    assert not picture.same(Picture(pixels + 1))
