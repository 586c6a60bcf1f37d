"""The network that is pre-trained: the encoders of anatomy_prompted, and what hides and reconstructs around them."""

from __future__ import annotations

from dataclasses import asdict

from torch import nn

from petctfusion.errors import BadInputError
from petctfusion.networks.anatomy_prompted import MaskedReconstruction
from petctfusion.training.recipe import Recipe
from petctfusion.training.settings import did_you_mean

_NETWORK = "anatomy_prompted"
# Of [arguments]: what the encoders share with the segmentation network.
_OF_ENCODERS = ("spatial_dims", "widths", "blocks")


def pretraining_network(recipe: Recipe) -> nn.Module:
    """With random weights. Raises `BadInputError` for other networks and arguments, `ValueError` for their values."""
    if recipe.pretraining is None:
        raise ValueError(f"{recipe.name} is no pre-training")
    if recipe.network != _NETWORK:
        raise BadInputError(f"{recipe.network} has no pre-training.", f'Set network = "{_NETWORK}".')
    unknown = sorted(set(recipe.arguments) - set(_OF_ENCODERS))
    if unknown:
        raise BadInputError(
            f"A pre-training takes no argument {unknown[0]!r}: it has the encoders alone.",
            did_you_mean(unknown[0], _OF_ENCODERS),
        )
    settings = asdict(recipe.pretraining)
    block = settings.pop("block")
    return MaskedReconstruction(
        modalities=recipe.modalities, spacing_mm=recipe.spacing_mm, patch=block, **recipe.arguments, **settings
    )
