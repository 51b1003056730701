"""The page that the server shows, and Pipecat's prebuilt client beside it: files of a folder, and no others.

Only names that were found in the folder are served, so that no path leads out of it. The page's own files hold no
secret and need no token (an ES module cannot send one); the page itself does.
"""

import asyncio
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiohttp import web

PAGE: Final = Path(__file__).parent / "page"
"The folder of the page."

POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; media-src 'self' blob: mediastream:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}  # ours, since a machine's own table may call JavaScript plain text, which browsers then refuse to run


class Folder:
    """The files of a folder, by their paths in it; content is read anew for each request, names are not."""

    def __init__(self, folder: Path, headers: Mapping[str, str] | None = None) -> None:
        found = [path for path in folder.rglob("*") if path.is_file() and path.suffix in _TYPES]
        self._files = {path.relative_to(folder).as_posix(): path for path in found}
        self._headers = {"Cache-Control": "no-cache"} | dict(headers or {})

    def __contains__(self, name: str) -> bool:
        return name in self._files

    async def response(self, name: str) -> web.Response:
        """The file; raises `HTTPNotFound`."""
        path = self._files.get(name)
        if path is None:
            raise web.HTTPNotFound
        try:
            content = await asyncio.to_thread(path.read_bytes)  # off the loop: a megabyte would be heard in calls
        except OSError:  # it was there when the server started
            raise web.HTTPNotFound from None
        kind = _TYPES[path.suffix]
        text = kind.startswith("text/") or kind == "application/json"
        return web.Response(body=content, content_type=kind, charset="utf-8" if text else None, headers=self._headers)


def prebuilt_client() -> Path | None:
    """Where Pipecat's `pipecat-ai-prebuilt` keeps its built client, if it is installed; nothing of it is imported."""
    found = importlib.util.find_spec("pipecat_ai_prebuilt")
    for place in (found.submodule_search_locations or ()) if found else ():
        folder = Path(place) / "client" / "dist"
        if (folder / "index.html").is_file():
            return folder
    return None
