"""What the extension adds to Slicer when the application has started, whether or not the module is ever opened."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .desktop.sample_data import registerSampleData
from .desktop.settings_panel import addSettingsPanel
from .effect.registration import registerEffect
from .mrml.hanging import registerLayout
from .mrml.statistics_plugin import registerStatisticsPlugin
from .mrml.terminology import loadTerminology

log = logging.getLogger("PETCTFusionSeg")


def addToSlicer() -> None:
    """Add each of these once; what cannot be added is logged and costs nothing else."""
    for add in (
        registerSampleData,
        loadTerminology,
        registerStatisticsPlugin,
        registerLayout,
        addSettingsPanel,
        registerEffect,
    ):
        _try(add)


def _try(add: Callable[[], object]) -> None:
    try:
        add()
    except Exception as error:
        # Slicer starts with whatever modules its user has: a missing one must not stop the others.
        log.warning("%s: %s", getattr(add, "__name__", add), error)
