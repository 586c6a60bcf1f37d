"""A run's progress as the panel shows it."""

from __future__ import annotations

from dataclasses import dataclass

_STAGES = {"load": "Loading the model", "prepare": "Preparing", "segment": "Segmenting", "restore": "Finishing"}


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
    text = _STAGES.get(progress.stage, progress.stage.capitalize())
    if progress.stage != "segment":
        return f"{text}..."
    text += f" {100 * progress.fraction:.0f} %"
    return text if progress.etaS is None else f"{text}, {_duration(progress.etaS)} left"


def _duration(seconds: float) -> str:
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 90 else f"{round(whole / 60)} min"
