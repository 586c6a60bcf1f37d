"""The overlay of agreement: while it is shown, the contours' own fills make room for it."""

from __future__ import annotations

from typing import Any

from PETCTFusionSegLib.mrml.agreement_overlay import AgreementOverlay


class OverlaySwitch:
    """Shows and hides the overlay of one pair of nodes."""

    def __init__(self, scene: Any) -> None:
        self._overlay = AgreementOverlay(scene)
        self._emptied: list[Any] = []

    @property
    def shown(self) -> bool:
        """True between `show` and `hide`, or until the user removed the overlay from the scene."""
        return self._overlay.shown

    @property
    def sentence(self) -> str:
        """Why nothing can be drawn; empty when there is no reason."""
        return self._overlay.sentence

    def show(self, segmentation: Any, reference: Any) -> None:
        """Draw all of the segmentation against the reference. Raises `BadInputError` when they cannot be compared."""
        self.hide()
        self._overlay.show(segmentation, reference)
        for node in (segmentation, reference):
            display = node.GetDisplayNode() if node.IsA("vtkMRMLSegmentationNode") else None
            if display is not None and display.GetVisibility2DFill():
                display.SetVisibility2DFill(False)
                self._emptied.append(display)

    def update(self, wait_s: float) -> bool:
        """Take up edits; False while a large change is being marked: call again a moment later.

        The thread that marks gets up to `wait_s`.
        """
        done = self._overlay.update(wait_s)
        if not self._overlay.shown:
            self.hide()
        return done

    def hide(self) -> None:
        """Take the overlay away, and fill the contours again."""
        self._overlay.hide()
        for display in self._emptied:
            display.SetVisibility2DFill(True)
        self._emptied = []
