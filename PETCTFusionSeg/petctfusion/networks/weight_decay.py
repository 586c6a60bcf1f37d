"""Which parameters weight decay may pull towards zero."""

from __future__ import annotations

from torch import nn

# Decay rates, skips and time steps of the selective scans (blocks/state_space.py): zero is no neutral value for them,
# and Mamba (Gu and Dao, arXiv 2312.00752) trains them without decay.
_SCAN_PARAMETERS = ("A_logs", "Ds", "dt_projs_bias")


def decays(name: str, parameter: nn.Parameter) -> bool:
    """True for weights of convolutions and linear layers; False for norms, biases, vectors and the scans' own numbers.

    `name` as in `named_parameters()`.
    """
    return parameter.ndim > 1 and name.rsplit(".", 1)[-1] not in _SCAN_PARAMETERS
