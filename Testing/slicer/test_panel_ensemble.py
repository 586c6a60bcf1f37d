"""An ensemble in the panel: listed like any model, explained by its tooltip, named in the result."""

import pytest

from PETCTFusionSegLib.selftest.steps import chooseStudy, waitForResult


@pytest.fixture
def ensemble(application, tinyModel):
    """The ensemble "both" of the tiny model and a copy of it, chosen; removed afterwards."""
    import shutil
    from dataclasses import replace

    from petctfusion.models import read_card, remove_model, write_card
    from petctfusion.models.ensemble import EnsembleChoices, make_ensemble

    copy = tinyModel.parents[1] / "copy" / "1.0.0"
    shutil.copytree(tinyModel, copy)
    write_card(replace(read_card(copy), name="copy", not_for=("Copies.",)), copy)
    make_ensemble(["tiny", "copy"], EnsembleChoices("both", title="Two at once", weights=(1.0, 3.0)))
    application.panel.sections["Segment"].enter()
    names = [model.name for model in application.panel.sections["Segment"].choice.models]
    application.ui.modelSelector.currentIndex = names.index("both")
    yield
    remove_model("both")
    remove_model("copy")
    application.panel.sections["Segment"].enter()


def test_an_ensemble_is_listed_explained_and_named_in_the_result(application, ensemble):
    selector = application.ui.modelSelector
    assert selector.currentText == "Two at once (both@1.0.0)"
    assert selector.toolTip.splitlines() == [
        "Two at once (both@1.0.0)",
        "The mean of tiny@1.0.0 (weight 1), copy@1.0.0 (weight 3).",
        "Not for:",
        "Random weights for tests.",
        "Copies.",
    ]
    chooseStudy(application)
    application.click(application.ui.applyButton)
    result = waitForResult(application)
    assert result.GetAttribute("PETCTFusionSeg.Model") == "both"
    assert result.GetAttribute("PETCTFusionSeg.Members") == "tiny@1.0.0, copy@1.0.0"
