"""Offers, candidates and `/start`: the requests that begin and keep up a conversation (PROTOCOL 1.2 to 1.5).

What is malformed is refused before the exchange hears of it, and what is refused leaves no session behind.
"""

import asyncio
import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from smallrtc_cli.config import Limits
from smallrtc_cli.errors import BadRequest
from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.protocol.messages import JSONObject, json_kind, printable
from smallrtc_cli.protocol.signalling import Answer, Exchange, SmallWebRTCPatchRequest, SmallWebRTCRequest
from smallrtc_cli.web.body import read_json, read_json_or_nothing
from smallrtc_cli.web.rates import Rate, Rates, client_of
from smallrtc_cli.web.responses import json_response
from smallrtc_cli.web.sessions import Sessions
from smallrtc_cli.web.urls import OFFER_PATH as OFFER_PATH
from smallrtc_cli.web.urls import START_PATH

SESSION_OFFER_PATH: Final = "/sessions/{session_id}" + OFFER_PATH

_DEFAULT_STUN = IceServerSpec(("stun:stun.l.google.com:19302",))  # what Pipecat's clients expect by that name
_ONLY_WEBRTC = "this server speaks `webrtc` only"


class Offers:
    """The handlers; each client may send `offer_rate` offers and as many starts."""

    def __init__(
        self,
        exchange: Exchange,
        limits: Limits,
        sessions: Sessions,
        *,
        ice_servers: tuple[IceServerSpec, ...] = (),
        rate: Rate = Rate(),  # noqa: B008  # frozen
    ) -> None:
        self._exchange, self._limits, self._sessions = exchange, limits, sessions
        self._ice_servers = ice_servers
        self._offer_rates, self._start_rates = Rates(rate), Rates(rate)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(OFFER_PATH, self._offer),
            web.patch(OFFER_PATH, self._candidates),
            web.post(SESSION_OFFER_PATH, self._offer),
            web.patch(SESSION_OFFER_PATH, self._candidates),
            web.post(START_PATH, self._start),
        ]

    async def _start(self, request: web.Request) -> web.Response:
        self._start_rates.take(client_of(request.remote), _now())
        wanted = start_options(await read_json_or_nothing(request))
        session_id = str(uuid.uuid4())
        self._sessions.begin(session_id, wanted.body, _now())
        servers = self._ice_servers or ((_DEFAULT_STUN,) if wanted.default_ice_servers else ())
        started: JSONObject = {"sessionId": session_id}
        if servers:
            started["iceConfig"] = {"iceServers": [server.to_dict() for server in servers]}
        return json_response(started)

    async def _offer(self, request: web.Request) -> web.Response:
        self._offer_rates.take(client_of(request.remote), _now())
        session_id = _session_id(request)
        if session_id is not None:
            self._sessions.check(session_id, _now())  # before a body is waited for
        body = await read_json(request)
        offer = SmallWebRTCRequest.from_dict(body, self._limits)
        answer = await (self._exchange.offer(offer) if session_id is None else self._joined(session_id, offer, body))
        return json_response({"sdp": answer["sdp"], "type": answer["type"], "pc_id": answer["pc_id"]})

    async def _joined(self, session_id: str, offer: SmallWebRTCRequest, body: object) -> Answer:
        """An offer in a session has the session's body, unless it brings its own."""
        started_with = self._sessions.offered(session_id, _now())
        try:
            data = _own_data(body) or started_with
            return await self._exchange.offer(dataclasses.replace(offer, request_data=data, session_id=session_id))
        finally:
            self._sessions.answered(session_id, _now())

    async def _candidates(self, request: web.Request) -> web.Response:
        session_id = _session_id(request)
        if session_id is not None:
            self._sessions.check(session_id, _now())
        found = SmallWebRTCPatchRequest.from_dict(await read_json(request), self._limits)
        await self._exchange.candidates(found)
        return json_response({"status": "success"})


@dataclasses.dataclass(frozen=True, slots=True)
class StartOptions:
    """What `/start` was asked for."""

    body: Any
    default_ice_servers: bool


def start_options(asked: object) -> StartOptions:
    """Read the body of `/start`; raises `BadRequest` for what this server cannot give."""
    if asked is None:
        return StartOptions({}, default_ice_servers=False)
    if not isinstance(asked, Mapping):
        raise BadRequest(f"the body is {json_kind(asked)}, not an object")
    transport = asked.get("transport")
    if transport is not None and not isinstance(transport, str):
        raise BadRequest(f"`transport` is {json_kind(transport)}, not a string")
    if transport is None and asked.get("createDailyRoom") is True:
        raise BadRequest("`createDailyRoom` asks for Daily", hint=_ONLY_WEBRTC)
    if transport not in (None, "webrtc"):
        raise BadRequest(f"there is no transport `{printable(transport)}`", hint=_ONLY_WEBRTC)
    body = asked.get("body")
    return StartOptions({} if body is None else body, asked.get("enableDefaultIceServers") is True)


def _session_id(request: web.Request) -> str | None:
    """From the path, or `?session_id=` of a direct offer; either must be of a session that was begun here (P11)."""
    return request.match_info.get("session_id") or request.query.get("session_id") or None


def _own_data(body: object) -> Any:
    """The first that has something in it, of either spelling: Android sends `{}` for nothing."""
    return isinstance(body, Mapping) and (body.get("request_data") or body.get("requestData"))


def _now() -> float:
    return asyncio.get_running_loop().time()
