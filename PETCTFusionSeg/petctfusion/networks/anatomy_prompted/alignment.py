"""Two modalities in one latent space: tokens of the same place attract, tokens of other places repel."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Retrieval:
    """`asked` tokens a direction, how many found their partner from `first` to `second` and back, hits by guessing."""

    asked: int
    ahead: int
    back: int
    guessed: float

    def __add__(self, other: Retrieval) -> Retrieval:
        return Retrieval(
            self.asked + other.asked, self.ahead + other.ahead, self.back + other.back, self.guessed + other.guessed
        )

    @property
    def accuracy(self) -> float:
        """The mean share of both directions; nan where nothing asked."""
        return (self.ahead + self.back) / (2 * self.asked) if self.asked else float("nan")


def retrieval(
    first: torch.Tensor, second: torch.Tensor, content: torch.Tensor, among: Literal["places", "scans"] = "places"
) -> Retrieval:
    """Tokens whose nearest token of the other modality is their own partner.

    Arguments as in `contrastive_loss`; only places with content ask and are answers. "places": partners are sought
    among the places of the scan (chance 1 / places). Zero padding tells a convolution where in its window it is, and
    that alone can answer; "scans" seeks at one place of the window among all scans (chance 1 / scans), where only what
    is seen there can.
    """
    if among == "scans":
        first, second, content = first.transpose(0, 1), second.transpose(0, 1), content.mT
    similarity = first.float() @ second.float().mT
    right = []
    for matrix in (similarity, similarity.mT):
        nearest = matrix.masked_fill(~content.unsqueeze(1), -torch.inf).argmax(dim=-1)
        hits = nearest == torch.arange(content.shape[1], device=content.device)
        right.append(int((hits & content).sum()))
    # N places answer N questions: one right answer a scan by guessing, however many there are.
    return Retrieval(int(content.sum()), right[0], right[1], float(content.any(dim=1).sum()))


def retrieval_accuracy(
    first: torch.Tensor, second: torch.Tensor, content: torch.Tensor, among: Literal["places", "scans"] = "places"
) -> float:
    """The mean share of both directions of `retrieval`; without any place it is nan."""
    return retrieval(first, second, content, among).accuracy


class Projection(nn.Module):
    """LayerNorm and a linear map to unit vectors: into the shared latent space."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(channels), nn.Linear(channels, outputs)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(B, n, channels)` to `(B, n, outputs)`, float32."""
        return nn.functional.normalize(self.linear(self.norm(tokens)).float(), dim=-1)
