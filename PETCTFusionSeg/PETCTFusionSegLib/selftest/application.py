"""What a story sees of the application: the module's panel in an empty scene, and time that passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import slicer


class StoryError(AssertionError):
    """Something a story waited for did not happen."""


class SlicerApplication:
    """A module widget of its own that serves all stories and ends with them, in Slicer and on the harness."""

    def __init__(self, widgetClass: type) -> None:
        self._widgetClass = widgetClass
        self.widget: Any = None
        self.seen: list[str] = []
        """Every text the status line and the progress bar had, in order."""

    def __enter__(self) -> SlicerApplication:
        slicer.mrmlScene.Clear(False)
        self._open()
        return self

    def _open(self) -> None:
        import qt

        parent = qt.QWidget()
        parent.setLayout(qt.QVBoxLayout())
        self.widget = self._widgetClass(parent)
        self.widget.setup()
        self.widget.enter()
        self.parent = parent

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        slicer.mrmlScene.Clear(False)

    def _close(self) -> None:
        if self.widget is not None:
            self.widget.exit()
            self.widget.cleanup()
        self.widget = None
        self.parent.deleteLater()

    def reload(self) -> None:
        """What the developer's reload button does to the widget: the scene stays, the module is made anew."""
        self._close()
        self._open()

    def reset(self) -> None:
        """An empty scene for the next story; the worker stays warm, as it does between two studies of a user."""
        slicer.mrmlScene.Clear(False)
        self.wait(lambda: not self.panel.runner.busy, "the run of the story before ends", 10)
        self.seen.clear()

    @property
    def scene(self) -> Any:
        """The application's scene."""
        return slicer.mrmlScene

    @property
    def panel(self) -> Any:
        """The module's panel."""
        return self.widget.panel

    @property
    def ui(self) -> Any:
        """The panel's widgets by name."""
        return self.panel.ui

    @property
    def status(self) -> str:
        """The line below the progress bar."""
        return str(self.ui.statusLabel.text)

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 120.0) -> None:
        """Let the application run until `condition` holds. Raises `StoryError` with what the panel says otherwise."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise StoryError(f"{what}: not within {seconds:g} s; the panel says: {self.status!r}")
            self.pause(0.0)

    def pause(self, seconds: float) -> None:
        """Let the application run for a while."""
        end = time.monotonic() + seconds
        while True:
            slicer.app.processEvents()
            self._look()
            time.sleep(0.005)
            if time.monotonic() >= end:
                return

    def click(self, button: Any) -> None:
        """Press a button as the mouse does: a disabled one cannot be pressed."""
        if not button.enabled:
            raise StoryError(f'"{button.text}" is disabled: {button.toolTip}')
        button.click()

    def _look(self) -> None:
        opened = self.widget is not None and self.panel is not None
        text = f"{self.status}|{self.ui.progressBar.value}" if opened else ""
        if not self.seen or self.seen[-1] != text:
            self.seen.append(text)


def require(condition: Any, sentence: str) -> None:
    """Raise `StoryError` with the sentence unless the condition holds (asserts may be compiled away)."""
    if not condition:
        raise StoryError(sentence)
