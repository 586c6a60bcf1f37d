"""Small cases and a tiny recipe."""

import os
import sys
from pathlib import Path

import pytest

from petctfusion.training.cases import Case
from petctfusion.training.recipe import Recipe

# The blob cases are imported by spawned processes too, which know no conftest.
sys.path.insert(0, str(Path(__file__).parent))
from conftest_blobs import blob_case


@pytest.fixture
def case() -> Case:
    return blob_case("blob", (9, 8, 12))


@pytest.fixture
def tiny_recipe() -> Recipe:
    return Recipe(
        name="tiny",
        title="tiny",
        network="anatomy_guided",
        arguments={"widths": [4, 8, 8], "deep_supervision": True},
        spacing_mm=(4.0, 4.0, 4.0),
        patch=(16, 16, 16),
        clip={"CT": (-1024.0, 3071.0), "PET": (0.0, 60.0)},
        steps=6,
        batch=2,
        score_every=100,
        checkpoint_every=2,
    )


@pytest.fixture(scope="session")
def sts_folder() -> Path:
    root = Path(os.environ.get("PETCTFUSION_DATA", Path(__file__).parents[4] / "shared" / "data"))
    folder = root / "sts"
    if not (folder / "split.json").exists():
        pytest.skip("the real patients are not here: set PETCTFUSION_DATA to the data folder")
    return folder
