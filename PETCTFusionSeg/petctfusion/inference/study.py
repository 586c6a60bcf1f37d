"""The whole way of one study: common grid, windows, network, back to the output grid, labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.errors import BadInputError, CancelledError
from petctfusion.inference.devices import free_cached_memory, has_fast_half, plan_device
from petctfusion.inference.memory_ladder import Rung, climb, rungs
from petctfusion.inference.model import LoadedModel
from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.postprocess import labels_from_probability
from petctfusion.inference.prepare import Prepared, prepare
from petctfusion.inference.sliding_window import ShouldCancel, predict_windows
from petctfusion.networks.blocks.intensity import absent_value
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import resample_probability


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

    `device`: where the network finally ran; `notes`: every change of plan; `seconds`: wall time.
    """

    probability: sitk.Image
    labels: sitk.Image
    device: str
    notes: tuple[str, ...]
    seconds: float


StudyReport = Callable[[StudyProgress], None]


def segment_study(
    volumes: Mapping[str, sitk.Image],
    model: LoadedModel,
    options: SegmentOptions | None = None,
    report: StudyReport | None = None,
    should_cancel: ShouldCancel | None = None,
) -> StudyResult:
    """Segment one study; `volumes` maps the modality to its image (CT in HU, PET in SUVbw), each on its own grid.

    The probability is 0 outside the common field of view. When memory runs out, smaller windows, half precision and
    the CPU are tried in turn, each announced as a note. Raises `BadInputError`, `DeviceError`, `CancelledError`,
    `OutOfMemoryError`.
    """
    run = _Run(model, options or SegmentOptions(), report, should_cancel)
    return run.segment(volumes)


class _Run:
    """One study on its way: what the steps share."""

    def __init__(
        self,
        model: LoadedModel,
        options: SegmentOptions,
        report: StudyReport | None,
        should_cancel: ShouldCancel | None,
    ) -> None:
        card = model.card
        self.model, self.options, self.report, self.should_cancel = model, options, report, should_cancel
        self.overlap = card.overlap if options.overlap is None else options.overlap
        self.flips = card.flips if options.flips is None else options.flips
        self.threshold = card.threshold if options.threshold is None else options.threshold
        self.notes: list[str] = []

    def segment(self, volumes: Mapping[str, sitk.Image]) -> StudyResult:
        started = time.perf_counter()
        output = self._output_grid(volumes)
        start = self._first_rung()
        self._say(0, 1, "prepare")
        prepared = prepare(volumes, self.model.card, self.overlap, self._absent(volumes))
        self._say(1, 1, "prepare")
        probability, device = climb(
            rungs(start, self.model.divisor, start.device == "cpu" or has_fast_half(start.device)),
            lambda rung: (self._predict(prepared, rung), rung.device),
            self._note,
        )
        self._say(0, 1, "restore")
        self._stop_if_cancelled()
        bytes_image = _on_output_grid(probability, prepared.grid, output)
        labels = self._labels(bytes_image, output)
        self._say(1, 1, "restore")
        return StudyResult(bytes_image, labels, device, tuple(self.notes), time.perf_counter() - started)

    def _absent(self, volumes: Mapping[str, sitk.Image]) -> dict[str, float]:
        """What stands for the modalities that are missing and that the network says it can do without."""
        optional = getattr(self.model.network, "optional_modalities", ())
        wanted = [name for name in self.model.card.modalities if name in optional and name not in volumes]
        absent = {name: absent_value(name) for name in wanted}
        for name in absent:
            self._note(f"There is no {name}: {self.model.card.name} runs without it.")
        return absent

    def _output_grid(self, volumes: Mapping[str, sitk.Image]) -> Geometry:
        name = self.options.grid.upper()
        if name not in volumes:
            raise BadInputError(f"The result was asked for on the {name} grid, but there is no {name}.", "Add it.")
        return Geometry.of(volumes[name])

    def _first_rung(self) -> Rung:
        wanted = self.options.device
        device = self.model.device if wanted is None else plan_device(wanted)
        half = self.options.precision == "half" and has_fast_half(device)
        if self.options.precision == "half" and not half:
            self._note("This processor has no fast half precision; full precision is used.")
        return Rung(device, self.model.card.patch, 1, half)

    def _predict(self, prepared: Prepared, rung: Rung) -> NDArray[np.float32]:
        free_cached_memory(self.model.device)
        network = self.model.network.to(rung.device)
        try:
            return predict_windows(
                prepared.array,
                network,
                rung.patch,
                air=prepared.air,
                overlap=self.overlap,
                flips=self.flips,
                batch=rung.batch,
                device=rung.device,
                half=rung.half,
                report=lambda done, total: self._say(done, total, "segment"),
                should_cancel=self.should_cancel,
            )
        finally:
            if rung.device != self.model.device:
                network.to(self.model.device)

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
        self._say(0, 1, "segment", sentence)

    def _say(self, done: int, total: int, stage: str, note: str = "") -> None:
        if self.report is not None:
            self.report(StudyProgress(done, total, stage, note))


def _on_output_grid(probability: NDArray[np.float32], grid: Geometry, output: Geometry) -> sitk.Image:
    """Probability (K, z, y, x) on `grid` as a uint8 image on `output`, rounded (a cast alone would truncate)."""
    channels = []
    for channel in probability:
        values = sitk.GetArrayFromImage(resample_probability(grid.image(channel), output))
        values *= 255.0
        np.rint(values, out=values)
        channels.append(output.image(np.clip(values, 0, 255).astype(np.uint8)))
    return channels[0] if len(channels) == 1 else sitk.Compose(channels)
