"""Whether an augmentation suits the network it is to train: asked before the first step."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from petctfusion.errors import BadInputError
from petctfusion.training.augmentation import monai_transforms
from petctfusion.training.augmentation.settings import Augmentation
from petctfusion.training.settings import did_you_mean


def require_fit(settings: Augmentation, network: nn.Module, modalities: Sequence[str]) -> None:
    """Refuses gamma before learnable zero layers, dropout of indispensable modalities, a contour on none of them.

    Raises `BadInputError`, also when what is asked for needs MONAI and it is not installed.
    """
    contour = settings.contour_modality
    if contour is not None and contour not in modalities:
        raise BadInputError(
            f"contour_modality = {contour!r} is none of {', '.join(modalities)}.", did_you_mean(contour, modalities)
        )
    if settings.modality_dropout_probability > 0:
        optional = [kind for kind in modalities if kind in getattr(network, "optional_modalities", ())]
        if not optional or len(modalities) < 2:
            raise BadInputError(
                "This network cannot do without any of its modalities, so none can be dropped.",
                "Set modality_dropout_probability = 0, or train a network with optional modalities.",
            )
    if settings.gamma_probability > 0 and getattr(network, "physical_parameters", list)():
        raise BadInputError(
            "Gamma would blur the HU and SUV that this network's learnable zero layers are to learn.",
            'Set gamma_probability = 0, or another normalisation than "learnable" in [arguments].',
        )
    if settings.gamma_probability > 0 or settings.pet_blur_fwhm_mm is not None or settings.pet_noise_fwhm_mm > 0:
        monai_transforms.require()


def require_dispensable(may_lack: Sequence[str], optional: Sequence[str], modalities: Sequence[str]) -> None:
    """Refuses patients without what the network cannot do without, or does not take."""
    wrong = [kind for kind in may_lack if kind not in optional or kind not in modalities]
    if wrong or (may_lack and set(may_lack) >= set(modalities)):
        raise BadInputError(
            f"This network cannot do without {' and '.join(wrong or may_lack)}.",
            "Take that out of may_lack, or train a network with optional modalities.",
        )
