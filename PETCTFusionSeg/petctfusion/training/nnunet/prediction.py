"""A study contoured by nnU-Net's own predictor: its resampling, its windows, its mirroring, its export."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from torch import nn

from petctfusion.training.nnunet.raw_data import on_ct_grid
from petctfusion.training.nnunet.settings import require_nnunet
from petctfusion.training.nnunet.training import NnUNetTraining
from petctfusion.training.nnunet.workspace import CHECKPOINT, FOLD
from petctfusion.volumes import Geometry


class NnUNetPredictor:
    """The finished training on one device."""

    def __init__(self, training: NnUNetTraining, device: str = "cpu") -> None:
        require_nnunet()
        with _said_nothing():
            from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

            self._predictor = nnUNetPredictor(
                use_mirroring=training.settings.mirroring, device=torch.device(device), allow_tqdm=False
            )
            self._predictor.initialize_from_trained_model_folder(str(training.folder), (FOLD,), CHECKPOINT)

    @property
    def network(self) -> nn.Module:
        """With the weights of the checkpoint."""
        network: nn.Module = self._predictor.network
        return network

    def segment(self, ct: sitk.Image, pet: sitk.Image) -> sitk.Image:
        """The mask (uint8) on the CT's grid; `ct` in HU, `pet` in SUVbw on its own grid."""
        return Geometry.of(ct).image(np.asarray(self._predict(ct, pet, False), dtype=np.uint8))

    def probability(self, ct: sitk.Image, pet: sitk.Image) -> NDArray[np.float32]:
        """Probabilities (K, z, y, x) of background and labels on the CT's grid."""
        return np.asarray(self._predict(ct, pet, True)[1], dtype=np.float32)

    def _predict(self, ct: sitk.Image, pet: sitk.Image, with_probability: bool) -> Any:
        channels = np.stack([sitk.GetArrayFromImage(image) for image in on_ct_grid(ct, pet)])
        properties = {"spacing": list(Geometry.of(ct).spacing_zyx)}
        with _said_nothing():
            return self._predictor.predict_single_npy_array(
                channels, properties, save_or_return_probabilities=with_probability
            )


@contextlib.contextmanager
def _said_nothing() -> Iterator[None]:
    """It prints to the standard output, which is this program's answer."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
