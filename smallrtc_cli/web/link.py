"""Requests with JSON in them to a server somewhere, over kept-alive connections; `failures` names what goes wrong.

No proxy of the environment is used: media goes straight to the server, and so do the offers.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from yarl import URL

from smallrtc_cli.errors import CouldNotConnect, ServerUnreachable, UnusableAnswer, UsageError, WrongScheme
from smallrtc_cli.protocol.messages import JSONObject, encode_app, printable
from smallrtc_cli.web.failures import FAILURES, Progress, is_dropped, unreachable
from smallrtc_cli.web.replies import Reply, redirected, refused
from smallrtc_cli.web.urls import origin, place

LONGEST_RESPONSE: Final = 1024 * 1024  # bytes; an answer has a few thousand
MOST_REDIRECTS: Final = 3

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110 section 5.6.2
_PROBE_TIMEOUT: Final = 2.0  # seconds, on top of a request that has failed already


class LinkClosed(CouldNotConnect):
    """A link, or the exchange that is over it, was used after its `close`."""

    hint = "make a new one"


class Link:
    """Requests that share headers, cookies and connections; the connections are its own.

    `timeout` bounds each try of a request, in seconds; `verify=False` trusts any certificate.
    """

    def __init__(self, headers: Mapping[str, str] | None = None, *, timeout: float = 10.0, verify: bool = True) -> None:
        self._headers = {"Content-Type": "application/json"} | _checked(headers or {})
        self._timeout, self._verify = timeout, verify
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._answered = False

    async def close(self) -> None:
        """Close the connections; again is nothing. Requests that come later raise `LinkClosed`."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def request(self, method: str, url: URL, body: JSONObject | None = None) -> Reply:
        """Send it, follow what may be followed; raises `ServerUnreachable`, or `OfferRefused` for status 300 and up."""
        self._require_one_credential(url)
        payload = b"" if body is None else encode_app(body).encode()
        for _ in range(MOST_REDIRECTS + 1):
            reply = await self._attempt(method, url, payload)
            self._answered = True
            if not 300 <= reply.status < 400:
                break
            url = redirected(url, reply)
        if reply.status >= 300:
            raise refused(url, reply)
        return reply

    async def _attempt(self, method: str, url: URL, payload: bytes) -> Reply:
        """Send it; once more on a fresh connection if a kept-alive one was dropped between two requests."""
        self._require_open(url)
        if self._session is None:
            self._session = self._new_session()
        progress = Progress()
        try:
            return await _send(self._session, method, url, payload, progress)
        except FAILURES as error:
            if not (progress.reused and is_dropped(error)):
                raise await self._named(url, error, progress) from error
        self._require_open(url)
        progress = Progress()
        async with self._new_session() as fresh:
            try:
                return await _send(fresh, method, url, payload, progress)
            except FAILURES as error:
                raise await self._named(url, error, progress) from error

    async def _named(self, url: URL, error: Exception, progress: Progress) -> ServerUnreachable:
        """What went wrong. A server that hangs up on the first words of plain HTTP may speak HTTPS: ask it."""
        hung_up = progress.connected and not self._answered and not isinstance(error, TimeoutError)
        if url.scheme == "http" and hung_up and await _speaks_tls(url):
            return WrongScheme(f"`{place(url)}` speaks https, not http", hint=f"use `{origin(url, 'https')}`")
        return unreachable(url, error, self._timeout, connected=progress.connected)

    def _require_open(self, url: URL) -> None:
        if self._closed:
            raise LinkClosed(f"the exchange with `{place(url)}` is closed")

    def _require_one_credential(self, url: URL) -> None:
        if url.user is not None and any(name.lower() == "authorization" for name in self._headers):
            raise UsageError(
                f"the URL of `{place(url)}` has a user in it, and there is an `Authorization` header too",
                hint="leave one of them out",
            )

    def _new_session(self) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        trace.on_connection_create_end.append(_note_connected)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._verify),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            trace_configs=[trace],
            trust_env=False,
        )


async def _send(session: aiohttp.ClientSession, method: str, url: URL, payload: bytes, progress: Progress) -> Reply:
    async with session.request(
        method, url, data=payload, allow_redirects=False, trace_request_ctx=progress
    ) as response:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > LONGEST_RESPONSE:
                raise UnusableAnswer(f"the answer of `{place(url)}` is longer than {LONGEST_RESPONSE} bytes")
        return Reply(response.status, response.reason or "", response.headers, bytes(body))


async def _note_reuse(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:  # noqa: ARG001
    context.trace_request_ctx.reused = context.trace_request_ctx.connected = True


async def _note_connected(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:  # noqa: ARG001
    context.trace_request_ctx.connected = True


async def _speaks_tls(url: URL) -> bool:
    """Whether a TLS handshake succeeds where plain HTTP did not; the certificate does not matter for that."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT):
            _, writer = await asyncio.open_connection(url.host, url.port, ssl=context)
    except (OSError, UnicodeError):
        return False
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        # The value may be a credential, so that only the name is shown.
        if not _HEADER_NAME.fullmatch(name) or not value.isprintable():
            raise UsageError(f"`{printable(name)}` is not a header that can be sent")
    return dict(headers)
