"""The HTTP door of the answering side: offers and candidates in, answers and true statuses out, and the page.

Every answer to a program is JSON; an error is `{"detail": sentence}`, with a `hint` if there is a cure. No request
causes a 500: what is malformed is a 4xx before the exchange hears of it. Bodies and credentials are not logged.
"""

import asyncio
import logging
import os
import ssl
from typing import Final

from aiohttp import web

from smallrtc_cli.config import Limits
from smallrtc_cli.errors import CannotRun
from smallrtc_cli.protocol.signalling import Exchange
from smallrtc_cli.web.door import Door
from smallrtc_cli.web.guard import Guard, Unauthorized
from smallrtc_cli.web.offers import OFFER_PATH as OFFER_PATH
from smallrtc_cli.web.offers import Offers
from smallrtc_cli.web.responses import Handler, errors_as_json, http_refusal
from smallrtc_cli.web.site import Site
from smallrtc_cli.web.tickets import Tickets
from smallrtc_cli.web.views import PUBLIC, Views

_DRAIN_TIMEOUT = 2.0  # seconds that requests under way may still take when the server closes
_CLOSE_TIMEOUT = 5.0

_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Server": "smallrtc"}
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH",
    "Access-Control-Allow-Headers": "content-type, authorization",
    "Access-Control-Max-Age": "600",
}

logger = logging.getLogger(__name__)


class SignallingServer:
    """Serves one `Exchange` over HTTP, from `start` to `close`."""

    def __init__(self, exchange: Exchange, *, limits: Limits = Limits(), door: Door | None = None) -> None:  # noqa: B008  # frozen
        self._exchange, self._limits, self._door = exchange, limits, door or Door()
        self._guard = Guard("localhost")
        self._tickets = Tickets()
        self._runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None) -> str:
        """Listen, and return the base URL with the real port; raises `CannotRun` if that cannot be had."""
        door = self._door
        self._guard = Guard(host, door.allowed_origins, door.names, door.token)
        runner = web.AppRunner(
            self._application(),
            handler_cancellation=False,  # half an offer would be a peer that nobody owns
            shutdown_timeout=_DRAIN_TIMEOUT,
        )
        await runner.setup()
        try:
            await Site(runner, host, port, tls).start()
        except OSError as error:
            await runner.cleanup()
            raise _cannot_listen(host, port, error) from error
        self._runner = runner
        return _base_url("https" if tls else "http", host, port, runner.addresses[0])

    async def close(self) -> None:
        """Stop listening, let requests under way end, drop the connections; again is nothing."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await runner.cleanup()
        except TimeoutError:
            logger.warning("the HTTP server did not close within %g s", _CLOSE_TIMEOUT)

    def _application(self) -> web.Application:
        door = self._door
        offers = Offers(self._exchange, self._limits, door.sessions, ice_servers=door.ice_servers, rate=door.rate)
        application = web.Application(middlewares=[errors_as_json, self._guarded], client_max_size=self._limits.body)
        application.router.add_routes([*offers.routes(), *Views(door).routes()])
        application.on_response_prepare.append(self._finished)
        return application

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._guard.check(request.headers.get("Host"), request.headers.get("Origin"))
        if request.method == "OPTIONS" and self._allowed_origin(request) is not None:
            return web.Response(status=204, headers=_PREFLIGHT)
        try:
            ticket = self._require_token(request)
        except Unauthorized as error:
            if _is_for_eyes(request):
                return _in_words(error)
            raise
        response = await handler(request)
        if ticket:
            self._tickets.give(request, response)
        return response

    def _require_token(self, request: web.Request) -> bool:
        """Raise `Unauthorized`, or tell whether a ticket for further requests is due."""
        if self._door.token is None or request.path.startswith(PUBLIC) or self._tickets.has(request):
            return False
        self._guard.check_token(request.headers.get("Authorization"), request.query.get("token"))
        return request.path == "/client/"

    async def _finished(self, request: web.Request, response: web.StreamResponse) -> None:
        """What all answers have in common; those that aiohttp gives by itself become JSON."""
        if isinstance(response, web.HTTPException) and response.status >= 400:
            refused = http_refusal(request, response)
            text = refused.text or ""
            response.text, response.content_type = text, refused.content_type
            response.headers["Content-Length"] = str(len(text.encode()))  # that of the old text is set already
        response.headers.update(_HEADERS)
        origin = self._allowed_origin(request)
        if origin is not None:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        if self._door.allowed_origins:
            response.headers["Vary"] = "Origin"

    def _allowed_origin(self, request: web.Request) -> str | None:
        origin = request.headers.get("Origin")
        return origin if origin is not None and self._guard.allows(origin) else None


def _is_for_eyes(request: web.Request) -> bool:
    return request.path in {"/", "/client", "/client/"} and request.method in {"GET", "HEAD"}


def _in_words(error: Unauthorized) -> web.Response:
    """For somebody who typed the address without the token."""
    text = f"{error}\n\nopen the whole address that `smallrtc serve` printed, with `?token=` at its end\n"
    return web.Response(text=text, status=error.status, headers={"WWW-Authenticate": "Bearer"})


def _cannot_listen(host: str, port: int, error: OSError) -> CannotRun:
    reason = os.strerror(error.errno) if error.errno else str(error)  # asyncio's own words repeat the address
    return CannotRun(
        f"cannot listen on `{host}` port {port}: {reason.lower()}", hint="choose another `--port` or `--host`"
    )


def _base_url(scheme: str, host: str, port: int, address: tuple[str, int]) -> str:
    """A URL that reaches the server from here; a port chosen freely is sure on the first address only."""
    name = host if port and host not in {"", "0.0.0.0", "::"} else address[0]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{address[1]}"
