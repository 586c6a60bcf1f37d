"""Files into and out of a session, by routes of its own beside trame's."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import re
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.http import HttpProcessingError

from petctfusion.errors import FusionError
from PETCTFusionSegLib.i18n import _

from .order import SECRET_HEADER
from .uploads import Arrival, TooLargeError, discard, receive, tooLarge, unpack

_TYPES = {".png": "image/png", ".csv": "text/csv", ".html": "text/html", ".json": "application/json"}
_FORM = "multipart/form-data"


class FileTransfers:
    """A session's uploads and downloads; everything lies in its private folder."""

    def __init__(self, folder: Path, uploadBytes: int) -> None:
        self._folder = folder
        self._limit = uploadBytes
        self._offered: dict[str, tuple[Path, bool]] = {}
        self._receiving = asyncio.Lock()
        self.arrived: Callable[[Arrival], Awaitable[str]] | None = None
        """Takes what a visitor sent and says in a sentence what became of it; may raise `FusionError`."""

    def newFolder(self, name: str) -> Path:
        """An empty folder of this session's own."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))

    def offer(self, path: Path, inPage: bool = False) -> str:
        """The address (relative to the page) under which this file can be fetched from now on, and no other file.

        With `inPage` the browser shows it instead of saving it.
        """
        name = path.name
        stem, ending = name[: name.find(".")] if "." in name[1:] else name, "".join(path.suffixes)
        number = 1
        while self._offered.get(name, (path, inPage)) != (path, inPage):
            number += 1
            name = f"{stem}_{number}{ending}"
        self._offered[name] = (path, inPage)
        return f"download/{quote(name)}"

    def withdraw(self, path: Path) -> None:
        """Not to be fetched any more."""
        self._offered = {name: one for name, one in self._offered.items() if one[0] != path}

    def addRoutes(self, application: web.Application) -> None:
        """Before the application runs."""
        application.add_routes([web.post("/upload", self._upload), web.get("/download/{name}", self._download)])

    async def _download(self, request: web.Request) -> web.StreamResponse:
        path, inPage = self._offered.get(request.match_info["name"], (None, False))
        if path is None or not path.is_file():
            return web.Response(status=404, text=_("This file is not there any more."))
        kind = _TYPES.get(path.suffix.lower(), "application/octet-stream")
        place = "inline" if inPage else "attachment"
        # Headers are Latin-1; the second form carries any name.
        plain = re.sub(r"[^A-Za-z0-9_.\-]", "_", path.name)
        disposition = f"{place}; filename=\"{plain}\"; filename*=UTF-8''{quote(path.name)}"
        return web.FileResponse(path, headers={"Content-Type": kind, "Content-Disposition": disposition})

    async def _upload(self, request: web.Request) -> web.Response:
        if self.arrived is None:
            return _refusal(403, _("Nothing can be uploaded here."))
        if request.content_type != _FORM:
            return _refusal(400, _("The upload was not understood. Reload the page and try again."))
        if (request.content_length or 0) > self._limit:
            return _refusal(413, str(tooLarge(self._limit)))
        # One after the other: what two drops bring together would be read as one study.
        async with self._receiving:
            folder = self.newFolder("upload")
            try:
                stored = await receive(await request.multipart(), folder, self._limit)
                arrival = await asyncio.to_thread(unpack, stored, folder, self._limit)
                return web.json_response({"said": await self.arrived(arrival)})
            except FusionError as error:
                status = 413 if isinstance(error, TooLargeError) else 400
                return _refusal(status, _withoutPlaces(str(error), folder))
            except (ValueError, HttpProcessingError):
                return _refusal(400, _("The upload was interrupted or not understood. Try again."))
            finally:
                # The volumes are in the scene, or will never be.
                await asyncio.to_thread(discard, folder)


def _refusal(status: int, sentence: str) -> web.Response:
    return web.Response(status=status, content_type="application/json", text=json.dumps({"error": sentence}))


def _withoutPlaces(sentence: str, folder: Path) -> str:
    """Where the server keeps a file is nobody's business; its name is what the visitor knows."""
    inner = re.escape(f"{folder}{os.sep}")
    return re.sub(
        rf"{inner}(\d{{5}}{re.escape(os.sep)})?", "", sentence.replace(str(folder / "dicom"), _("The upload"))
    )


def requireSecret(secret: str) -> Any:
    """A middleware that answers only the gateway: another user of this computer finds the port, but not the secret."""

    @web.middleware
    async def check(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
        given = request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode()):
            return web.Response(status=403)
        return await handler(request)

    return check
