"""Offers in, answers out: who is connected. The names are those of Pipecat's `request_handler`.

Each live connection is known by its present `pc_id` only: a restart re-keys it, an end forgets it. An offer for an
id that is not known makes a new connection, a candidate for one is refused. Errors are `RequestError`s with an HTTP
status; no web framework is involved.
"""

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Any

from smallrtc_cli.config import Settings
from smallrtc_cli.errors import (
    BadRequest,
    ConnectionEnded,
    CouldNotConnect,
    PeerMismatch,
    ServerClosing,
    Unavailable,
    UnknownPeer,
)
from smallrtc_cli.protocol.rewriting import esp32_answer
from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.protocol.signalling import Answer, SmallWebRTCPatchRequest, SmallWebRTCRequest
from smallrtc_cli.rtc.connection import IceServer, SmallWebRTCConnection
from smallrtc_cli.rtc.ice import IceOptions

logger = logging.getLogger(__name__)

ConnectionCallback = Callable[[SmallWebRTCConnection], Awaitable[Any] | Any]


class ConnectionMode(StrEnum):
    """How many clients at a time."""

    SINGLE = "single"
    MULTIPLE = "multiple"


class SmallWebRTCRequestHandler:
    """Answers offers and keeps the connections that came of them."""

    def __init__(
        self,
        ice_servers: Sequence[str] | Sequence[IceServer] | None = None,
        esp32_mode: bool = False,
        host: str | None = None,
        connection_mode: ConnectionMode = ConnectionMode.MULTIPLE,
        *,
        ice_transport_policy: str = "all",
        ice: IceOptions | None = None,
        settings: Settings | None = None,
    ) -> None:
        """In `esp32_mode` answers are reduced to what that device understands, with candidates of `host` only.

        `ice` has what else can be said of ICE. A connection has `settings.timing.connect_timeout` to come up.
        """
        if esp32_mode and not host:
            raise ValueError("esp32_mode needs the host's address")
        self._ice_servers = ice_servers
        self._esp32_host = host if esp32_mode else None
        self._mode = ConnectionMode(connection_mode)
        self._policy, self._ice = ice_transport_policy, ice
        self._settings = settings or Settings()
        self._connections: dict[str, SmallWebRTCConnection] = {}
        self._unreleased: set[SmallWebRTCConnection] = set()
        self._answering = 0
        self._closing = False

    @property
    def connections(self) -> tuple[SmallWebRTCConnection, ...]:
        """The live connections."""
        return tuple(self._connections.values())

    def knows(self, pc_id: str) -> bool:
        """Whether a live connection has this id."""
        return pc_id in self._connections

    def update_ice_servers(self, ice_servers: Sequence[str] | Sequence[IceServer] | None = None) -> None:
        """Use these servers for later connections."""
        self._ice_servers = ice_servers

    async def handle_web_request(
        self, request: SmallWebRTCRequest, webrtc_connection_callback: ConnectionCallback
    ) -> Answer:
        """Answer an offer; the callback is given each new connection, before the answer is returned.

        Raises `BadRequest`, `PeerMismatch`, `ServerClosing` or `Unavailable`; then nothing was started. What the
        callback raises ends the new connection and is raised.
        """
        self._check_open(request)
        known = self._connections.get(request.pc_id) if request.pc_id else None
        try:
            if known is not None:
                with contextlib.suppress(ConnectionEnded):  # it ended just now: as good as unknown
                    await known.renegotiate(request.sdp, request.type, bool(request.restart_pc))
                    return self._answer_of(known)
            return await self._connect(request, webrtc_connection_callback)
        except CouldNotConnect as error:
            raise Unavailable(str(error), hint=error.hint) from error

    async def handle_patch_request(self, request: SmallWebRTCPatchRequest) -> None:
        """Add trickled candidates; bad ones are skipped. Raises `UnknownPeer` for an id that is not live."""
        connection = self._connections.get(request.pc_id)
        if connection is None:
            raise UnknownPeer("there is no peer connection with this `pc_id`")
        for candidate in request.candidates:
            await connection.add_ice_candidate(candidate)

    async def close(self) -> None:
        """End all conversations, with `peerLeft`; no new ones from here on."""
        self._closing = True
        unreleased = tuple(self._unreleased)
        await asyncio.gather(*(c.close(CloseReason.SERVER_SHUTDOWN, farewell=True) for c in unreleased))
        await asyncio.gather(*(c.settled() for c in unreleased))

    def _check_open(self, request: SmallWebRTCRequest) -> None:
        if self._closing:
            raise ServerClosing("the server is shutting down")
        if request.type != "offer":
            raise BadRequest(f"the description is of type `{request.type}`, not `offer`")
        busy = self._connections or self._answering
        if self._mode is ConnectionMode.SINGLE and busy and request.pc_id not in self._connections:
            if request.pc_id:
                raise PeerMismatch("`pc_id` is not that of the existing connection")
            raise PeerMismatch("another client is connected, and this server takes one at a time")

    async def _connect(self, request: SmallWebRTCRequest, callback: ConnectionCallback) -> Answer:
        connection = SmallWebRTCConnection(
            self._ice_servers,
            self._settings.timing.connect_timeout,
            ice_transport_policy=self._policy,
            ice=self._ice,
            settings=self._settings,
        )
        self._answering += 1
        try:
            await connection.initialize(request.sdp, request.type)
            if self._closing:
                raise ServerClosing("the server is shutting down")
            self._register(connection)
            result = callback(connection)
            if inspect.isawaitable(result):
                await result
        except BaseException:
            await connection.close(CloseReason.BOT_FAILED)
            raise
        finally:
            self._answering -= 1
        return self._answer_of(connection)

    def _register(self, connection: SmallWebRTCConnection) -> None:
        def rekey(old: str, new: str) -> None:
            self._connections[new] = self._connections.pop(old)

        connection.on_rekeyed = rekey
        connection.on_ended = lambda: self._connections.pop(connection.pc_id, None)
        connection.on_released = lambda: self._unreleased.discard(connection)
        self._unreleased.add(connection)
        self._connections[connection.pc_id] = connection

    def _answer_of(self, connection: SmallWebRTCConnection) -> Answer:
        answer = connection.get_answer()
        if answer is None:
            raise ConnectionEnded(f"{connection.name} has no answer")
        if self._esp32_host is not None:
            answer = {**answer, "sdp": esp32_answer(answer["sdp"], self._esp32_host)}
        return answer
