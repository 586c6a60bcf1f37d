"""Logs of a run that was killed: no row and no point stands twice."""

import builtins
import os

import pytest

from petctfusion.errors import OutputError
from petctfusion.training.logs import STEPS, RunLogs


def rows(folder):
    return (folder / STEPS).read_text().splitlines()


def test_rows_after_the_checkpoint_and_half_rows_are_forgotten(tmp_path):
    logs = RunLogs(tmp_path, 0)
    for step in range(1, 13):
        logs.row(STEPS, step, {"loss": 0.5, "lr": 1})
    with (tmp_path / STEPS).open("a") as file:
        file.write("1")  # the beginning of row 13
    RunLogs(tmp_path, 10).row(STEPS, 11, {"loss": 0.25, "lr": 1})
    assert [row.split(",")[0] for row in rows(tmp_path)] == ["step", *map(str, range(1, 12))]
    assert rows(tmp_path)[-1] == "11,0.25,1"


def test_curves_go_on_without_double_points(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = RunLogs(tmp_path, 0, events=True)
    for step in range(1, 6):
        first.points(step, {"loss": 1.0})
    first.flush()
    first.close()
    # Killed with a checkpoint at step 3: steps 4 and 5 come again.
    again = RunLogs(tmp_path, 3, events=True)
    for step in range(4, 8):
        again.points(step, {"loss": 2.0})
    again.close()
    curve = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("loss")
    assert [(point.step, point.value) for point in curve] == [(n, 1.0) for n in (1, 2, 3)] + [
        (n, 2.0) for n in (4, 5, 6, 7)
    ]


def test_without_tensorboard_it_is_said_once_and_the_tables_are_written(tmp_path, monkeypatch):
    whole = builtins.__import__

    def lacking(name, *rest, **more):
        if name.startswith(("torch.utils.tensorboard", "tensorboard")):
            raise ImportError(name)
        return whole(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", lacking)
    said = []
    logs = RunLogs(tmp_path, 0, events=True, say=said.append)
    for step in (1, 2):
        logs.row(STEPS, step, {"loss": 1})
        logs.points(step, {"loss": 1.0})
    logs.flush()
    logs.close()
    assert len(said) == 1
    assert "petctfusion[train]" in said[0]
    assert len(rows(tmp_path)) == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")  # noqa: PTH110
def test_a_full_disk_is_told_in_a_sentence(tmp_path):
    (tmp_path / STEPS).symlink_to("/dev/full")
    logs = object.__new__(RunLogs)
    logs._folder = tmp_path
    with pytest.raises(OutputError, match="disk is full"):
        logs.row(STEPS, 1, {"loss": 1})
