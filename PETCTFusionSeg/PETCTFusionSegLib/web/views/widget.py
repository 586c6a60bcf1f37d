"""The element of the page that shows one view."""

from __future__ import annotations

from typing import Any

from trame_client.widgets.core import HtmlElement


class PetctView(HtmlElement):
    """Made within the page; `view.js` does the rest."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("petct-view", **kwargs)
        self._attr_names += ["name", "title", "color", "maximize", "slices"]
