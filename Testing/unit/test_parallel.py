"""Tasks in processes of their own: what a death costs, and what a person's Ctrl-C may and may not do to them."""

import importlib
import os
import signal
import subprocess
import sys

import pytest

from petctfusion.parallel import outcomes

MORTAL = """
import os


def squared(number):
    if number == 2:
        os._exit(9)
    return number * number
"""

STRUCK = """
import os, signal, sys

if os.getpid() != int(os.environ["PARENT"]):
    os.kill(os.getpid(), signal.SIGINT)


def doubled(number):
    return 2 * number
"""

PARENT = """
import os

os.environ["PARENT"] = str(os.getpid())
from struck import doubled

from petctfusion.parallel import outcomes

if __name__ == "__main__":
    print(outcomes(doubled, [1, 2, 3], 2, lambda task: "died", lambda done, total: None))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_reaches_no_process_that_still_starts(tmp_path):
    """The interrupt comes while they import the function, before a line of ours has run in them."""
    (tmp_path / "struck.py").write_text(STRUCK)
    # Not run as a file: a child would run that again as its main module, and set PARENT to itself.
    done = subprocess.run(
        [sys.executable, "-c", PARENT],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[2, 4, 6]\n", "")


def test_a_process_that_dies_costs_its_own_task_only(tmp_path, monkeypatch):
    (tmp_path / "mortal.py").write_text(MORTAL)
    monkeypatch.syspath_prepend(tmp_path)
    squared = importlib.import_module("mortal").squared
    assert outcomes(squared, range(4), 2, lambda task: -task, lambda done, total: None) == [0, 1, -2, 9]
