"""MCSA: modality-cooperative spatial attention between windows, then inside each one (H2ASeg, levels 2 and 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from petctfusion.networks.blocks.spatial_attention import BidirectionalSpatialAttention, Fuse
from petctfusion.networks.blocks.windows import fold_windows, unfold_windows
from petctfusion.networks.h2aseg.residual import activation, enlarge

_CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}


class CooperativeWindowAttention(nn.Module):
    """For x = CT, PET, window w, m = min(w):

    1. inter-window: g_x = conv(kernel m, stride m)(x), BDSA over the whole coarse grid, x1 = PReLU(IN(up_m(g_x') + x))
    2. intra-window: BDSA inside every window w of x1, x2 = PReLU(IN(local + x1))

    The order is that of the authors' program. Sizes must be multiples of the window.
    """

    def __init__(
        self,
        spatial_dims: int,
        channels: int,
        window: Sequence[int],
        reduction: int,
        fuse: Fuse,
        dropout: float,
        name: str,
        modalities: tuple[str, str],
    ) -> None:
        super().__init__()
        self.window = tuple(window)
        stride = min(window)
        conv = _CONV[spatial_dims]
        self.gather = nn.ModuleList([conv(channels, channels, stride, stride=stride) for _ in range(2)])
        self.inter = BidirectionalSpatialAttention(
            spatial_dims, channels, reduction, fuse, dropout=dropout, name=name, modalities=modalities
        )
        self.intra = BidirectionalSpatialAttention(spatial_dims, channels, reduction, fuse, dropout=dropout)
        self.after_inter = nn.ModuleList([activation(spatial_dims, channels) for _ in range(2)])
        self.after_intra = nn.ModuleList([activation(spatial_dims, channels) for _ in range(2)])

    def forward(self, ct: torch.Tensor, pet: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """ct, pet: `(B, C, *spatial)`, to the same shapes."""
        sizes = ct.shape[2:]
        coarse = self.inter(self.gather[0](ct), self.gather[1](pet))
        ct, pet = (norm(enlarge(g, sizes) + x) for norm, g, x in zip(self.after_inter, coarse, (ct, pet), strict=True))
        local = self.intra(fold_windows(ct, self.window), fold_windows(pet, self.window))
        ct, pet = (
            norm(unfold_windows(w, sizes) + x) for norm, w, x in zip(self.after_intra, local, (ct, pet), strict=True)
        )
        return ct, pet
