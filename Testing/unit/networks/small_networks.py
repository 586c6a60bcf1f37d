"""A configuration of every registered network that builds and runs in a blink, and a window that it takes."""

from __future__ import annotations

from typing import Any

UNET = {"widths": (4, 8, 8)}
MAMBA = {"widths": (8, 16), "depths": (1, 1), "decoder_depth": 1, "states": 4, "input_channels": 1}
PROMPTED = {
    "widths": (4, 8, 8),
    "organs": ("liver", "heart"),
    "organ_widths": (4, 8),
    "prompt_widths": (4, 8),
    "prompt_depth": 1,
    "states": 4,
    "heads": 2,
    "rank": 2,
}
SMALL: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {
    "anatomy_guided": ({"widths": (4, 8, 8)}, (8, 16, 12)),
    "h2aseg": ({"widths": (4, 8, 8, 8, 16), "dropout": 0.0}, (16, 32, 32)),
    "anatomy_prompted": (PROMPTED, (8, 16, 24)),
    "slice_interaction": ({**MAMBA, "rectification_width": 8, "trained_size": 32}, (5, 16, 24)),
    "cipa": ({**MAMBA, "rectification_width": 8, "trained_size": 32}, (5, 16, 24)),
    "vmambax": (MAMBA, (5, 16, 24)),
    "dual_attention": ({"widths": (8, 16, 32), "reduction": 2}, (8, 16, 12)),
    "msam": ({"widths": (8, 16, 32), "guide_widths": (4, 8)}, (8, 16, 12)),
    "isanet": ({"widths": (8, 16, 32)}, (8, 16, 12)),
    "early_unet": (UNET, (8, 16, 12)),
    "late_unet": (UNET, (8, 16, 12)),
    "resenc_unet": ({"widths": (4, 8, 8), "blocks": (1, 1, 1)}, (8, 16, 12)),
    "segresnet": ({"filters": 8, "blocks_down": (1, 1, 1), "blocks_up": (1, 1)}, (8, 16, 12)),
    "swin_unetr": ({"features": 12, "depths": (1, 1, 1, 1), "window": 4}, (32, 64, 32)),
}
