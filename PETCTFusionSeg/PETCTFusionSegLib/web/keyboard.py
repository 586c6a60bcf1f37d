"""The keyboard of the page: the keys that sections gave a meaning, and the dialog that lists them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.keys import Keys

if TYPE_CHECKING:
    from .drawing.pointer_tool import Tool
    from .editor import WebEditor

_REPEATING = ("B", "F")
"""These go on while they are held."""


class Keyboard:
    """`static/keys.js` listens; it knows the keys by the state, and asks for no others."""

    def __init__(self, server: Any, keys: Keys, editor: WebEditor, changed: Callable[[], None]) -> None:
        """`changed` lets all sections look again."""
        self._state, self._keys = server.state, keys
        self._editor, self._changed = editor, changed
        keys.add("1", _("Paint, or put the brush away"), partial(self._take, "paint"))
        keys.add("2", _("Erase, or put the eraser away"), partial(self._take, "erase"))
        keys.add("Esc", _("No tool"), partial(self._take, ""))
        keys.add("Z", _("Undo"), editor.undo)
        keys.add("Ctrl+Z", _("Undo"), editor.undo)
        keys.add("Y", _("Redo"), editor.redo)
        keys.add("Ctrl+Y", _("Redo"), editor.redo)
        keys.add("?", _("These keys"), self.toggleHelp)
        server.trigger("keys_pressed")(self.press)
        self._state.keys_help = False

    def build(self) -> None:
        """The dialog, within the page; called when all sections have added their keys."""
        self._state.keys_list = [
            {"key": key, "what": what, "repeats": key in _REPEATING} for key, what in self._keys.rows()
        ]
        with (
            v3.VDialog(v_model=("keys_help",), max_width=760, scrollable=True),
            v3.VCard(title=_("Keys"), id="keys_help"),
        ):
            with v3.VCardText(), html.Table(classes="pcf-keys"), html.Tr(v_for="one in keys_list", key="one.key"):
                with html.Td():
                    html.Kbd("{{ one.key }}")
                html.Td("{{ one.what }}")
            with v3.VCardActions():
                v3.VSpacer()
                v3.VBtn(_("Close"), click="keys_help = false", id="keys_close")

    def toggleHelp(self) -> None:
        """Show the list of keys, or hide it."""
        with self._state:
            self._state.keys_help = not self._state.keys_help

    def press(self, key: str) -> None:
        """What the key does; one without a meaning does nothing."""
        for binding in self._keys.bindings:
            if binding.key == key:
                binding.function()

    def _take(self, tool: Tool) -> None:
        """Take a tool, or put it away where it is in the hand already."""
        if tool and tool != self._editor.tool:
            self._editor.tool = tool
        else:
            self._editor.putAwayEffect()
        self._changed()
