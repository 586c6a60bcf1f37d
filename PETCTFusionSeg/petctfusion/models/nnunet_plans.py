"""One configuration of nnU-Net v2's plans.json: network, spacing, patch and normalisation. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from petctfusion.errors import ModelError
from petctfusion.models.fields import Fields
from petctfusion.models.foreign import NO_CLIP
from petctfusion.models.normalisation import SMALLEST_STD, Normalisation

_ARCHITECTURES = ("PlainConvUNet", "ResidualEncoderUNet")
_METHODS = {
    "CTNormalization": "fixed",
    "ZScoreNormalization": "z_score",
    "RescaleTo01Normalization": "unit_range",
    "NoNormalization": "none",
}


@dataclass(frozen=True)
class Plans:
    """What a card needs; triples are in array order (z, y, x), `transpose` gives the network's axes in these."""

    name: str
    configuration: str
    architecture: str
    settings: dict[str, Any]
    transpose: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    patch: tuple[int, int, int]
    normalisation: tuple[Normalisation, ...]
    clip: tuple[tuple[float, float], ...]

    @property
    def is_flat(self) -> bool:
        """True for a network of slices."""
        return "Conv2d" in str(self.settings["conv_op"])


def read_plans(plans: Fields, configuration: str, channels: int) -> Plans:
    """The named configuration. Raises `ModelError` for what is missing, damaged or of a kind that is not supported."""
    chosen = _configuration(plans, configuration)
    forward = plans.integers("transpose_forward", 3, 0, 2)
    if sorted(forward) != [0, 1, 2]:
        raise plans.error("transpose_forward", "is not an order of three axes")
    architecture, settings = _architecture(chosen)
    is_flat = "Conv2d" in str(settings.get("conv_op"))
    axes = 2 if is_flat else 3
    spacing, patch = chosen.numbers("spacing", axes, low=1e-3), chosen.integers("patch_size", axes, low=1)
    if is_flat:
        # nnU-Net leaves the distance of slices as each study has it; a card has one spacing, the training median.
        spacing = (plans.numbers("original_median_spacing_after_transp", 3, low=1e-3)[0], *spacing)
        patch = (1, *patch)
    own = [forward.index(axis) for axis in range(3)]
    schemes = [_scheme(chosen, plans, channel) for channel in range(channels)]
    return Plans(
        name=plans.text("dataset_name"),
        configuration=configuration,
        architecture=architecture,
        settings=settings,
        transpose=(forward[0], forward[1], forward[2]),
        spacing_mm=(spacing[own[0]], spacing[own[1]], spacing[own[2]]),
        patch=(patch[own[0]], patch[own[1]], patch[own[2]]),
        normalisation=tuple(normalisation for normalisation, _ in schemes),
        clip=tuple(clip for _, clip in schemes),
    )


def _configuration(plans: Fields, name: str) -> Fields:
    """A configuration with what it inherits."""
    configurations = plans.object("configurations")
    merged: dict[str, Any] = {}
    wanted, visited = name, set[str]()
    while wanted not in visited:
        visited.add(wanted)
        values = configurations.object(wanted).values
        merged = {**values, **merged}
        wanted = str(values.get("inherits_from", wanted))
    chosen = Fields(merged, f"configurations.{name}", plans.document, plans.hint)
    if merged.get("previous_stage"):
        raise ModelError(
            f"The configuration {name} is the second stage of a cascade, which is not supported.",
            "Choose the folder of 3d_fullres, 3d_lowres or 2d.",
        )
    preprocessor = chosen.text("preprocessor_name")
    if preprocessor != "DefaultPreprocessor":
        raise ModelError(
            f"The plans prepare their volumes with {preprocessor}, which is not known here.",
            "Only plans with nnU-Net's DefaultPreprocessor are supported.",
        )
    return chosen


def _architecture(chosen: Fields) -> tuple[str, dict[str, Any]]:
    if "architecture" in chosen.values:
        described = chosen.object("architecture")
        name = described.text("network_class_name").rpartition(".")[2]
        settings = dict(described.object("arch_kwargs").values)
    else:
        name = chosen.text("UNet_class_name")
        settings = _old_settings(chosen, name)
    if name not in _ARCHITECTURES:
        raise ModelError(
            f"The network of the plans is {name}; {' and '.join(_ARCHITECTURES)} are supported.",
            "Choose a model that was trained with one of nnU-Net's own planners.",
        )
    if "conv_op" not in settings:
        raise chosen.error("architecture.arch_kwargs.conv_op", "is missing")
    settings.pop("deep_supervision", None)
    return name, settings


def _old_settings(chosen: Fields, name: str) -> dict[str, Any]:
    """The settings that plans before nnU-Net 2.5 spread over the configuration."""
    dims = len(chosen.value("patch_size"))
    stages = len(chosen.value("n_conv_per_stage_encoder"))
    base, most = chosen.integer("UNet_base_num_features", 1), chosen.integer("unet_max_num_features", 1)
    return {
        "n_stages": stages,
        "features_per_stage": [min(base * 2**stage, most) for stage in range(stages)],
        "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
        "kernel_sizes": chosen.value("conv_kernel_sizes"),
        "strides": chosen.value("pool_op_kernel_sizes"),
        "n_conv_per_stage" if name == "PlainConvUNet" else "n_blocks_per_stage": chosen.value(
            "n_conv_per_stage_encoder"
        ),
        "n_conv_per_stage_decoder": chosen.value("n_conv_per_stage_decoder"),
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }


def _scheme(chosen: Fields, plans: Fields, channel: int) -> tuple[Normalisation, tuple[float, float]]:
    """How one channel is normalised, and what it is clipped to before."""
    schemes, masks = chosen.value("normalization_schemes"), chosen.value("use_mask_for_norm")
    try:
        scheme, is_masked = schemes[channel], masks[channel]
    except (TypeError, IndexError, KeyError):
        raise chosen.error("normalization_schemes", "does not speak of every channel") from None
    if scheme not in _METHODS:
        raise ModelError(
            f"The plans normalise with {scheme}; {', '.join(_METHODS)} are supported.",
            "Choose a model that was trained with one of these.",
        )
    if scheme == "ZScoreNormalization" and is_masked:
        raise ModelError(
            "The plans normalise inside a mask of nonzero voxels, which is not supported.",
            "Choose a model whose plans have use_mask_for_norm false.",
        )
    if scheme != "CTNormalization":
        return Normalisation(_METHODS[scheme]), NO_CLIP
    found = plans.object("foreground_intensity_properties_per_channel").object(str(channel))
    mean, std = found.number("mean"), max(found.number("std", low=0.0), SMALLEST_STD)
    return Normalisation("fixed", mean, std), (found.number("percentile_00_5"), found.number("percentile_99_5"))
