"""nnU-Net v2 from its own package (Apache-2.0, extra `nnunet`): its raw format, its commands, its predictor.

Isensee et al., nnU-Net, Nature Methods 18 (2021) 203. Nothing of it is copied here and nothing of it is changed but the
length of its training; it is imported only when used.
"""

from petctfusion.training.nnunet.settings import NnUNetSettings

__all__ = ["NnUNetSettings"]
