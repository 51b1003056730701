"""How a call begins at a server somewhere, whatever kind of server it is: ours, Pipecat's runner or Pipecat Cloud.

`POST /start` gives a session and ICE servers; offers then go to the session's own URL, with the same headers. Where a
server has no `/start`, offers go to `/api/offer` at once.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from yarl import URL

from smallrtc_cli.errors import OfferRefused
from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.protocol.signalling import Answer, SmallWebRTCPatchRequest, SmallWebRTCRequest
from smallrtc_cli.protocol.start import Started, parse_started, start_request
from smallrtc_cli.web.client import HttpExchange
from smallrtc_cli.web.link import Link
from smallrtc_cli.web.replies import json_of
from smallrtc_cli.web.urls import Target, is_loopback, parse_url, session_url

_FORGOTTEN: Final = 404

_NO_START: Final = frozenset({404, 405, 501})
"Statuses by which a server says that it has no `/start`."

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to dial. The exchange is the caller's to close."""

    exchange: "HttpExchange | SessionExchange"
    ice_servers: tuple[IceServerSpec, ...] = ()
    "What the server says to use, for `DialOptions.ice_servers` where the user names none."

    session_id: str | None = None
    body_given: bool = False
    "Whether the server has the body; otherwise it goes along with the offer, as `DialOptions.request_data`."


class SessionExchange:
    """Offers and candidates in a session that `/start` gave; one that the server has forgotten is begun anew.

    A server that was restarted knows neither session nor peer connection, and answers 404: a client that dials again
    then wants a new call, with the same body.
    """

    def __init__(self, target: Target, link: Link, body: Any, session: HttpExchange) -> None:
        self._target, self._link, self._body = target, link, body
        self._session = session
        self.on_begun_anew: Callable[[], object] | None = None
        "Called when the server had forgotten the session, and another one has begun."

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.close()

    async def close(self) -> None:
        """As `HttpExchange.close`."""
        await self._link.close()

    @property
    def place(self) -> str:
        """Host and port of the server, fit to be shown."""
        return self._session.place

    async def offer(self, request: SmallWebRTCRequest) -> Answer:
        """As `HttpExchange.offer`."""
        try:
            return await self._session.offer(request)
        except OfferRefused as error:
            if error.status != _FORGOTTEN or request.pc_id is None:
                raise
        self._session, _ = await _opened(self._target, self._link, self._body)
        answer = await self._session.offer(replace(request, pc_id=None, restart_pc=False))
        if self.on_begun_anew is not None:
            self.on_begun_anew()
        return answer

    async def candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """As `HttpExchange.candidates`."""
        await self._session.candidates(request)


async def begin(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    verify: bool = True,
    body: Any = None,
    timeout: float = 10.0,
) -> Begun:
    """Ask the server for a session if that is how it works (`urls` has the forms of a URL).

    `body` is any JSON value for the bot; `verify=False` trusts any certificate; `timeout` bounds each request, in
    seconds. Raises `UsageError`, `ServerUnreachable`, `OfferRefused` (the server says no) and `UnusableAnswer`.
    """
    target = parse_url(url)
    link = Link(headers, timeout=timeout, verify=verify)
    try:
        return await _begun(target, link, body)
    except BaseException:
        await link.close()
        raise


async def _begun(target: Target, link: Link, body: Any) -> Begun:
    exchange, started = await _opened(target, link, body)
    if started is None or started.session_id is None:
        return Begun(exchange, () if started is None else started.ice_servers, target.session_id)
    session = SessionExchange(target, link, body, exchange)
    return Begun(session, started.ice_servers, started.session_id, body_given=True)


async def _opened(target: Target, link: Link, body: Any) -> tuple[HttpExchange, Started | None]:
    """Where offers go, and what `/start` said to it; None where it was not asked, or is not there."""
    started = None if target.start is None else await _started(link, target.start, body, target)
    if target.start is None or started is None or started.session_id is None:
        return HttpExchange(target.offer, link=link), started
    return HttpExchange(session_url(target.start, started.session_id), link=link), started


async def _started(link: Link, start: URL, body: Any, target: Target) -> Started | None:
    """What `/start` answered; None where the server has none, and need not have."""
    asked = start_request(body, default_ice_servers=not is_loopback(start))
    try:
        reply = await link.request("POST", start, asked)
    except OfferRefused as error:
        if target.offer_will_do and error.status in _NO_START:
            return None
        raise
    started = parse_started(json_of(start, reply))
    for sentence in started.skipped:
        logger.warning("an ICE server of `/start` is left out: %s", sentence)
    return started
