"""Sample Data on the harness: registered once, made on a click, the event loop alive meanwhile."""

import sys
import threading
from pathlib import Path

import pytest
import slicer
import vtk

from PETCTFusionSegLib import startup
from PETCTFusionSegLib.desktop import sample_data


def test_samples_are_registered_once_with_thumbnails_that_exist(application):
    sample_data.registerSampleData()
    sample_data.registerSampleData()
    sources = slicer.modules.sampleDataSources[sample_data.CATEGORY]
    assert [source.sampleName for source in sources] == [sample.name for sample in sample_data.samples()]
    for source in sources:
        header = Path(source.thumbnailFileName).read_bytes()[:24]
        assert header[:8] == b"\x89PNG\r\n\x1a\n"
        assert (int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")) == (260, 280)


def test_events_are_handled_while_a_sample_is_computed(application):
    import qt

    turns = []
    timer = qt.QTimer()
    timer.connect("timeout()", lambda: turns.append(threading.current_thread()))
    timer.start(10)
    done = threading.Event()
    assert sample_data._computed(lambda: done.wait(0.3)) is False
    timer.stop()
    assert len(turns) > 5
    assert set(turns) == {threading.main_thread()}


def test_a_failure_of_the_simulation_reaches_the_caller(application):
    def fails():
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        sample_data._computed(fails)


def test_the_start_of_the_application_adds_what_there_is_and_logs_the_rest(application, caplog):
    """The harness has no Segment Statistics; a Slicer without Sample Data starts all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "SampleData", None)
        startup.addToSlicer()
    assert "registerSampleData" in caplog.text
    names = vtk.vtkStringArray()
    slicer.modules.terminologies.logic().GetLoadedTerminologyNames(names)
    assert "PETCTFusionSeg" in [names.GetValue(number) for number in range(names.GetNumberOfValues())]
    caplog.clear()
    startup.addToSlicer()
    assert caplog.text == ""
    assert len(slicer.modules.sampleDataSources[sample_data.CATEGORY]) == 2
