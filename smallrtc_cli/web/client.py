"""The HTTP door of the dialing side: an `Exchange` whose other end is a server somewhere.

Whatever goes wrong on the way is `ServerUnreachable`, whatever the server says no to is `OfferRefused` with
the server's own sentence; both name host and port, never headers or bodies.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, Self

import aiohttp
from yarl import URL

from smallrtc_cli.errors import CouldNotConnect, OfferRefused, ServerUnreachable, UsageError
from smallrtc_cli.protocol.messages import JSONObject, MalformedJSON, encode_app, parse_json, printable
from smallrtc_cli.protocol.signalling import (
    Answer,
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
    parse_answer,
)

OFFER_PATH: Final = "/api/offer"

LONGEST_RESPONSE: Final = 1024 * 1024  # bytes; an answer has a few thousand
LONGEST_DETAIL: Final = 200  # characters of the server's sentence that are shown
MOST_REDIRECTS: Final = 3

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110 section 5.6.2

_FAILURES = (aiohttp.ClientError, OSError, UnicodeError)
"What aiohttp raises on the way; a timeout is an OSError, and a host name that IDNA refuses a UnicodeError."

_NOT_A_SERVER = "is this the URL of a SmallWebRTC server?"


class ExchangeClosed(CouldNotConnect):
    """An exchange was used after its `close`."""

    hint = "make a new one"


@dataclass(frozen=True, slots=True)
class _Response:
    """What came back, read to its end."""

    status: int
    reason: str
    location: str | None
    body: bytes


class HttpExchange:
    """Offers and candidates to one URL, over kept-alive connections that it owns.

    `timeout` bounds a whole request, in seconds. Use it with `async with`, or call `close`.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 10.0) -> None:
        self._url = offer_url(url)
        self._headers = {"Content-Type": "application/json"} | _checked(headers or {})
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; again is nothing. Requests that come later raise `ExchangeClosed`."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def offer(self, request: SmallWebRTCRequest) -> Answer:
        """POST the offer; raises `ServerUnreachable`, `OfferRefused`, or `CouldNotConnect` for no answer."""
        response = await self._request("POST", request.to_dict())
        try:
            answer = parse_json(response.body)
        except MalformedJSON:
            raise CouldNotConnect(f"the answer of `{_place(self._url)}` is not JSON", hint=_NOT_A_SERVER) from None
        return parse_answer(answer)

    async def candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """PATCH later candidates; raises as `offer` does, and with status 404 once the peer is gone."""
        await self._request("PATCH", request.to_dict())

    async def _request(self, method: str, body: JSONObject) -> _Response:
        payload, url = encode_app(body).encode(), self._url
        for _ in range(MOST_REDIRECTS + 1):
            response = await self._attempt(method, url, payload)
            if response.status not in {307, 308}:
                break
            url = _redirected(url, response)
        if response.status >= 300:
            raise _refused(url, response)
        return response

    async def _attempt(self, method: str, url: URL, payload: bytes) -> _Response:
        """Send it; once more on a fresh connection if a kept-alive one was dropped between two requests."""
        self._require_open()
        if self._session is None:
            self._session = self._new_session()
        sent_on = SimpleNamespace(reused=False)
        try:
            return await _send(self._session, method, url, payload, sent_on)
        except _FAILURES as error:
            if not (sent_on.reused and _is_dropped(error)):
                raise _unreachable(url, error, self._timeout) from error
        self._require_open()
        async with self._new_session() as fresh:
            try:
                return await _send(fresh, method, url, payload, SimpleNamespace(reused=False))
            except _FAILURES as error:
                raise _unreachable(url, error, self._timeout) from error

    def _require_open(self) -> None:
        if self._closed:
            raise ExchangeClosed(f"the exchange with `{_place(self._url)}` is closed")

    def _new_session(self) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        return aiohttp.ClientSession(headers=self._headers, timeout=timeout, trace_configs=[trace])


def offer_url(text: str) -> URL:
    """Where offers go: `/api/offer` is appended unless it is there; raises `UsageError`."""
    hint = "a server's URL looks like `http://localhost:7860`"
    try:
        url = URL(text.strip())
        port = url.port
    except ValueError:
        raise UsageError(f"`{printable(text)}` is not a URL", hint=hint) from None
    if url.scheme not in {"http", "https"} or not url.host or not port or " " in url.host:
        raise UsageError(f"`{printable(text)}` is not an http or https URL", hint=hint)
    if url.path.endswith(OFFER_PATH):
        return url
    return url.with_path(url.raw_path.rstrip("/") + OFFER_PATH, encoded=True, keep_query=True)


