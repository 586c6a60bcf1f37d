"""All stories: what a user does, as plain functions on an application; each starts in an empty scene."""

from __future__ import annotations

from . import (
    stories_computer,
    stories_edit,
    stories_effect,
    stories_lesions,
    stories_robust,
    stories_run,
    stories_sample,
    stories_view,
)

STORIES = (
    *stories_run.STORIES,
    *stories_view.STORIES,
    *stories_edit.STORIES,
    *stories_lesions.STORIES,
    *stories_robust.STORIES,
    *stories_effect.STORIES,
    *stories_sample.STORIES,
    *stories_computer.STORIES,
)
