"""What every answer tells the browser: nothing from elsewhere, nothing into somebody else's frame, nothing kept."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
from functools import cache
from pathlib import Path

from aiohttp import web

_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_FIXED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": browsers would hide the origin of our own forms, too.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


async def addHeaders(request: web.Request, response: web.StreamResponse) -> None:
    """A signal of the application, called before an answer is sent."""
    response.headers.update(_FIXED)
    response.headers["Content-Security-Policy"] = contentPolicy(request.host)
    # Pages, downloads and pictures hold a patient; the page's own scripts are asked for again but not sent again.
    isScript = response.content_type in ("text/javascript", "application/javascript", "text/css", "font/woff2")
    response.headers["Cache-Control"] = "private, no-cache" if isScript else "no-store"
    response.headers.pop("Server", None)


def contentPolicy(host: str) -> str:
    """Everything from this server alone. Vue compiles the page's templates in the browser, which needs unsafe-eval, and
    Vuetify writes its theme into style elements."""
    rules = {
        "default-src": "'none'",
        "script-src": " ".join(["'self'", "'unsafe-eval'", *_inlineScripts()]),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": f"'self' ws://{host} wss://{host}",
        "worker-src": "'self' blob:",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


@cache
def _inlineScripts() -> tuple[str, ...]:
    """The hashes of the scripts within trame's own page, so that no other inline script runs."""
    found = importlib.util.find_spec("trame_client")
    if found is None or found.origin is None:
        return ()
    page = Path(found.origin).parent / "module" / "vue3-www" / "index.html"
    scripts = _INLINE_SCRIPT.findall(page.read_bytes()) if page.is_file() else []
    return tuple(f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in scripts)
