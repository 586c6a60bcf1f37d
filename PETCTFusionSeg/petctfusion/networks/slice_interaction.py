"""System D: multimodal slice interaction network for the internal gross tumour volume (IGTV), from PET/CT slices.

Luo et al., arXiv 2509.22841. Known from its abstract: CIPA trained on large GTV data, fine-tuned on IGTV, with a slice
interaction module (SIM: channel and spatial attention with depthwise convolutions) in a 2.5-D framework, for the weak
PET of peripheral slices. SIM's layout, the number of slices and where it acts are ours; so is the input scaling (see
cipa.py). The reference configuration adds 3.29 M parameters to CIPA's 54.57 M. Its published Dice is not claimed here.

    window (B, 2, D, H, W) -> every slice once through CIPA's encoder and fusion
        -> per stage, SIM over S neighbours of each slice -> CIPA's decoder, slice by slice -> (B, K, D, H, W)

From a GTV checkpoint to IGTV: train `CIPA`, or this without SIM, build this with the same numbers, `load_gtv_weights`
(SIM starts as identity, so the network then contours exactly like CIPA), fine-tune `transferred_parameters` slowly. A
recipe does it with `initial` and `initial_rate_factor`.
SIM sees slices, not millimetres: bring volumes to one slice thickness (3 mm) first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from petctfusion.errors import ModelError
from petctfusion.networks.blocks.selective_scan import ScanForm
from petctfusion.networks.blocks.slice_interaction import SliceInteractionModule, neighbouring_slices
from petctfusion.networks.blocks.state_space import Scan
from petctfusion.networks.cipa import CIPA, DEPTHS, WIDTHS


class SliceInteraction(CIPA):
    """CT and PET windows (z, y, x) in HU and SUVbw, one logit map per label out.

    `slices`: S, odd; 1 leaves SIM out, which is CIPA slice by slice. `interaction_stages`: where SIM acts, 1 finest;
    None is everywhere. Other arguments as `CIPA`.
    """

    def __init__(
        self,
        spatial_dims: int = 3,
        modalities: Sequence[str] = ("CT", "PET"),
        classes: int = 1,
        slices: int = 3,
        interaction_stages: Sequence[int] | None = None,
        widths: Sequence[int] = WIDTHS,
        depths: Sequence[int] = DEPTHS,
        decoder_depth: int = 4,
        states: int = 16,
        decoder_states: int = 4,
        expansion: int = 2,
        rectification_width: int = 96,
        trained_size: int = 512,
        input_channels: int = 3,
        scan: Scan = "selective",
        scan_form: ScanForm = "chunked",
        slices_at_once: int = 4,
    ) -> None:
        if spatial_dims != 3:
            raise ValueError(f"slices need a third axis: spatial_dims must be 3 (2-D is cipa), got {spatial_dims}")
        if slices < 1 or slices % 2 == 0:
            raise ValueError(f"slices must be odd (a slice and as many neighbours on both sides), got {slices}")
        stages = range(1, len(widths) + 1) if interaction_stages is None else interaction_stages
        if any(stage not in range(1, len(widths) + 1) for stage in stages):
            raise ValueError(f"interaction_stages must lie between 1 and {len(widths)}, got {list(stages)}")
        super().__init__(
            spatial_dims=3,
            modalities=modalities,
            classes=classes,
            widths=widths,
            depths=depths,
            decoder_depth=decoder_depth,
            states=states,
            decoder_states=decoder_states,
            expansion=expansion,
            rectification_width=rectification_width,
            trained_size=trained_size,
            input_channels=input_channels,
            scan=scan,
            scan_form=scan_form,
            slices_at_once=slices_at_once,
        )
        self.slices = slices
        chosen = sorted(set(stages)) if slices > 1 else []
        self.slice_interactions = nn.ModuleDict(
            {str(stage): SliceInteractionModule(widths[stage - 1], slices, f"stage {stage}") for stage in chosen}
        )

    def between_slices(self, features: list[torch.Tensor], depth: int) -> list[torch.Tensor]:
        """Fused features `(B D, C_i, H_i, W_i)` of all stages to the same, each slice having seen its neighbours."""
        mixed = list(features)
        for stage, module in self.slice_interactions.items():
            neighbours = neighbouring_slices(features[int(stage) - 1], depth, self.slices)
            mixed[int(stage) - 1] = self._in_groups(lambda x, m=module: [m(x)], neighbours)[0]
        return mixed

    def transferred_parameters(self) -> list[nn.Parameter]:
        """What fine-tuning from GTV to IGTV changes slowly: the encoder, and CRM and DCIM, which come trained like it.

        Decoder and SIM learn fast.
        """
        slow = ("encoder.", "rectifications.", "interactions.")
        return [parameter for name, parameter in self.named_parameters() if name.startswith(slow)]


def load_gtv_weights(network: SliceInteraction, state: Mapping[str, torch.Tensor]) -> None:
    """Put a CIPA's trained weights into `network`; SIM's parameters stay as they are.

    Raises `ModelError` when anything but SIM is missing, or when the checkpoint holds what the network has not.
    """
    expected = network.state_dict()
    own = {name for name in expected if name.startswith("slice_interactions.")}
    missing = sorted(set(expected) - own - set(state))
    foreign = sorted(set(state) - set(expected))
    shaped = sorted(n for n in set(expected) & set(state) if expected[n].shape != state[n].shape)
    for names, what in ((missing, "lacks"), (foreign, "has the unknown"), (shaped, "has another shape of")):
        if names:
            raise ModelError(
                f"The checkpoint {what} {names[0]} ({len(names)} such entries).",
                "Build the network with the numbers (widths, depths, states ...) that the checkpoint was trained with.",
            )
    network.load_state_dict(dict(state), strict=False)
