"""The line between the page's views and the board: messages of the pointer up, frames down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wslink import register
from wslink.websocket import LinkProtocol

_SERVED = "petct_views"
_TOPIC = "petct.views"
Receive = Callable[[str, dict[str, Any]], Any]


class ViewLink(LinkProtocol):
    """One page talks to it; before there is one, nothing is sent."""

    def __init__(self, receive: Receive) -> None:
        super().__init__()
        self._receive = receive

    @register("petct.view")  # type: ignore[untyped-decorator, unused-ignore]
    def onMessage(self, name: Any, message: Any) -> Any:
        """A message of one view; the answer goes back to the page."""
        return self._receive(name, message) if isinstance(name, str) and isinstance(message, dict) else None

    def send(self, message: dict[str, Any]) -> None:
        """A frame, or what else a view should know."""
        self.publish(_TOPIC, message)


def connect(server: Any, receive: Receive) -> ViewLink:
    """Make the page load the views' own scripts, and hear what they say."""
    link = ViewLink(receive)
    server.add_protocol_to_configure(lambda root: root.registerLinkProtocol(link))
    server.enable_module(
        {
            "serve": {_SERVED: str(Path(__file__).with_name("serve"))},
            "scripts": [f"{_SERVED}/view.js"],
            "styles": [f"{_SERVED}/view.css"],
            "vue_use": ["petctViews"],
        }
    )
    return link
