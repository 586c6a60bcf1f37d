"""A network as a MONAI bundle's `network_def` names it, turned to this library's axes. MONAI is imported when built."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from petctfusion.networks.blocks.softmax_head import foreground_logits

NETWORKS = (
    "AttentionUnet",
    "BasicUNet",
    "DynUNet",
    "SegResNet",
    "SegResNetDS",
    "SwinUNETR",
    "UNETR",
    "UNet",
    "VNet",
)
SCRIPT = "TorchScript"
Head = Literal["softmax", "sigmoid"]
# Axes of (B, C, z, y, x), counted from behind, that run against MONAI's once the study lies in LPS.
_MIRRORED: dict[str, tuple[int, ...]] = {"RAS": (-2, -1), "LPS": ()}


class MonaiBundle(nn.Module):
    """Windows `(B, M, z, y, x)` of normalised values on an LPS grid to logits `(B, K, z, y, x)`.

    `orientation`: the axis codes for which the bundle was trained; its axes are (x, y, z). `divisor` (z, y, x) is the
    bundle's whole window: what else its network takes is not written in a bundle.
    """

    def __init__(self, body: nn.Module, head: Head, orientation: str, divisor: Sequence[int]) -> None:
        super().__init__()
        self.body = body
        self.head = head
        self.mirrored = _MIRRORED[orientation]
        self.divisor = tuple(divisor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        turned = x.flip(self.mirrored).permute(0, 1, 4, 3, 2).contiguous()
        scores = self.body(turned)
        if isinstance(scores, (list, tuple)):
            scores = scores[0]
        back = scores.permute(0, 1, 4, 3, 2).flip(self.mirrored)
        return foreground_logits(back) if self.head == "softmax" else back


class ScriptedBody(nn.Module):
    """A TorchScript program kept as its file's bytes; it comes to life when they are loaded, and runs no Python."""

    program: torch.Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("program", torch.zeros(size, dtype=torch.uint8))
        self.script: nn.Module | None = None
        self.register_load_state_dict_post_hook(ScriptedBody._revive)  # type: ignore[no-untyped-call]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The program's answer, on the bundle's own axes."""
        if self.script is None:
            raise RuntimeError("the program has not been loaded")
        answer: torch.Tensor = self.script(x)
        return answer

    @staticmethod
    def _revive(module: nn.Module, _keys: object) -> None:
        assert isinstance(module, ScriptedBody)
        content = io.BytesIO(module.program.cpu().numpy().tobytes())
        script: nn.Module = torch.jit.load(content, map_location="cpu")  # type: ignore[no-untyped-call]
        module.script = script.to(module.program.device).train(module.training)


def monai_bundle(
    network: str = "SegResNet",
    settings: Mapping[str, Any] | None = None,
    head: Head = "softmax",
    modalities: Sequence[str] = ("CT", "PET"),
    orientation: str = "RAS",
    divisor: Sequence[int] = (16, 16, 16),
) -> MonaiBundle:
    """The network of that name in `monai.networks.nets` with these settings, or "TorchScript" of `bytes` bytes.

    Raises `ValueError` for a network that is not listed, or settings that it does not take.
    """
    if network not in (*NETWORKS, SCRIPT):
        raise ValueError(f"the network must be one of {', '.join(NETWORKS)}, got {network!r}")
    if head not in ("softmax", "sigmoid") or orientation not in _MIRRORED or len(divisor) != 3:
        raise ValueError(f"nonsensical head, orientation or divisor: {head!r}, {orientation!r}, {list(divisor)}")
    values = dict(settings or {})
    if network == SCRIPT:
        return MonaiBundle(ScriptedBody(int(values.get("bytes", 0))), head, orientation, divisor)
    if values.get("in_channels") != len(modalities) or values.get("spatial_dims", 3) != 3:
        raise ValueError(f"the network must take {len(modalities)} channels in 3 dimensions")
    from monai.networks import nets

    try:
        body: nn.Module = getattr(nets, network)(**values)
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"the settings do not describe a {network}: {error}") from error
    return MonaiBundle(body, head, orientation, divisor)
