"""The whole way of one study: common grid, windows, network, back to the output grid, labels.

The networks of an ensemble go this way one after the other, each on its own grid; they meet on the output grid.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.errors import BadInputError, CancelledError
from petctfusion.inference.averaging import WeightedMean
from petctfusion.inference.devices import has_fast_half, plan_device
from petctfusion.inference.maps import BUDGET_BYTES, MapSum, StudyMap
from petctfusion.inference.memory_ladder import Rung, climb, rungs
from petctfusion.inference.model import AnyLoaded
from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.part import Part
from petctfusion.inference.postprocess import labels_from_probability
from petctfusion.inference.prepare import Prepared
from petctfusion.inference.sliding_window import ShouldCancel
from petctfusion.networks.explain import has_attention
from petctfusion.volumes.geometry import Geometry


@dataclass(frozen=True)
class StudyProgress:
    """`done` of `total` steps of a `stage` ("prepare", "segment", "restore"); `note` announces a change of plan."""

    done: int
    total: int
    stage: str
    note: str = ""


@dataclass(frozen=True)
class StudyResult:
    """Probability (uint8, 255 = 1; one component per label) and labels (uint8) on the output grid, and how it went.

    `device`: where the network finally ran (of an ensemble, every such place); `notes`: every change of plan;
    `seconds`: wall time; `attention`: the networks' attention maps, where they were asked for.
    """

    probability: sitk.Image
    labels: sitk.Image
    device: str
    notes: tuple[str, ...]
    seconds: float
    attention: tuple[StudyMap, ...] = ()


StudyReport = Callable[[StudyProgress], None]


def segment_study(
    volumes: Mapping[str, sitk.Image],
    model: AnyLoaded,
    options: SegmentOptions | None = None,
    report: StudyReport | None = None,
    should_cancel: ShouldCancel | None = None,
    attention: bool = False,
) -> StudyResult:
    """Segment one study; `volumes` maps the modality to its image (CT in HU, PET in SUVbw), each on its own grid.

    The probability is 0 outside the common field of view. That of an ensemble is the weighted mean of its members',
    rounded once; a member counts as 0 where its own is. When memory runs out, smaller windows, half precision and the
    CPU are tried in turn for the network that runs, each announced as a note.

    `attention`: the networks are watched while they compute, and their attention maps
    come with the result, each on its network's grid or, where all would not fit into 256 MB, a coarser one.

    Raises `BadInputError`, `DeviceError`, `CancelledError`, `OutOfMemoryError`.
    """
    run = _Run(model, options or SegmentOptions(), report, should_cancel, attention)
    return run.segment(volumes)


class _Run:
    """One study on its way: what the steps share."""

    def __init__(
        self,
        model: AnyLoaded,
        options: SegmentOptions,
        report: StudyReport | None,
        should_cancel: ShouldCancel | None,
        attention: bool,
    ) -> None:
        self.model, self.options, self.report, self.should_cancel = model, options, report, should_cancel
        self.attention = attention
        self.maps: list[StudyMap] = []
        self.device = model.device if options.device is None else plan_device(options.device)
        self.threshold = model.card.threshold if options.threshold is None else options.threshold
        self.notes: list[str] = []
        # Windows of every network: estimated, and from its first window on as they are. One count runs over all.
        self.windows = [1]
        self.current = 0

    def segment(self, volumes: Mapping[str, sitk.Image]) -> StudyResult:
        started = time.perf_counter()
        output = self._output_grid(volumes)
        half = self._half()
        self._say(0, 1, "prepare")
        parts = [Part.of(model, share, self.options, volumes) for model, share in self.model.parts]
        self._note_absent(parts)
        self._note_blind(parts)
        # For every network, before the first one computes: a modality that the last one lacks is told at once.
        self.windows = [part.estimate(volumes) for part in parts]
        mean, devices = WeightedMean(output), []
        prepared = parts[0].prepare(volumes)
        self._say(1, 1, "prepare")
        for self.current, part in enumerate(parts):
            if self.current and not part.prepares_like(parts[self.current - 1]):
                prepared = part.prepare(volumes)
            probability, device = self._climbed(part, prepared, half)
            devices.append(device)
            if self.current == len(parts) - 1:
                self._say(0, 1, "restore")
            self._stop_if_cancelled()
            mean.add(probability, prepared.grid, part.share)
        bytes_image = mean.rounded()
        labels = self._labels(bytes_image, output)
        self._say(1, 1, "restore")
        where = " and ".join(dict.fromkeys(devices))
        seconds = time.perf_counter() - started
        return StudyResult(bytes_image, labels, where, tuple(self.notes), seconds, tuple(self.maps))

    def _note_absent(self, parts: list[Part]) -> None:
        for part in parts:
            for name in part.absent:
                self._note(f"There is no {name}: {part.model.card.name} runs without it.")

    def _note_blind(self, parts: list[Part]) -> None:
        for part in parts:
            if self.attention and not has_attention(part.model.network):
                self._note(f"The network of {part.model.card.name} has no attention maps.")

    def _output_grid(self, volumes: Mapping[str, sitk.Image]) -> Geometry:
        name = self.options.grid.upper()
        if name not in volumes:
            raise BadInputError(f"The result was asked for on the {name} grid, but there is no {name}.", "Add it.")
        return Geometry.of(volumes[name])

    def _half(self) -> bool:
        if self.options.precision != "half":
            return False
        half = has_fast_half(self.device)
        if not half:
            self._note("This processor has no fast half precision; full precision is used.")
        return half

    def _climbed(self, part: Part, prepared: Prepared, half: bool) -> tuple[NDArray[np.float32], str]:
        """The probability of one network on its own grid, and the device that it ran on in the end; keeps its maps."""
        start = Rung(self.device, part.model.card.patch, 1, half)
        ladder = rungs(start, part.model.divisor, start.device == "cpu" or has_fast_half(start.device))

        def attempt(rung: Rung) -> tuple[NDArray[np.float32], str, MapSum | None]:
            # Every attempt has windows of its own.
            budget = BUDGET_BYTES // len(self.windows)
            watched = MapSum(prepared.array.shape[1:], budget) if self.attention else None
            return part.predict(prepared, rung, self._count, self.should_cancel, watched), rung.device, watched

        probability, device, watched = climb(ladder, attempt, self._note)
        if watched is not None:
            self._keep(part, watched, prepared.grid)
        return probability, device

    def _keep(self, part: Part, watched: MapSum, grid: Geometry) -> None:
        card = part.model.card
        found = watched.images(grid)
        if watched.step > 1:
            spacing = " x ".join(f"{watched.step * mm:g}" for mm in grid.spacing)
            self._note(f"The attention maps of {card.name} are kept at {spacing} mm, so that they fit into memory.")
        model = f"{card.name} {card.version}"
        self.maps += [StudyMap(name, "attention", model, image) for name, image in found.items()]

    def _count(self, done: int, total: int) -> None:
        self.windows[self.current] = total
        self._say(sum(self.windows[: self.current]) + done, sum(self.windows), "segment")

    def _labels(self, probability: sitk.Image, grid: Geometry) -> sitk.Image:
        card = self.model.card
        labels = labels_from_probability(
            sitk.GetArrayViewFromImage(probability),
            grid.voxel_ml,
            self.threshold,
            card.smallest_component_ml,
            card.fill_holes,
            [label.value for label in card.labels],
            card.smallest_component_share,
        )
        return grid.image(labels)

    def _stop_if_cancelled(self) -> None:
        if self.should_cancel is not None and self.should_cancel():
            raise CancelledError("The run was cancelled.")

    def _note(self, sentence: str) -> None:
        self.notes.append(sentence)
        self._say(sum(self.windows[: self.current]), sum(self.windows), "segment", sentence)

    def _say(self, done: int, total: int, stage: str, note: str = "") -> None:
        if self.report is not None:
            self.report(StudyProgress(done, total, stage, note))
