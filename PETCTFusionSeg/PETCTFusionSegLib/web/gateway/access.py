"""Who may come in: the token once, then a cookie; and from which pages requests may come."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from urllib.parse import urlsplit

from aiohttp import web

from .settings import GatewaySettings, isLoopback

_READ_ONLY = ("GET", "HEAD")


class Access:
    """The checks of one gateway."""

    def __init__(self, settings: GatewaySettings, port: int) -> None:
        self._settings = settings
        # A cookie belongs to a host name, not to a port: two gateways on one computer must not take each other's.
        self.cookie = f"petctfusion-{port}"

    def hasToken(self, request: web.Request) -> bool:
        """True when the address carries the token; takes the same time for every wrong one."""
        given = request.query.get("token", "")
        return hmac.compare_digest(given.encode(), self._settings.token.encode())

    def keep(self, response: web.StreamResponse, visitor: str) -> None:
        """Let the browser remember who it is, until it is closed; no script and no other site gets at it."""
        response.set_cookie(self.cookie, visitor, httponly=True, samesite="Strict", path="/")

    def refusal(self, request: web.Request) -> str:
        """Why the request is not answered at all, for a log; empty when it may pass.

        A page of another site can make a browser send requests, and a host name that somebody else owns can be pointed
        at this computer (DNS rebinding).
        """
        if not self._isKnownHost(request.host):
            return "unknown host name"
        site = request.headers.get("Sec-Fetch-Site", "none")
        isSocket = request.headers.get("Upgrade", "").lower() == "websocket"
        if not isSocket and request.method in _READ_ONLY:
            # A link on another page may lead here; a picture, script or frame there may not be taken from here.
            return "" if site in ("none", "same-origin") or _isNavigation(request) else "another site"
        origin = request.headers.get("Origin", "")
        if urlsplit(origin).netloc != request.host or site not in ("none", "same-origin"):
            return "another origin"
        return ""

    def _isKnownHost(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if isLoopback(name):
            return True
        return not self._settings.isLocal and (_isAddress(name) or name in self._names())

    def _names(self) -> set[str]:
        own = socket.gethostname().lower()
        return {self._settings.host.lower(), own, f"{own}.local", socket.getfqdn().lower()}


def _isNavigation(request: web.Request) -> bool:
    headers = request.headers
    return headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"


def _isAddress(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
