"""Dice and HD95 after so many clicks of a simulated reader, answered by constraints or by a network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from petctfusion.inference import AnyLoaded, LoadedModel, SegmentOptions, segment_study
from petctfusion.inference.clicks import Click, refine_labels
from petctfusion.inference.guided import refine_guided
from petctfusion.metrics import compare
from petctfusion.training.benchmark.click_user import next_click
from petctfusion.training.benchmark.study import Study
from petctfusion.volumes.geometry import Geometry


@dataclass(frozen=True)
class ClickRow:
    """One way on one study after `clicks` clicks; `hd95_mm` is infinite without a contour.

    `made`: fewer clicks where nothing was wrong any more; `seconds`: mean wall time of an answer to a click, None
    before the first.
    """

    way: str
    crop: str
    patient: str
    clicks: int
    made: int
    dice: float
    hd95_mm: float
    seconds: float | None

    def to_json(self) -> dict[str, Any]:
        """JSON has no infinity: no contour is null."""
        return {**asdict(self), "hd95_mm": self.hd95_mm if math.isfinite(self.hd95_mm) else None}


@dataclass(frozen=True)
class Way:
    """The whole study once; each click is then answered by constraints on its probability, or `guided` by the network
    in a window around it."""

    model: AnyLoaded
    guided: bool

    def __str__(self) -> str:
        return f"{self.model.card.name} {self.model.card.version}, {'network' if self.guided else 'constraints'}"

    def answer(self, study: Study, probability: sitk.Image, labels: sitk.Image, clicks: Sequence[Click]) -> sitk.Image:
        """Labels after the last click."""
        card, value = self.model.card, self.model.card.labels[0].value
        if not self.guided:
            return refine_labels(probability, labels, clicks[-1:], card.threshold, value)
        assert isinstance(self.model, LoadedModel), "an ensemble takes no clicks"
        return refine_guided({"CT": study.ct, "PET": study.pet}, self.model, labels, clicks, value).labels


def measure_clicks(study: Study, way: Way, counts: Sequence[int], report: Callable[[ClickRow], None]) -> list[ClickRow]:
    """The rows of one study; each click is placed on the error that the answers before it have left."""
    result = segment_study({"CT": study.ct, "PET": study.pet}, way.model, SegmentOptions())
    labels = result.labels
    contour, grid = sitk.GetArrayFromImage(study.contour) > 0, Geometry.of(study.contour)
    clicks: list[Click] = []
    seconds, rows = 0.0, []
    for count in range(max(counts) + 1):
        if count in counts:
            found = compare(labels, study.contour)
            mean = seconds / len(clicks) if clicks else None
            rows.append(
                ClickRow(str(way), study.crop, study.patient, count, len(clicks), found.dice, found.hd95_mm, mean)
            )
            report(rows[-1])
        click = next_click(sitk.GetArrayFromImage(labels) == way.model.card.labels[0].value, contour, grid)
        if click is not None and count < max(counts):
            clicks.append(click)
            started = time.perf_counter()
            labels = way.answer(study, result.probability, labels, clicks)
            seconds += time.perf_counter() - started
    return rows


def summarise_clicks(rows: Sequence[ClickRow]) -> list[dict[str, Any]]:
    """A line per crop, way and number of clicks, in the order of the rows: means over patients.

    HD95 is the mean of those that have a contour (None where nobody has), `no_contour` counts the others.
    """
    groups: dict[tuple[str, str, int], list[ClickRow]] = {}
    for row in rows:
        groups.setdefault((row.crop, row.way, row.clicks), []).append(row)
    lines = []
    for (crop, way, clicks), group in sorted(groups.items(), key=lambda item: item[0][0]):
        finite = [row.hd95_mm for row in group if math.isfinite(row.hd95_mm)]
        timed = [row.seconds for row in group if row.seconds is not None]
        lines.append(
            {
                "crop": crop,
                "way": way,
                "clicks": clicks,
                "patients": len(group),
                "dice": float(np.mean([row.dice for row in group])),
                "lowest_dice": min(row.dice for row in group),
                "hd95_mm": float(np.mean(finite)) if finite else None,
                "no_contour": len(group) - len(finite),
                "seconds": float(np.mean(timed)) if timed else None,
            }
        )
    return lines
