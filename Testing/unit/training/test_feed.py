"""Drawing ahead: the same patches in the same order, and no more than are needed."""

import threading

import pytest
import torch

from petctfusion.training.feed import Feed


def test_every_step_gets_its_own_draws_in_order_whatever_the_threads():
    for threads in (1, 3):
        with Feed(lambda step, index: (step, index), [1, 3], last=4, threads=threads) as feed:
            assert [feed.batch(step) for step in (1, 2, 3)] == [[(s, 1), (s, 3)] for s in (1, 2, 3)]


def test_the_next_step_is_drawn_while_this_one_computes_and_none_beyond_the_last():
    drawn, second = [], threading.Event()

    def draw(step, index):
        drawn.append(step)
        if step == 1:
            second.set()
        return step

    with Feed(draw, [0], last=2) as feed:
        feed.batch(0)
        assert second.wait(20)
        feed.batch(1)
    assert drawn == [0, 1]


def test_what_a_draw_raises_is_raised_by_its_own_step():
    def draw(step, index):
        if step == 1:
            raise MemoryError
        return step

    with Feed(draw, [0], last=3) as feed:
        assert feed.batch(0) == [0]
        with pytest.raises(MemoryError):
            feed.batch(1)


def test_drawing_threads_have_one_core_and_the_step_keeps_its_own():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Feed(lambda step, index: torch.get_num_threads(), [0, 1, 2], last=1, threads=2) as feed:
            assert feed.batch(0) == [1, 1, 1]
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
