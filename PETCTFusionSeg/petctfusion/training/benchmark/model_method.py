"""A trained model as a method of the benchmark, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import SimpleITK as sitk

from petctfusion.inference.options import SegmentOptions
from petctfusion.training.benchmark.study import Study
from petctfusion.training.benchmark.system import Facts

if TYPE_CHECKING:
    from petctfusion.inference import LoadedModel
    from petctfusion.inference.model import AnyLoaded


@dataclass(frozen=True)
class ModelMethod:
    """Whatever `inference.load_model` gives, run as the worker runs it."""

    model: AnyLoaded
    options: SegmentOptions
    facts: Facts = field(default_factory=Facts)

    def segment(self, study: Study) -> sitk.Image:
        """The labels on the CT grid."""
        from petctfusion.inference import segment_study

        return segment_study(study.volumes, self.model, self.options).labels


def model_facts(model: AnyLoaded) -> Facts:
    """What the card and the network themselves tell; the training's part is left empty. Ensembles: sums of members."""
    parts = [part for part, _share in model.parts]
    macs = [_macs(part) for part in parts]
    return Facts(
        parameters=sum(parameter.numel() for part in parts for parameter in part.network.parameters()),
        macs=None if None in macs else sum(count for count in macs if count is not None),
        window=tuple(parts[0].card.patch),
        precision=f"float32 (weights {parts[0].card.weights.dtype})",
        threshold=model.card.threshold,
        smallest_component_ml=model.card.smallest_component_ml,
        weights_sha256=model.card.sha256,
    )


def _macs(model: LoadedModel) -> int | None:
    """Of one window; None for a network that cannot be traced with shapes alone, such as a TorchScript program."""
    import torch

    from petctfusion.networks.cost import count_macs

    patch = model.card.patch
    # A patch of one slice stands for a network of images (`inference.sliding_window`).
    window = patch[1:] if patch[0] == 1 else patch
    try:
        return count_macs(model.network, torch.zeros(1, len(model.card.modalities), *window, device=model.device))[0]
    except (RuntimeError, NotImplementedError, TypeError, AttributeError):
        return None
