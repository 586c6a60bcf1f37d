"""Small phantoms, made once for the room's tests."""

from __future__ import annotations

from dataclasses import replace

import pytest

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
