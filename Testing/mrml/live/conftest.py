"""The studies of boxes and of balls, followed by the live numbers, for the tests of what comes of them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# An assertion that fails in a helper shows both sides, as one in a test does.
pytest.register_assert_rewrite("ball_study", "box_study")

from ball_study import OBLIQUE, Followed  # noqa: E402
from box_study import Study, grid  # noqa: E402


@pytest.fixture
def study(scene):
    made = Study(scene, grid())
    yield made
    made.live.close()


@pytest.fixture
def followed(scene):
    made = Followed(scene)
    yield made
    made.live.close()


@pytest.fixture
def oblique(scene):
    made = Followed(scene, OBLIQUE)
    yield made
    made.live.close()
