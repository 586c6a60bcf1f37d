"""A comparison that ends, fails or cannot begin says so in a sentence."""

import numpy as np
import pytest
from box_study import RIGHT, Study, check, grid

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.mrml.live import LiveComparisons
from PETCTFusionSegLib.mrml.segmentations import setSegmentImage


@pytest.mark.parametrize("which", ["prediction", "reference"])
@pytest.mark.parametrize("kind", ["segmentation", "labelmap"])
def test_a_node_that_is_deleted_is_a_sentence(scene, which, kind):
    study = Study(scene, grid(), kind)
    study.follow()
    scene.RemoveNode(getattr(study, which))
    study.live.flush()
    for row in study.live.rows():
        assert (row.state, row.numbers) == ("gone", None)
        assert "removed from the scene" in row.sentence
    assert not study.live.flush()
    study.live.close()


def test_closing_the_scene_ends_everything_with_a_sentence(study):
    study.follow()
    study.scene.Clear(False)
    assert study.live.rows() == []
    assert not study.live.active
    assert "closed" in study.live.sentence
    assert not study.live.flush()


def test_nothing_is_heard_after_stop(study):
    study.follow()
    study.live.stop()
    study.calls.clear()
    study.prediction.GetSegmentation().ClearSegment(study.id("Left"))
    study.scene.RemoveNode(study.prediction)
    assert study.calls == []


def test_nothing_that_can_be_compared_is_a_sentence(study):
    for arguments, words in (
        ((None, study.reference), "no segmentation"),
        ((study.prediction, None), "reference contour is missing"),
        ((study.prediction, study.prediction), "with itself"),
        ((study.prediction, study.reference, {"Left": "Nobody"}), 'no segment "Nobody"'),
    ):
        with pytest.raises(BadInputError, match=words):
            study.live.follow(*arguments)


def test_an_engine_that_fails_is_a_sentence_and_the_next_edit_works(scene):
    study = Study(scene, grid())
    fail = [True]

    def engine(reference, spacing):
        from petctfusion.metrics.live import LiveComparison

        if fail[0]:
            raise MemoryError
        return LiveComparison(reference, spacing)

    study.live = LiveComparisons(scene, makeEngine=engine)
    rows = study.follow()
    assert rows["Left"].state == "failed"
    assert "not enough memory" in rows["Left"].sentence
    fail[0] = False
    setSegmentImage(study.prediction, study.id("Left"), study.grid.image(RIGHT.astype(np.uint8)))
    check(study.edited()["Left"], RIGHT)
    study.live.close()
