"""System C: anatomy-guided prompting with cross-modal self-alignment (see `network`)."""

from petctfusion.networks.anatomy_prompted.masked_reconstruction import MaskedReconstruction
from petctfusion.networks.anatomy_prompted.network import AnatomyPrompted

__all__ = ["AnatomyPrompted", "MaskedReconstruction"]
