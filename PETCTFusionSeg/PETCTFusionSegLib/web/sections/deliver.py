"""The Deliver section: contours, label map, lesions and comparison as files to download."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.web.section import PageContext, Section
from PETCTFusionSegLib.web.uploads import discard
from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.delivering import Delivering


class DeliverSection(Section):
    """Files are offered only after they were read back and compared with what is in the scene."""

    name = "deliver"

    def __init__(self, bench: Workbench, page: PageContext) -> None:
        super().__init__(bench, page)
        self._delivering = Delivering(bench, self._show)
        self._folder: Path | None = None
        self._offered: list[Path] = []
        page.state.update(
            {
                "deliver_files": [],
                "deliver_sentence": "",
                "deliver_busy": False,
                "deliver_what": self._delivering.what(),
            }
        )

    @classmethod
    def title(cls) -> str:
        """What stands on the section's heading."""
        return _("Deliver")

    def build(self) -> None:
        """One button; the files appear below it."""
        html.Div("{{ deliver_what }}", classes="section-waits pb-2")
        v3.VBtn(
            _("Make files"),
            click=self.save,
            disabled=("deliver_busy",),
            loading=("deliver_busy",),
            size="small",
            variant="tonal",
            id="deliver_save",
        )
        with (
            html.Ul(v_show=("deliver_files.length",), id="deliver_files", classes="pcf-files"),
            html.Li(v_for="file in deliver_files", key="file.address"),
        ):
            html.A("{{ file.name }}", href=("file.address",), download=("file.name",), classes="text-primary")
            html.Span("{{ file.size }}", classes="pcf-label pl-2")
        html.Div("{{ deliver_sentence }}", id="deliver_sentence", classes="section-waits pt-1", role="status")

    def waitsFor(self) -> str:
        """A segmentation in the editor."""
        return self._delivering.waitsFor()

    def refresh(self) -> None:
        """Say what would be made now."""
        self.page.state.deliver_what = self._delivering.what()

    def sceneCloses(self) -> None:
        """What is not written yet is not written any more."""
        self._delivering.sceneCloses()

    def cleanup(self) -> None:
        """No thread stays behind."""
        self._delivering.cleanup()

    def save(self) -> None:
        """Make the files anew; those of the last time can no longer be fetched."""
        if self._delivering.busy:
            return
        for path in self._offered:
            self.page.transfers.withdraw(path)
        if self._folder is not None:
            discard(self._folder)
        self._offered, self._folder = [], self.page.transfers.newFolder("deliver")
        self._delivering.start(str(self._folder))

    def _show(self) -> None:
        if not self._delivering.busy and self._delivering.files and not self._offered:
            self._offered = [*self._bundle(), *self._delivering.files]
        with self.page.state as state:
            state.deliver_busy = self._delivering.busy
            state.deliver_sentence = self._delivering.sentence
            state.deliver_files = [self._entry(path) for path in self._offered]

    def _bundle(self) -> list[Path]:
        """All files in one, when there are several."""
        files = self._delivering.files
        if len(files) < 2:
            return []
        name = files[0].name
        bundle = files[0].with_name(name[: name.rfind(".seg.")] + ".zip")
        # They are compressed already, or small.
        with zipfile.ZipFile(bundle, "w", zipfile.ZIP_STORED) as archive:
            for path in files:
                archive.write(path, path.name)
        return [bundle]

    def _entry(self, path: Path) -> dict[str, Any]:
        return {"name": path.name, "address": self.page.transfers.offer(path), "size": _size(path.stat().st_size)}


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{max(0.1, count / 1e3):.1f} kB"
