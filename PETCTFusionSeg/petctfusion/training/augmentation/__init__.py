"""Random changes of training patches in physical units; all chance comes from the generator that is handed in."""

from petctfusion.training.augmentation.settings import Augmentation

__all__ = ["Augmentation"]
