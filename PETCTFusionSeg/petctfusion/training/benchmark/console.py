"""What the commands of the benchmark say, and what they take for numbers."""

from __future__ import annotations

import argparse
import sys

PARTLY = 8  # exit code of the command line for work that was done in part


def say(line: str) -> None:
    """A line of progress."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def thread_count(text: str) -> int:
    """For argparse."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads; give 1 or more")
    return int(text)
