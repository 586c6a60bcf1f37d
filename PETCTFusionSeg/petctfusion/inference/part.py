"""One network's part in a study: what it is given, how many windows it needs, and its probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.inference.devices import free_cached_memory
from petctfusion.inference.maps import MapSum
from petctfusion.inference.memory_ladder import Rung
from petctfusion.inference.model import LoadedModel
from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.prepare import Prepared, estimate_windows, prepare
from petctfusion.inference.sliding_window import Report, ShouldCancel, predict_windows
from petctfusion.networks.blocks.intensity import absent_value


@dataclass(frozen=True)
class Part:
    """A network and the settings of its run. `share`: how much its probability counts, of 1; `absent`: what stands for
    the modalities that are missing and that the network says it can do without."""

    model: LoadedModel
    share: float
    overlap: float
    flips: tuple[str, ...]
    absent: dict[str, float]

    @classmethod
    def of(
        cls,
        model: LoadedModel,
        share: float,
        options: SegmentOptions,
        volumes: Mapping[str, sitk.Image],
    ) -> Part:
        """The part of `model` with the settings of its card, as far as `options` does not change them."""
        card = model.card
        optional = getattr(model.network, "optional_modalities", ())
        missing = [name for name in card.modalities if name in optional and name not in volumes]
        return cls(
            model,
            share,
            card.overlap if options.overlap is None else options.overlap,
            card.flips if options.flips is None else options.flips,
            {name: absent_value(name) for name in missing},
        )

    def estimate(self, volumes: Mapping[str, sitk.Image]) -> int:
        """Windows to compute, mirrored ones as their own; the cut to the body may save some. Raises `BadInputError`."""
        windows = estimate_windows(volumes, self.model.card, self.overlap, self.absent)
        return windows << len(self.flips)

    def prepare(self, volumes: Mapping[str, sitk.Image]) -> Prepared:
        """What the network is given."""
        return prepare(volumes, self.model.card, self.overlap, self.absent)

    def prepares_like(self, other: Part) -> bool:
        """Whether both networks are given the same values."""
        return self._preparation == other._preparation

    @property
    def _preparation(self) -> tuple[object, ...]:
        card = self.model.card
        values = card.modalities, card.clip, card.normalisation, self.absent
        return *values, card.spacing_mm, card.orientation, card.patch, self.overlap

    def predict(
        self,
        prepared: Prepared,
        rung: Rung,
        report: Report,
        should_cancel: ShouldCancel | None,
        attention: MapSum | None = None,
    ) -> NDArray[np.float32]:
        """Probability (K, z, y, x) on the grid of `prepared`, and into `attention` what the network attends to.

        The network goes back to where it rests.
        """
        free_cached_memory(rung.device)
        home = self.model.device
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
                report=report,
                should_cancel=should_cancel,
                attention=attention,
            )
        finally:
            if rung.device != home:
                network.to(home)
