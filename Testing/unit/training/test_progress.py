"""What a person sees of a training, in a pipe and on a terminal."""

import io

import pytest

from petctfusion.training import progress as module
from petctfusion.training.progress import TrainingDisplay
from petctfusion.training.trainer import TrainingProgress
from petctfusion.training.tuning import TuningScore


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def step(number, loss=1.0, **more):
    return TrainingProgress(number, 10, loss, 0.5, 4, **more)


def test_a_pipe_gets_a_line_a_minute_and_the_last(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with TrainingDisplay(stream) as display:
        for number in range(1, 11):
            now[0] += 15.0
            display.update(step(number, dice=0.25 if number == 2 else None))
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["4/10", "8/10", "10/10"]
    assert lines[0] == "step 4/10 loss 1.000, Dice 0.250, 8.0 patches/s, about 0 min left"


def test_scores_are_lines_and_skipped_steps_spoil_no_mean():
    stream = io.StringIO()
    with TrainingDisplay(stream) as display:
        display.update(step(1, 2.0))
        display.update(step(2, float("nan"), skipped=1))
        display.update(step(10, 2.0, skipped=1, score=TuningScore(0.5, 0.75, ())))
    assert "loss 2.000, 8.0 patches/s, 1 skipped" in stream.getvalue()
    assert "step 10: tuning Dice 0.500 as is, 0.750 re-cropped" in stream.getvalue()


@pytest.mark.parametrize("first", [1, 6])
def test_a_terminal_shows_a_bar_from_where_the_run_stands(first):
    stream = Terminal()
    with TrainingDisplay(stream) as display:
        for number in range(first, 11):
            display.update(step(number))
    last = stream.getvalue().splitlines()[-1].split("\r")[-1]
    assert "10/10" in last
    assert "8.0 patches/s" in stream.getvalue()
