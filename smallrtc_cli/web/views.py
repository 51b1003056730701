"""What can be looked at: the page, Pipecat's client, status, statistics and metrics. Nothing here changes anything."""

import inspect
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from smallrtc_cli.errors import RequestError
from smallrtc_cli.web.door import Door
from smallrtc_cli.web.page import POLICY, Folder
from smallrtc_cli.web.responses import json_response

PUBLIC: Final = ("/page/", "/client/assets/")
"Where files are that anybody can have from the package, so that no token is asked for."

_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


class NotInstalled(RequestError):
    """Part of the server is a package of its own, and that is not there."""

    status = 404


class Views:
    """The handlers."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._page = Folder(door.page, {"Content-Security-Policy": POLICY}) if door.page else None
        self._client = Folder(door.client) if door.client else None

    def routes(self) -> list[web.RouteDef]:
        """Only what the door has."""
        routes = [web.get("/status", self._status)]
        if self._door.stats is not None:
            routes.append(web.get("/stats", self._stats))
        if self._door.metrics is not None:
            routes.append(web.get("/metrics", self._metrics))
        if self._page is not None:
            routes += [web.get("/", self._index), web.get("/page/{name:.+}", self._file)]
            routes += [web.get("/client", self._to_client), web.get("/client/{name:.*}", self._client_file)]
        return routes

    async def _status(self, request: web.Request) -> web.Response:  # noqa: ARG002  # aiohttp's signature
        fixed: Mapping[str, object] = {"status": "ready", "transports": ["webrtc"]}
        return json_response({**fixed, **self._door.status()})

    async def _stats(self, request: web.Request) -> web.Response:  # noqa: ARG002
        assert self._door.stats is not None
        return json_response(await self._door.stats())

    async def _metrics(self, request: web.Request) -> web.Response:  # noqa: ARG002
        assert self._door.metrics is not None
        text = self._door.metrics()
        body = (await text if inspect.isawaitable(text) else text).encode()
        return web.Response(body=body, headers={"Content-Type": _PROMETHEUS, "Cache-Control": "no-store"})

    async def _index(self, request: web.Request) -> web.Response:  # noqa: ARG002
        assert self._page is not None
        return await self._page.response("index.html")

    async def _file(self, request: web.Request) -> web.Response:
        assert self._page is not None
        return await self._page.response(request.match_info["name"])

    async def _to_client(self, request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(request.rel_url.with_path("/client/", keep_query=True))

    async def _client_file(self, request: web.Request) -> web.Response:
        if self._client is None:
            hint = "`pip install pipecat-ai-prebuilt`, then start the server again; the page at `/` needs nothing"
            raise NotInstalled("Pipecat's client is not installed", hint=hint)
        return await self._client.response(request.match_info["name"] or "index.html")
