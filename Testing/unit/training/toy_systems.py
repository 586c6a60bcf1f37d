"""Systems for the benchmark that need no training; importable by name."""

from dataclasses import dataclass, field

import SimpleITK as sitk

from petctfusion.errors import OutOfMemoryError
from petctfusion.training.benchmark import Facts, Order, Study


@dataclass(frozen=True)
class Hot:
    """SUV above a threshold, on the PET's own grid."""

    threshold: float
    facts: Facts = field(default_factory=Facts)

    def segment(self, study: Study) -> sitk.Image:
        return study.pet >= self.threshold


class ToySystem:
    name, title = "toy", "Uptake above a threshold"

    def train(self, order: Order, say) -> Hot:
        say("training the toy")
        order.folder.mkdir(parents=True, exist_ok=True)
        facts = Facts(
            recipe={"threshold": 2.0 + order.seed}, steps=3, training_seconds=60.0, parameters=1, threshold=0.5
        )
        return Hot(2.0 + order.seed, facts)


class HungrySystem:
    name, title = "hungry", "Takes more memory than there is"

    def train(self, order: Order, say) -> Hot:
        raise OutOfMemoryError("There is not enough memory.", "Lower the batch.")
