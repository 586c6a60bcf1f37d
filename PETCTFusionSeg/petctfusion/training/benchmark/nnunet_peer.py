"""nnU-Net v2 from its own package as a system of the benchmark: same patients, its own pipeline from end to end."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import SimpleITK as sitk

from petctfusion.training.benchmark.study import Study
from petctfusion.training.benchmark.system import BudgetName, Facts, Order, Say
from petctfusion.training.datasets.patient import of_split
from petctfusion.training.datasets.registry import find_patients
from petctfusion.training.nnunet.settings import NnUNetSettings

if TYPE_CHECKING:
    from petctfusion.training.nnunet.prediction import NnUNetPredictor
    from petctfusion.training.nnunet.training import NnUNetTraining

SETTINGS: dict[BudgetName, NnUNetSettings] = {
    # Into 0.36 GB it plans 192 x 192 pixels and a batch of 4: 1.8 s a step on one core, 36 min in all.
    "quick": NnUNetSettings("2d", gpu_memory_gb=0.36, epochs=48, iterations=25, validation_iterations=2),
    # As its authors run it; that takes a GPU.
    "full": NnUNetSettings("3d_fullres"),
}


@dataclass(frozen=True)
class NnUNetMethod:
    """The finished training; `segment` is nnU-Net's own prediction."""

    predictor: NnUNetPredictor
    facts: Facts

    def segment(self, study: Study) -> sitk.Image:
        """The mask on the CT grid."""
        return self.predictor.segment(study.ct, study.pet)


@dataclass(frozen=True)
class NnUNetPeer:
    """Trains on the training patients; the tuning patients are its validation fold, which chooses nothing here."""

    name: str = "nnunet"
    title: str = "nnU-Net v2 from its own package"

    def train(self, order: Order, say: Say) -> NnUNetMethod:
        """See `system.System`; `order.folder` then also holds a result folder for `petctfusion models add`."""
        from petctfusion.training.nnunet.prediction import NnUNetPredictor
        from petctfusion.training.nnunet.training import train_nnunet

        patients = find_patients("sts", order.data)
        settings = dataclasses.replace(SETTINGS[order.budget], seed=order.seed)
        parts = (of_split(patients, "train"), of_split(patients, "tune"))
        training = train_nnunet(*parts, settings, order.folder, device=order.device, threads=order.threads, say=say)
        predictor = NnUNetPredictor(training, order.device)
        return NnUNetMethod(predictor, _facts(training, predictor))


def _facts(training: NnUNetTraining, predictor: NnUNetPredictor) -> Facts:
    import torch

    from petctfusion.networks.cost import count_macs

    plan, settings = training.plan, training.settings
    patch = tuple(plan["patch_size"])
    network = predictor.network.eval()
    mirrored = "mirrored copies averaged" if settings.mirroring else "no mirroring"
    return Facts(
        recipe={**settings.to_json(), "nnunetv2": training.package, "patch": list(patch), "batch": plan["batch_size"]},
        steps=settings.steps,
        training_seconds=training.seconds,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=count_macs(network, torch.zeros(1, 2, *patch, device=next(network.parameters()).device))[0],
        window=(1, *patch) if len(patch) == 2 else patch,
        precision="float32 (windows summed in float16)",
        weights_sha256=hashlib.sha256(training.checkpoint.read_bytes()).hexdigest(),
        note=f"{training.sentence}; {mirrored}",
    )
