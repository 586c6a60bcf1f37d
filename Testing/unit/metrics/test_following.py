"""Following a prediction: only what changed is computed, large changes in the background, nothing stale is shown."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petctfusion.errors import BadInputError
from petctfusion.metrics.background import BackgroundThread
from petctfusion.metrics.changes import Placed, around, find_change
from petctfusion.metrics.following import ComparisonFollower

SHAPE = (9, 10, 11)


class CountingEngine:
    """Counts voxels; can be held, and can fail."""

    def __init__(self):
        self.prediction = np.zeros(SHAPE, bool)
        self.calls = []
        self.go = threading.Event()
        self.go.set()
        self.error = None

    def replace(self, prediction):
        self.calls.append(("replace", threading.current_thread().name))
        self.go.wait(10)
        if self.error is not None:
            raise self.error
        self.prediction = prediction

    def update(self, box, values):
        self.calls.append(("update", threading.current_thread().name))
        if self.error is not None:
            raise self.error
        self.prediction[box] = values

    def agreement(self):
        return int(self.prediction.sum())

    def worst(self):
        return tuple(np.argwhere(self.prediction)[0]) if self.prediction.any() else None


@pytest.fixture
def engines():
    return []


@pytest.fixture
def follower(engines):
    def make():
        engines.append(CountingEngine())
        return engines[-1]

    made = ComparisonFollower(np.zeros(SHAPE, bool), (1, 1, 1), large_voxels=20, engine=make)
    yield made
    made.close()


def mask(count, start=0):
    values = np.zeros(np.prod(SHAPE), bool)
    values[start : start + count] = True
    return values.reshape(SHAPE)


@st.composite
def placed(draw):
    """A label map somewhere in, across or outside the array, with two labels."""
    size = draw(st.tuples(*(st.integers(0, 7),) * 3))
    first = draw(st.tuples(*(st.integers(-4, 10),) * 3))
    seed, density = draw(st.integers(0, 999)), draw(st.sampled_from((0.0, 0.02, 0.5, 1.0)))
    random = np.random.default_rng(seed)
    values = (random.random(size) < density) * random.integers(1, 3, size)
    return Placed(values.astype(np.uint8), first, draw(st.sampled_from((None, 1, 2))))


def by_hand(one):
    """The mask on the whole array, voxel by voxel."""
    result = np.zeros(SHAPE, bool)
    for index in np.ndindex(one.values.shape):
        place = tuple(a + b for a, b in zip(index, one.first, strict=True))
        if all(0 <= p < n for p, n in zip(place, SHAPE, strict=True)):
            value = one.values[index]
            result[place] = value != 0 if one.label is None else value == one.label
    return result


@settings(max_examples=120, deadline=None)
@given(placed(), placed())
def test_the_changed_boxes_lead_from_one_mask_to_the_other(first, second):
    before, after = by_hand(first), by_hand(second)
    change = find_change(before, first.within(SHAPE).box, second, limit=10**9)
    assert change.voxels == np.count_nonzero(before != after)
    assert change.leaves == (second.count() > np.count_nonzero(after))
    few = find_change(before, first.within(SHAPE).box, second, limit=3)
    assert (few.boxes is None, few.leaves) == (change.voxels > 3, change.leaves)
    for box in change.boxes:
        before[box] = second.on_box(box)
    np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(second.on(SHAPE), after)


@settings(max_examples=60, deadline=None)
@given(placed())
def test_tight_box_and_count_are_those_of_the_voxels(one):
    inside = np.argwhere(one.values != 0 if one.label is None else one.values == one.label) + one.first
    assert one.count() == len(inside)
    box = one.tight()
    if not len(inside):
        assert box is None
        return
    assert [s.start for s in box] == inside.min(axis=0).tolist()
    assert [s.stop - 1 for s in box] == inside.max(axis=0).tolist()
    assert one.count(box) == len(inside)
    assert not one.leaves(box)
    assert one.cut(box).count() == len(inside)
    for axis, part in enumerate(box):
        smaller = list(box)
        smaller[axis] = slice(part.start, part.stop - 1)
        assert one.leaves(tuple(smaller))
    assert around(box, None, box) == box


def test_two_distant_spots_are_two_boxes_and_many_voxels_none():
    after = np.zeros(SHAPE, bool)
    after[0, 1, 2] = after[8, 9, 10] = True
    change = find_change(np.zeros(SHAPE, bool), None, Placed(after), 20)
    assert len(change.boxes) == 2
    assert sum(np.prod([s.stop - s.start for s in box]) for box in change.boxes) == 2
    assert find_change(np.zeros(SHAPE, bool), None, Placed(np.ones(SHAPE, bool)), 20).boxes is None


def test_small_changes_are_answered_at_once_in_the_callers_thread(follower, engines):
    assert follower.state == "empty"
    follower.set_prediction(mask(5))
    assert follower.wait(5)
    assert follower.numbers() == 5
    assert follower.set_prediction(mask(7))
    assert (follower.state, follower.numbers()) == ("current", 7)
    assert engines[0].calls[-1] == ("update", threading.current_thread().name)
    assert follower.worst() == (0, 0, 0)


def test_the_same_mask_again_is_no_change(follower):
    follower.set_prediction(mask(5))
    follower.wait(5)
    revision = follower.revision
    assert not follower.set_prediction(Placed(np.ones((1, 1, 5), np.int16) * 3, (0, 0, 0), 3))
    assert follower.revision == revision


def test_a_large_change_is_computed_in_the_background_and_nothing_is_shown_meanwhile(follower, engines):
    follower.set_prediction(mask(5))
    follower.wait(5)
    engines[0].go.clear()
    started = time.monotonic()
    follower.set_prediction(mask(100))
    assert time.monotonic() - started < 1
    assert (follower.state, follower.numbers(), follower.worst()) == ("computing", None, None)
    assert follower.sentence == "Computing..."
    engines[0].go.set()
    assert follower.wait(5)
    assert follower.numbers() == 100
    assert engines[0].calls[-1] == ("replace", "comparison")


def test_of_several_large_changes_only_the_last_becomes_current(engines):
    seen = []

    def make():
        engines.append(CountingEngine())
        engines[-1].go.clear()
        return engines[-1]

    follower = ComparisonFollower(
        np.zeros(SHAPE, bool), (1, 1, 1), large_voxels=20, engine=make, notify=lambda: seen.append(follower.numbers())
    )
    for count in (100, 200, 300, 400):
        follower.set_prediction(mask(count))
        assert follower.numbers() is None
    while not engines:
        time.sleep(0.001)
    engines[0].go.set()
    assert follower.wait(5)
    assert follower.numbers() == 400
    assert [call[0] for call in engines[0].calls] in (["replace"], ["replace", "replace"])
    follower.close()
    assert set(seen) <= {400}


def test_the_array_may_change_after_it_was_given(follower, engines):
    follower.set_prediction(mask(5))
    follower.wait(5)
    engines[0].go.clear()
    values = mask(100)
    follower.set_prediction(values)
    values[:] = False
    engines[0].go.set()
    follower.wait(5)
    assert follower.numbers() == 100


def test_a_small_change_during_a_large_one_waits_for_it(follower, engines):
    follower.set_prediction(mask(5))
    follower.wait(5)
    engines[0].go.clear()
    follower.set_prediction(mask(100))
    follower.set_prediction(mask(101))
    assert follower.state == "computing"
    engines[0].go.set()
    follower.wait(5)
    assert follower.numbers() == 101


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BadInputError("No.", "Do that."), "No. Do that."),
        (MemoryError(), "not enough memory"),
        (ValueError("odd"), "failed: odd"),
    ],
)
def test_an_exception_in_the_background_is_a_sentence_and_the_next_mask_works(follower, engines, error, words):
    follower.set_prediction(mask(5))
    follower.wait(5)
    engines[0].error = error
    follower.set_prediction(mask(100))
    assert follower.wait(5)
    assert follower.state == "failed"
    assert words in follower.sentence
    assert follower.numbers() is None
    follower.set_prediction(mask(101))
    assert follower.wait(5)
    assert (follower.numbers(), follower.sentence, len(engines)) == (101, "", 2)


def test_an_exception_in_a_small_change_is_a_sentence_too(follower, engines):
    follower.set_prediction(mask(5))
    follower.wait(5)
    engines[0].error = ValueError("odd")
    follower.set_prediction(mask(6))
    assert follower.state == "failed"
    follower.set_prediction(mask(6))
    assert follower.wait(5)
    assert follower.numbers() == 6


def test_a_mask_that_is_made_in_the_background(follower):
    follower.set_prediction_later(lambda: Placed(np.ones((2, 2, 2), bool), (1, 1, 1)))
    assert follower.wait(5)
    assert follower.numbers() == 8
    follower.set_prediction_later(lambda: 1 // 0)
    assert follower.wait(5)
    assert follower.state == "failed"


def test_a_question_is_answered_for_the_latest_prediction_only(follower):
    assert not follower.ask("sum", lambda a, b: int(a.sum()))
    follower.set_prediction(mask(5))
    follower.wait(5)
    hold = threading.Event()
    assert follower.ask("sum", lambda a, b: (hold.wait(5), int(a.sum()))[1])
    follower.set_prediction(mask(6))
    hold.set()
    assert follower.ask("fails", lambda a, b: 1 // 0)
    until(lambda: follower.answer("fails") is not None)
    assert "failed" in str(follower.answer("fails"))
    assert follower.answer("sum") is None
    assert follower.ask("sum", lambda a, b: int(a.sum()))
    until(lambda: follower.answer("sum") is not None)
    assert follower.answer("sum") == 6


def test_wrong_shape_and_closed_are_sentences(follower):
    with pytest.raises(BadInputError, match="not on the reference's grid"):
        follower.set_prediction(np.zeros((1, 2, 3), bool))
    follower.close()
    assert follower.state == "closed"
    with pytest.raises(BadInputError, match="closed"):
        follower.set_prediction(mask(1))


def test_close_joins_the_thread_and_a_shared_thread_serves_others(engines):
    thread = BackgroundThread("shared")

    def make():
        engines.append(CountingEngine())
        return engines[-1]

    first, second = (ComparisonFollower(np.zeros(SHAPE, bool), (1, 1, 1), thread=thread, engine=make) for _ in range(2))
    first.set_prediction(mask(3))
    first.close()
    second.set_prediction(mask(4))
    assert second.wait(5)
    assert second.numbers() == 4
    thread.close()
    assert "shared" not in [one.name for one in threading.enumerate()]


def test_many_quick_changes_end_with_the_last_mask(follower):
    random = np.random.default_rng(3)
    for _ in range(200):
        count = int(random.integers(0, 900))
        follower.set_prediction(mask(count))
        number = follower.numbers()
        assert number is None or number == count
    assert follower.wait(5)
    assert follower.numbers() == count


def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)
