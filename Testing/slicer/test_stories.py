"""The stories of the module, on the harness: the real worker in a real process, the real scene."""

import pytest

from PETCTFusionSegLib.selftest.stories import STORIES


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_story(application, story):
    story(application)
