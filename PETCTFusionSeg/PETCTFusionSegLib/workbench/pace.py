"""How numbers that follow edits share the event loop with everything else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Depends on the loop: one in C++ keeps Python's lock, one that also draws frames wants to draw them first."""

    pauseMs: int
    """From an edit to the look at it."""
    pollWait_s: float
    """What each look for results gives the background thread; 0 where it gets Python's lock between the turns."""


DESKTOP = Pace(0, 0.01)
BROWSER = Pace(60, 0.0)
