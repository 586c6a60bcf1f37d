"""trame-slicer's own viewer with a study on disk, for web_latency.py: web_peer.py FOLDER PORT [paint]."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

import SimpleITK as sitk
from trame.app import get_server
from trame_slicer.app.medical_viewer_app import MedicalViewerApp
from trame_slicer.segmentation import SegmentationEffectPaint

from PETCTFusionSegLib.mrml.headless import adoptApplication
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage
from PETCTFusionSegLib.web.opening import addContour


def main(study: Path, port: int, paints: bool) -> None:
    server = get_server("peer")
    server.client_type = "vue3"
    app = MedicalViewerApp(server)
    # Asks the internet for a picture otherwise.
    server.state.trame__favicon = "data:,"
    slicer_app = app._slicer_app
    slicer_app.scene.Clear()
    adoptApplication(slicer_app.scene, slicer_app.app_logic)
    app._logic._layout_button_logic.data.current_layout_id = "Axial Only"
    app._logic.layout_manager.set_layout("Axial Only")
    ct = volumeNodeFromImage(slicer_app.scene, sitk.ReadImage(study / "ct.nrrd"), "CT", "CT")
    pet = volumeNodeFromImage(slicer_app.scene, sitk.ReadImage(study / "pet.nrrd"), "PET", "PET")
    segmentation = addContour(slicer_app.scene, sitk.ReadImage(study / "mask.nrrd"), ct, "Result", (230, 159, 0))
    slicer_app.display_manager.show_volume_in_slice_background(ct)
    slicer_app.display_manager.show_volume_in_slice_foreground(pet)
    for view in slicer_app.view_manager.get_slice_views():
        view.set_foreground_opacity(0.5)
        view.reset_view()
    app._logic._segment_editor_logic.on_volume_changed(ct)
    editor = slicer_app.segmentation_editor
    editor.set_active_segment_id(segmentation.GetSegmentation().GetNthSegmentID(0))
    if paints:
        editor.set_active_effect_type(SegmentationEffectPaint)
    server.start(port=port, open_browser=False, show_connection_info=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] == ["paint"])
