"""The page around views and sections: a bar above, a drawer with the sections, a line with the last sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import client, html
from trame.widgets import vuetify3 as v3

from PETCTFusionSegLib.i18n import _

from .keyboard import Keyboard

if TYPE_CHECKING:
    from .session import WebSession

DRAWER_WIDTH = 380
_STYLE = """
html { overflow: hidden; }
.section-waits { opacity: 0.7; font-size: 0.85rem; }
.section-panel .v-expansion-panel-text__wrapper { padding: 8px 12px 12px; }
.section-panel .v-expansion-panel-title { min-height: 40px; padding: 8px 12px; }
.numbers { font-variant-numeric: tabular-nums; }
"""


def buildPage(session: WebSession) -> None:
    """Build the page once; its texts and numbers are states."""
    state, sections = session.page.state, session.sections
    title = _("PET/CT tumor contouring, lesson") if session.start.teaching else _("PET/CT tumor contouring")
    state.trame__title = title
    # Without one the page would ask the internet for trame's.
    state.trame__favicon = _ICON
    state.update({"status": "", "can_undo": False, "can_redo": False, "drawer": True})
    state.open_sections = [name for name, section in sections.items() if not section.collapsed]
    for name in sections:
        state[f"{name}_waits"] = ""
    keyboard = Keyboard(session.server, session.page.keys, session.editor, session.changed)
    with VAppLayout(session.server) as layout:
        layout.root.theme = "dark"
        client.Style(_STYLE)
        with v3.VAppBar(density="compact", flat=True, border=True):
            v3.VAppBarNavIcon(click="drawer = !drawer", id="drawer_button", title=_("Show or hide the sections"))
            v3.VToolbarTitle(title, style="user-select: none;")
            v3.VSpacer()
            _button("undo_button", "mdi-undo", _("Undo (Ctrl+Z)"), session.editor.undo, "!can_undo")
            _button("redo_button", "mdi-redo", _("Redo (Ctrl+Y)"), session.editor.redo, "!can_redo")
            _button("keys_button", "mdi-keyboard-outline", _("Keys (?)"), keyboard.toggleHelp, "false")
        with v3.VNavigationDrawer(v_model=("drawer",), width=DRAWER_WIDTH, permanent=True, disable_resize_watcher=True):
            with v3.VExpansionPanels(
                v_model=("open_sections",), multiple=True, variant="accordion", classes="section-panels"
            ):
                for name in sections:
                    _section(session, name)
            html.Div(
                _("For research and teaching. Not a medical device."), classes="section-waits pa-3", id="research_note"
            )
        with v3.VMain(style="height: 100vh;"):
            session.board.build()
        keyboard.build()
        with v3.VFooter(app=True, border=True, classes="py-1 px-3"):
            html.Div(
                "{{ status }}",
                id="status",
                style="flex: 1; min-height: 1.5em; line-height: 1.5; font-size: 0.9rem;",
                role="status",
            )


def _section(session: WebSession, name: str) -> None:
    section = session.sections[name]
    with v3.VExpansionPanel(value=name, classes="section-panel", id=f"{name}_section", eager=True):
        v3.VExpansionPanelTitle(type(section).title())
        with v3.VExpansionPanelText(eager=True):
            html.Div(f"{{{{ {name}_waits }}}}", v_show=(f"{name}_waits",), classes="section-waits", id=f"{name}_waits")
            with html.Div(v_show=(f"!{name}_waits",)):
                section.build()


def _button(identifier: str, icon: str, title: str, click: object, disabled: str) -> None:
    v3.VBtn(
        icon=icon, id=identifier, title=title, click=click, disabled=(disabled,), size="small", density="comfortable"
    )


_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Ccircle cx='8' cy='8' r='7' fill='%23203040'/%3E%3Ccircle cx='9' cy='8' r='3.5' fill='%23e69f00'/%3E%3C/svg%3E"
)
