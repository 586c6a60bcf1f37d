"""Nothing of the worker outlives the application."""

import os

import pytest
from harness import proxy

from PETCTFusionSegLib.selftest.steps import chooseStudy, waitForProgress


def test_the_application_takes_the_worker_with_it(desktop, tinyModel, monkeypatch):
    import PETCTFusionSeg
    from PETCTFusionSegLib.selftest.application import SlicerApplication

    monkeypatch.setenv("PETCTFUSION_MODELS", str(tinyModel.parents[1]))
    desktop.newScene()
    with SlicerApplication(PETCTFusionSeg.PETCTFusionSegWidget) as app:
        chooseStudy(app)
        app.click(app.ui.applyButton)
        waitForProgress(app)
        runner = app.panel.runner
        pid, folder = runner.workerPid, runner._session.exchange.folder
        assert folder.exists()
        desktop.application.aboutToQuit.emit()
        assert app.panel is None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert not folder.exists()
    assert proxy.SLOT_ERRORS == []
