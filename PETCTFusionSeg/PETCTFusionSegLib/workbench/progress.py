"""A run's progress as the panel shows it."""

from __future__ import annotations

from dataclasses import dataclass

from PETCTFusionSegLib.i18n import _


@dataclass(frozen=True)
class Progress:
    """`done` of `total` steps of a stage, and the seconds that are left when they can be told."""

    done: int
    total: int
    stage: str
    etaS: float | None = None

    @property
    def fraction(self) -> float:
        """Share of the windows that are done; 0 before and 1 after them, which take nearly all the time."""
        if self.stage == "segment":
            return self.done / self.total if self.total else 0.0
        return 1.0 if self.stage == "restore" else 0.0


def progressText(progress: Progress) -> str:
    """One short line: stage, percentage, remaining time."""
    if progress.stage != "segment":
        return _stageText(progress.stage)
    percent = f"{100 * progress.fraction:.0f}"
    if progress.etaS is None:
        return _("Segmenting {percent} %").format(percent=percent)
    left = durationText(max(1.0, progress.etaS))
    return _("Segmenting {percent} %, {duration} left").format(percent=percent, duration=left)


def durationText(seconds: float) -> str:
    """A duration as a person says it: "12 s", "4 min"."""
    whole = round(seconds)
    if whole < 90:
        return _("{seconds} s").format(seconds=whole)
    return _("{minutes} min").format(minutes=round(whole / 60))


def _stageText(stage: str) -> str:
    if stage == "load":
        return _("Loading the model...")
    if stage == "prepare":
        return _("Preparing...")
    return _("Finishing...") if stage == "restore" else f"{stage.capitalize()}..."
