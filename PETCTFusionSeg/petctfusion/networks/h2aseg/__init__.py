"""System B, H2ASeg: `network.py` is the whole, `mcsa.py` and `tamw.py` its two modules, `residual.py` its blocks."""

from petctfusion.networks.h2aseg.network import H2ASeg

__all__ = ["H2ASeg"]
