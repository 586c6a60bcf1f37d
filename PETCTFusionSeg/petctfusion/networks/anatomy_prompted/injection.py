"""Where the anatomical prompt enters the encoders: prompt tokens, and one cross-attention per prompted stage."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from petctfusion.networks.anatomy_prompted.prompt_encoder import PromptEncoder, averaged
from petctfusion.networks.anatomy_prompted.trunk import Stride
from petctfusion.networks.blocks.hyper_attention import Control, HyperCrossAttention
from petctfusion.networks.blocks.probe import Probe


class PromptInjection(nn.Module):
    """A `PromptEncoder`, and a `HyperCrossAttention` for each of `stages` (from 1) that all image encoders share.

    `widths` and `strides` (to the input) are the image encoders'. Where a stage is coarser than the tokens, it sees
    their mean. Shows, while watched, how much prompts change each stage (|F' - F| / |F|) and how the finest prompted
    stage divides its attention among the organs, each the mean of the image encoders.
    """

    def __init__(
        self,
        prompt_encoder: PromptEncoder,
        organs: Sequence[str],
        stages: Sequence[int],
        widths: Sequence[int],
        strides: Sequence[Stride],
        control: Control,
        heads: int,
        rank: int,
        positions: bool,
    ) -> None:
        super().__init__()
        self.prompt_encoder, self.stages = prompt_encoder, tuple(stages)
        self.strides = [strides[stage - 1] for stage in stages]
        self.attentions = nn.ModuleList()
        for stage, stride in zip(stages, self.strides, strict=True):
            token_stride = tuple(max(s, t) for s, t in zip(stride, prompt_encoder.stride, strict=True))
            places = (stride, token_stride) if positions else (None, None)
            self.attentions.append(
                HyperCrossAttention(
                    widths[stage - 1],
                    prompt_encoder.channels,
                    heads,
                    rank,
                    control=control,
                    feature_stride=places[0],
                    token_stride=places[1],
                )
            )
        self.prompt_weights = nn.ModuleList([Probe(f"prompt weight, stage {stage}") for stage in stages])
        self.organ_attention = nn.ModuleList([Probe(f"attention to {name}") for name in ("background", *organs)])

    def forward(self, prompt: torch.Tensor) -> Prompted:
        """P `(B, 1 + organs, *spatial)` to what refines the features of every image encoder."""
        return Prompted(self, self.prompt_encoder(prompt), prompt)


class Prompted:
    """The prompt of one batch: refines features stage by stage and, at the end, shows what it did."""

    def __init__(self, injection: PromptInjection, tokens: torch.Tensor, prompt: torch.Tensor) -> None:
        self.injection, self.tokens, self.prompt = injection, tokens, prompt
        self.changes: list[list[torch.Tensor]] = [[] for _ in injection.stages]
        self.shares: list[torch.Tensor] = []

    def refine(self, index: int, feature: torch.Tensor) -> torch.Tensor:
        """F `(B, C, *grid)` of the stage `index` (from 0) to F' of the same shape."""
        injection = self.injection
        if index + 1 not in injection.stages:
            return feature
        place = injection.stages.index(index + 1)
        attention, stride = injection.attentions[place], injection.strides[place]
        tokens = averaged(self.tokens, injection.prompt_encoder.stride, stride)
        refined: torch.Tensor = attention(feature, tokens)
        if injection.prompt_weights[place].watching:
            size, change = (x.float().norm(dim=1, keepdim=True) for x in (feature, refined - feature))
            self.changes[place].append(change / (size + 1e-6))
        if place == 0 and injection.organ_attention[0].watching:
            kernel = tuple(p // t for p, t in zip(self.prompt.shape[2:], tokens.shape[2:], strict=True))
            composition = averaged(self.prompt, (1,) * len(kernel), kernel)
            self.shares.append(attention.attention_to(feature, tokens, composition))  # type: ignore[operator]
        return refined

    def show(self) -> None:
        """Hand the maps to the probes, if anybody watches."""
        for probe, changes in zip(self.injection.prompt_weights, self.changes, strict=True):
            if changes:
                probe(torch.stack(changes).mean(dim=0))
        if self.shares:
            mean = torch.stack(self.shares).mean(dim=0)
            for index, probe in enumerate(self.injection.organ_attention):
                probe(mean[:, index : index + 1])