async def _send(
    session: aiohttp.ClientSession, method: str, url: URL, payload: bytes, context: SimpleNamespace
) -> _Response:
    async with session.request(method, url, data=payload, allow_redirects=False, trace_request_ctx=context) as response:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > LONGEST_RESPONSE:
                raise CouldNotConnect(f"the answer of `{_place(url)}` is longer than {LONGEST_RESPONSE} bytes")
        return _Response(response.status, response.reason or "", response.headers.get("Location"), bytes(body))


async def _note_reuse(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:  # noqa: ARG001
    context.trace_request_ctx.reused = True


def _is_dropped(error: Exception) -> bool:
    """The server closed the connection before it said anything."""
    return isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError) or (
        isinstance(error, aiohttp.ClientOSError) and not isinstance(error, aiohttp.ClientConnectorError)
    )


def _redirected(url: URL, response: _Response) -> URL:
    """Only 307 and 308 keep method and body, and only the same host is trusted with them."""
    try:
        target = url.join(URL(response.location or ""))
    except ValueError:
        raise _refused(url, response) from None
    downgrade = url.scheme == "https" and target.scheme != "https"
    if not response.location or target.host != url.host or downgrade:
        raise OfferRefused(
            f"`{_place(url)}` redirects to `{printable(f'{target.scheme}://{target.host}')}`",
            status=response.status,
            hint="use that URL if you trust it",
        )
    return target


def _refused(url: URL, response: _Response) -> OfferRefused:
    detail, hint = _detail(response)
    return OfferRefused(
        f"`{_place(url)}` refused with status {response.status}: {detail}", status=response.status, hint=hint
    )


def _detail(response: _Response) -> tuple[str, str | None]:
    """The server's sentence and hint: `detail` (ours, FastAPI's), `info` (Pipecat Cloud's), or its text."""
    fallback = response.reason.lower() or "no reason given"
    try:
        body = parse_json(response.body)
    except MalformedJSON:
        text = " ".join(response.body.decode(errors="replace").split())
        return (fallback if not text or text.startswith("<") else printable(text, LONGEST_DETAIL)), None
    if not isinstance(body, dict):
        return fallback, None
    sentence, hint = _sentence(body.get("detail") or body.get("info")), body.get("hint")
    return sentence or fallback, printable(hint, LONGEST_DETAIL) if isinstance(hint, str) else None


def _sentence(detail: object) -> str | None:
    match detail:
        case str(text):
            return printable(text, LONGEST_DETAIL)
        case [{"msg": str(text), "loc": [*_, field]}, *_]:  # FastAPI's validation errors
            return printable(f"{field}: {text}", LONGEST_DETAIL)
        case _:
            return None


def _unreachable(url: URL, error: Exception, timeout: float) -> ServerUnreachable:
    place = _place(url)
    match error:
        case TimeoutError():
            return ServerUnreachable(f"`{place}` did not answer within {timeout:g} s")
        case aiohttp.ClientConnectorDNSError() | UnicodeError():
            return ServerUnreachable(f"the host `{url.host}` cannot be found (`{place}`)")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return ServerUnreachable(f"no secure connection to `{place}`: {_tls_reason(error)}")
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return ServerUnreachable(f"nothing listens at `{place}`: connection refused")
        case aiohttp.ClientConnectorError():
            return ServerUnreachable(f"no connection to `{place}`: {_reason(error.os_error)}")
        case aiohttp.ServerDisconnectedError() | OSError():
            return ServerUnreachable(f"`{place}` closed the connection without an answer")
        case _:
            return ServerUnreachable(f"`{place}` does not answer in HTTP", hint=_NOT_A_SERVER)


def _reason(error: OSError) -> str:
    return printable((error.strerror or str(error)).lower(), LONGEST_DETAIL)


def _tls_reason(error: Exception) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    words = getattr(cause, "verify_message", None) or getattr(cause, "reason", None) or str(cause)
    return printable(str(words).lower().replace("_", " "), LONGEST_DETAIL)


def _place(url: URL) -> str:
    return f"{url.host_subcomponent}:{url.port}"


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        # The value may be a credential, so that only the name is shown.
        if not _HEADER_NAME.fullmatch(name) or {"\r", "\n", "\0"} & set(value):
            raise UsageError(f"`{printable(name)}` is not a header that can be sent")
    return dict(headers)
