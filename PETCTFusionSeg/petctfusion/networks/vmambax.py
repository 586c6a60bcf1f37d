"""vMambaX: CIPA with context gates in the place of the channel rectification.

arXiv 2510.27508. CRM is replaced by the context-gated module (`ContextGatedModule`), and DCIM is added to the gated
features, not to the ungated ones. Everything else is CIPA (cipa.py); the reference configuration has 53,404,427
parameters, one gate per modality, which is the published 53.4 M. Its published numbers are not claimed here. Batch
normalisation inside the gates as published: training needs more than one slice in a batch. `rectification_width`,
`trained_size` of CIPA have no meaning here: no layer is laid out for a size.
"""

from __future__ import annotations

import torch
from torch import nn

from petctfusion.networks.blocks.channel_rectification import ContextGatedModule
from petctfusion.networks.blocks.state_space import ScanOptions
from petctfusion.networks.cipa import CIPA


class VMambaX(CIPA):
    """Axial CT and PET slices in HU and SUVbw, one logit map per label out; arguments as `CIPA`."""

    def residual(
        self,
        ct: torch.Tensor,  # noqa: ARG002
        pet: torch.Tensor,  # noqa: ARG002
        ct_used: torch.Tensor,
        pet_used: torch.Tensor,
    ) -> torch.Tensor:
        """What DCIM is added to: the gated features, `(B, C, H, W)`."""
        return ct_used + pet_used

    def _rectification(
        self,
        channels: int,
        grid: int,  # noqa: ARG002
        width: int,  # noqa: ARG002
        options: ScanOptions,  # noqa: ARG002
        label: str,
    ) -> nn.Module:
        return ContextGatedModule(channels, label)
