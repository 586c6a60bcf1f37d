"""Small phantoms, made once for the room's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.phantom import Phantom, PhantomSettings, make_phantom, sarcoma_settings


@pytest.fixture(scope="session")
def sarcoma_quick() -> PhantomSettings:
    return replace(sarcoma_settings(3), fine_mm=2.0, ct_spacing_mm=(1.95, 1.95, 3.27))


@pytest.fixture(scope="session")
def sarcoma(sarcoma_quick: PhantomSettings) -> Phantom:
    return make_phantom(sarcoma_quick)


@pytest.fixture(scope="session")
def whole_body() -> Phantom:
    return make_phantom(PhantomSettings(seed=4, fine_mm=3.5, ct_spacing_mm=(3.5, 3.5, 4.0)))


@pytest.fixture(scope="session")
def box_map() -> Callable[..., sitk.Image]:
    """Makes an organ map of boxes: lungs, liver, bladder, kidneys, heart; the liver lies `longer` voxels deeper."""

    def make(longer: int = 0) -> sitk.Image:
        labels = np.zeros((72, 48, 48), dtype=np.uint8)
        labels[44 - longer : 68, 14:34, 10:21] = 5
        labels[44 - longer : 68, 14:34, 27:38] = 5
        labels[46:56, 14:26, 21:27] = 7
        labels[32 - longer : 43 - longer, 14:34, 10:27] = 3
        labels[28:38, 27:32, 29:33] = 2
        labels[20:29, 27:32, 15:19] = 2
        labels[6:10, 20:27, 20:27] = 4
        image = sitk.GetImageFromArray(labels)
        image.SetSpacing((10.0, 10.0, 10.0))
        image.SetOrigin((-240.0, -240.0, 0.0))
        return image

    return make
