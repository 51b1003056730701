"""Where the server listens, and what it does about a connection that speaks no HTTP.

Malformed HTTP is its sender's defect: answered with 4xx in JSON, logged as one line without a traceback, which would
quote the request and whatever credential is in it. The number of connections is bounded, and so is an idle one's time.
"""

import asyncio
import logging
import ssl
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong

from smallrtc_cli.web.responses import json_response

MOST_CONNECTIONS: Final = 512
"At a time; half of the 1024 descriptors that Linux gives a process, the calls need the others."

_KEEPALIVE = 75.0  # seconds that an idle connection is kept; a page that polls `/status` asks more often
_HANDSHAKE_TIMEOUT = 10.0

logger = logging.getLogger(__name__)


class _Connection(web.RequestHandler):
    """One connection of a client."""

    __slots__ = ("_server",)

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # documented: none is written
            logger=logger,
            auto_decompress=False,  # no client compresses, and a small body could become a large one
            keepalive_timeout=_KEEPALIVE,
        )
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self._server.connections) > MOST_CONNECTIONS and isinstance(transport, asyncio.Transport):
            logger.warning("more than %d connections: one was dropped", MOST_CONNECTIONS)
            transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  # quotes the request
    ) -> web.StreamResponse:
        if status >= 500 and _expects_strange_things(request):
            status = 417  # aiohttp fails over a header that is no UTF-8 when it quotes it
        if status >= 500:
            logger.error("answering %s failed", request.remote, exc_info=exc)
        else:
            level = logging.DEBUG if isinstance(exc, BadHttpMethod) else logging.WARNING  # TLS and scans, mostly
            logger.log(level, "malformed HTTP from %s", request.remote)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        response = json_response({"detail": _sentence(status, exc)}, status=status)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.force_close()
        return response


class Site(web.BaseSite):
    """Listens on a host and a port for a runner that was set up."""

    def __init__(self, runner: web.BaseRunner, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        super().__init__(runner, ssl_context=tls)
        self._host, self._port = host, port

    @property
    def name(self) -> str:
        return f"{'https' if self._ssl_context else 'http'}://{self._host}:{self._port}"

    async def start(self) -> None:
        """Raises `OSError` if it cannot be had."""
        await super().start()
        loop, server = asyncio.get_running_loop(), self._runner.server
        assert server is not None
        secure: dict[str, Any] = {"ssl_handshake_timeout": _HANDSHAKE_TIMEOUT} if self._ssl_context else {}
        self._server = await loop.create_server(
            lambda: _Connection(server, loop), self._host, self._port, ssl=self._ssl_context, **secure
        )


def _expects_strange_things(request: web.BaseRequest) -> bool:
    return request.headers.get("Expect", "100-continue").lower() != "100-continue"


def _sentence(status: int, error: BaseException | None) -> str:
    match status, error:
        case 417, _:
            return "the expectation of the request is not known"
        case _, LineTooLong():
            return "a line or a header of the request is too long"
        case _:
            return "internal error" if status >= 500 else "this is no HTTP"
