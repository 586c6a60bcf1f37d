"""System C: anatomy-guided prompting with cross-modal self-alignment.

Huang J., Yang X., Liang X., Chen S., Sun Y., Mok G.S.P., Li S., Wang Y., Tan T.: Medical Image Analysis 110:103956
(2026). Known from the abstract: organ pseudo-labels by a teacher-student paradigm serve as anatomical prompts
(organs.py, organ_teacher.py); masked 3-D patch reconstruction aligns PET and CT in a shared latent space
(masked_reconstruction.py) and initialises the encoders; organ labels enter through a Mamba-based prompt encoder
(prompt_encoder.py) and Hypernet-Controlled Cross-Attention (blocks/hyper_attention.py). Its published numbers are not
claimed here.

    stage  grid (patch 112x160x128)   CT / PET encoder        decoder                  prompt tokens
    1      112x160x128                16 / 16                 3 x 16 -> 16, head
    2      56x80x64                   32 / 32                 3 x 32 -> 32, head
    3      28x40x32                   64 / 64 + prompt        3 x 64 -> 64, head       7x20x16 = 2,240
    4      14x20x16                   128 / 128 + prompt      3 x 128 -> 128, head     7x20x16 = 2,240
    5      7x10x8                     256 / 256 + prompt      3 x 256 -> 256, head     7x10x8 = 560
    6      7x5x4                      256 / 256               (joined) 512

Ours, where the abstract is silent: trunk and patch of the same laboratory's DpDNet (arXiv 2507.07126), STU-Net small;
the prompt is the softmax of an organ U-Net that sees the CT; one cross-attention per stage serves both encoders (they
share a latent space, and the hypernetwork tells them apart); prompted features go on to the next stage and the skip;
heads at all decoder levels; every formula of the prompt path.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import nn

from petctfusion.networks.anatomy_prompted.dual_encoder import DualEncoder
from petctfusion.networks.anatomy_prompted.injection import PromptInjection
from petctfusion.networks.anatomy_prompted.organs import ORGANS, OrganStudent
from petctfusion.networks.anatomy_prompted.prompt_encoder import PromptEncoder
from petctfusion.networks.anatomy_prompted.trunk import STU_SMALL_WIDTHS, Decoder, stage_strides, total_strides
from petctfusion.networks.blocks.arguments import require_arguments
from petctfusion.networks.blocks.convolution import SpatialDims, convolution
from petctfusion.networks.blocks.hyper_attention import Control
from petctfusion.networks.blocks.probe import Probe
from petctfusion.networks.blocks.selective_scan import ScanForm
from petctfusion.networks.blocks.sizes import require_divisible
from petctfusion.networks.blocks.state_space import Scan, ScanOptions

Prompts = Literal["organs", "concat", "none"]

_PROMPTED_STAGES = (3, 4, 5)
_PROMPT_POOL: dict[int, tuple[int, ...]] = {2: (1, 1), 3: (2, 1, 1)}


class AnatomyPrompted(nn.Module):
    """CT and PET in HU and SUVbw, one logit map per label out; both modalities are needed.

    `prompts`: "organs" (published idea), "concat" (organ probabilities beside the finest skips, no prompt encoder) or
    "none" (two encoders and a decoder). `organs`: what the student tells apart besides background; `organ_modalities`:
    what it sees. `prompted_stages`: counted from 1; default 3, 4 and 5 as far as there are that many. `prompt_pool`:
    mean over so many tokens an axis, default (2, 1, 1) in 3-D. `prompt_depth`: Mamba layers, 0 is the convolutional
    prompt encoder. `scan`: a form of the selective scan, or "none", the same blocks without it. `control`, `heads`,
    `rank`, `positions`: see `HyperCrossAttention`. `prompt_gradient=False` keeps the lesion loss out of the student, so
    that its maps stay organs. `deep_supervision=False` leaves the finest head only.
    """

    optional_modalities: tuple[str, ...] = ()

    def __init__(
        self,
        spatial_dims: SpatialDims = 3,
        modalities: Sequence[str] = ("CT", "PET"),
        classes: int = 1,
        widths: Sequence[int] = STU_SMALL_WIDTHS,
        blocks: int = 1,
        prompts: Prompts = "organs",
        organs: Sequence[str] = ORGANS,
        organ_modalities: Sequence[str] | None = None,
        organ_widths: Sequence[int] = (8, 16, 32, 64),
        prompted_stages: Sequence[int] | None = None,
        prompt_widths: Sequence[int] = (16, 32, 64),
        prompt_pool: Sequence[int] | None = None,
        prompt_depth: int = 2,
        states: int = 16,
        expansion: int = 2,
        scan: Scan = "selective",
        scan_form: ScanForm = "chunked",
        control: Control = "low-rank",
        heads: int = 4,
        rank: int = 8,
        positions: bool = True,
        prompt_gradient: bool = True,
        deep_supervision: bool = True,
    ) -> None:
        super().__init__()
        require_arguments(spatial_dims, modalities, classes, widths)
        _require_choices(prompts, organs, blocks, prompt_depth, organ_widths, prompt_widths)
        strides = stage_strides(spatial_dims, len(widths))
        to_input = total_strides(strides)
        self.prompts, self.prompt_gradient, self.organs = prompts, prompt_gradient, tuple(organs)
        self.encoders = DualEncoder(spatial_dims, modalities, widths, strides, blocks)
        extra = 1 + len(organs) if prompts == "concat" else 0
        self.decoder = Decoder(spatial_dims, widths, encoders=2, extra=extra)
        levels = len(widths) - 1 if deep_supervision else 1
        self.heads = nn.ModuleList([convolution(spatial_dims, widths[i], classes, kernel=1) for i in range(levels)])
        self.level_weights = tuple(0.5**i / (2 - 0.5 ** (levels - 1)) for i in range(levels))
        """Of the heads, finest first: halved from level to level as in nnU-Net, sum 1; the paper gives none."""
        multiples = [to_input[-1]]
        self.student: OrganStudent | None = None
        self.injection: PromptInjection | None = None
        if prompts != "none":
            self._organ_channels = _channels(modalities, organ_modalities)
            self.student = OrganStudent(spatial_dims, len(self._organ_channels), len(organs), organ_widths)
            self.organ_maps = nn.ModuleList([Probe(f"organ map, {name}") for name in organs])
            multiples.append((2 ** (len(organ_widths) - 1),) * spatial_dims)
        if prompts == "organs":
            pool = _PROMPT_POOL[spatial_dims] if prompt_pool is None else tuple(prompt_pool)
            options = ScanOptions(states, expansion, scan, scan_form)
            prompt_encoder = PromptEncoder(spatial_dims, 1 + len(organs), prompt_widths, pool, prompt_depth, options)
            stages = _prompted(prompted_stages, len(widths))
            self.injection = PromptInjection(
                prompt_encoder, organs, stages, widths, to_input, control, heads, rank, positions
            )
            multiples.append(prompt_encoder.stride)
        self.divisor = tuple(math.lcm(*axis) for axis in zip(*multiples, strict=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, 2, *spatial)` in HU and SUV to logits `(B, classes, *spatial)`; sizes divisible by `divisor`."""
        logits: torch.Tensor = self.heads[0](self._decoded(x, None)[0][0])
        return logits

    def forward_levels(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Logits `(B, classes, *spatial / stride)` of all heads, finest first."""
        return [head(feature) for head, feature in zip(self.heads, self._decoded(x, None)[0], strict=False)]

    def forward_with_organs(
        self, x: torch.Tensor, prompt: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Lesion logits `(B, classes, *spatial)` and the student's organ logits `(B, 1 + organs, *spatial)`.

        `prompt` `(B, 1 + organs, *spatial)`, probabilities or a one-hot map with the background first, takes the place
        of the student's. Raises `ValueError` when the network has no organ student.
        """
        if self.student is None:
            raise ValueError('this network was built with prompts="none": it has no organs to give')
        decoded, organs = self._decoded(x, prompt)
        return self.heads[0](decoded[0]), organs

    def forward_levels_with_organs(self, x: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """What `forward_levels` gives and the student's organ logits, for training both at once.

        Raises `ValueError` when the network has no organ student.
        """
        if self.student is None:
            raise ValueError('this network was built with prompts="none": it has no organs to give')
        decoded, organs = self._decoded(x, None)
        return [head(feature) for head, feature in zip(self.heads, decoded, strict=False)], organs

    def encoder_state(self) -> dict[str, torch.Tensor]:
        """A copy of the weights of both encoders."""
        return self.encoders.state()

    def load_encoder(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over pre-trained encoders (`MaskedReconstruction.encoder_state`). Raises `ValueError` if they differ."""
        self.encoders.load(state)

    def _decoded(self, x: torch.Tensor, prompt: torch.Tensor | None) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Decoder features, finest first, and organ logits (empty without a student)."""
        require_divisible(x, self.divisor)
        scaled = self.encoders.scaling(x)
        if self.student is None:
            return self.decoder(self.encoders(scaled)), x.new_zeros(0)
        organs = self.student(scaled[:, self._organ_channels])
        prompt = torch.softmax(organs.float(), dim=1) if prompt is None else prompt.float()
        if prompt.shape != organs.shape:
            raise ValueError(f"the prompt must have the shape {tuple(organs.shape)}, got {tuple(prompt.shape)}")
        if not self.prompt_gradient:
            prompt = prompt.detach()
        for index, probe in enumerate(self.organ_maps, start=1):
            probe(prompt[:, index : index + 1])
        if self.injection is None:
            return self.decoder(self.encoders(scaled), prompt), organs
        prompted = self.injection(prompt)
        features = self.encoders(scaled, prompted.refine)
        prompted.show()
        return self.decoder(features), organs


def _require_choices(
    prompts: str,
    organs: Sequence[str],
    blocks: int,
    prompt_depth: int,
    organ_widths: Sequence[int],
    prompt_widths: Sequence[int],
) -> None:
    if prompts not in ("organs", "concat", "none"):
        raise ValueError(f"prompts must be organs, concat or none, got {prompts!r}")
    if not organs or len(set(organs)) < len(organs):
        raise ValueError(f"organs must be one or more different names, got {list(organs)}")
    if blocks < 1 or prompt_depth < 0:
        raise ValueError(f"blocks must be at least 1 and prompt_depth at least 0, got {blocks} and {prompt_depth}")
    if len(organ_widths) < 2 or min(organ_widths) < 1:
        raise ValueError(f"organ_widths must be two or more positive channel counts, got {list(organ_widths)}")
    if not prompt_widths or min(prompt_widths) < 1:
        raise ValueError(f"prompt_widths must be one or more positive channel counts, got {list(prompt_widths)}")


def _channels(modalities: Sequence[str], wanted: Sequence[str] | None) -> list[int]:
    """Of the modalities that the student sees; by default the first, the anatomical one."""
    names = [modalities[0]] if wanted is None else list(wanted)
    if not names or any(name not in modalities for name in names):
        raise ValueError(f"organ_modalities must be among {list(modalities)}, got {names}")
    return [list(modalities).index(name) for name in names]


def _prompted(wanted: Sequence[int] | None, stages: int) -> list[int]:
    found = [s for s in _PROMPTED_STAGES if s <= stages] if wanted is None else sorted(set(wanted))
    if not found or found[0] < 1 or found[-1] > stages:
        raise ValueError(
            f"prompted_stages must lie between 1 and {stages} (by default 3 to 5), got {list(wanted or ())}"
        )
    return found
