"""Two modalities in one latent space: tokens of the same place attract, tokens of other places repel."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

_FAR_BELOW = -1e4  # a logit that counts for nothing, finite also in half precision


def contrastive_loss(
    first: torch.Tensor,
    second: torch.Tensor,
    content: torch.Tensor,
    positions_mm: torch.Tensor,
    temperature: float = 0.07,
    negative_distance_mm: float = 64.0,
) -> torch.Tensor:
    """Symmetric InfoNCE (van den Oord et al., arXiv 1807.03748) between tokens of the same place.

    first, second: unit vectors `(B, n, D)`; content `(B, n)`: places that hold something (others neither attract nor
    repel: air is alike everywhere); positions_mm `(n, dims)`. Negatives are places of other scans, and of the same scan
    farther than `negative_distance_mm`. No place with content gives 0.
    """
    batch, places = content.shape
    # Squared distances by differences: cdist has no deterministic gradient on a GPU, and none is needed here.
    far = (positions_mm.unsqueeze(0) - positions_mm.unsqueeze(1)).square().sum(-1) > negative_distance_mm**2
    scan = torch.arange(batch, device=first.device).repeat_interleave(places)
    negative = (scan.unsqueeze(0) != scan.unsqueeze(1)) | far.repeat(batch, batch)
    there = content.flatten()
    itself = torch.eye(batch * places, dtype=torch.bool, device=first.device)
    allowed = itself | (negative & there.unsqueeze(0))
    logits = first.flatten(0, 1).float() @ second.flatten(0, 1).float().mT / temperature
    ahead, back = (
        torch.log_softmax(x.masked_fill(~allowed, _FAR_BELOW), dim=-1).diagonal() for x in (logits, logits.mT)
    )
    losses = -(ahead + back) / 2
    return (losses * there).sum() / there.sum().clamp(min=1)


def cosine_loss(first: torch.Tensor, second: torch.Tensor, content: torch.Tensor) -> torch.Tensor:
    """1 - cosine of unit vectors `(B, n, D)`, mean of the places with content: where a batch has too few negatives."""
    distance = 1 - (first.float() * second.float()).sum(-1)
    return (distance * content).sum() / content.sum().clamp(min=1)


def retrieval_accuracy(
    first: torch.Tensor, second: torch.Tensor, content: torch.Tensor, among: Literal["places", "scans"] = "places"
) -> float:
    """Share of tokens whose nearest token of the other modality is their own partner, mean of both directions.

    Arguments as in `contrastive_loss`; only places with content ask and are answers. "places": partners are sought
    among the places of the scan (chance 1 / places). Zero padding tells a convolution where in its window it is, and
    that alone can answer; "scans" seeks at one place of the window among all scans (chance 1 / scans), where only what
    is seen there can. Without any place the answer is nan.
    """
    if among == "scans":
        first, second, content = first.transpose(0, 1), second.transpose(0, 1), content.mT
    similarity = first.float() @ second.float().mT
    right, asked = 0, 0
    for matrix in (similarity, similarity.mT):
        nearest = matrix.masked_fill(~content.unsqueeze(1), -torch.inf).argmax(dim=-1)
        hits = nearest == torch.arange(content.shape[1], device=content.device)
        right += int((hits & content).sum())
        asked += int(content.sum())
    return right / asked if asked else float("nan")


class Projection(nn.Module):
    """LayerNorm and a linear map to unit vectors: into the shared latent space."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(channels), nn.Linear(channels, outputs)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(B, n, channels)` to `(B, n, outputs)`, float32."""
        return nn.functional.normalize(self.linear(self.norm(tokens)).float(), dim=-1)
