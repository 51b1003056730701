"""The dialing side: offers out, answers in, candidates after them; dials again when a call breaks.

A `Dialer` makes one `SmallWebRTCConnection` and keeps it alive: it sends a new offer on the same peer connection
when the server asks to renegotiate, and one with `restart_pc` on a new peer connection when the old one is lost, up
to three times with growing pauses. What the bot (a person, a measurement) holds is the same connection all along.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aioice import Candidate

from smallrtc_cli.config import Settings
from smallrtc_cli.errors import ConnectionEnded, CouldNotConnect, OfferRefused, RequestError
from smallrtc_cli.protocol.reconnect import Reconnect
from smallrtc_cli.protocol.session import CloseReason, Role, State
from smallrtc_cli.protocol.signalling import (
    Answer,
    Exchange,
    IceCandidate,
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
)
from smallrtc_cli.rtc.connection import IceServer, SmallWebRTCConnection
from smallrtc_cli.rtc.diagnosis import NoConnection
from smallrtc_cli.rtc.ice import IceOptions
from smallrtc_cli.rtc.peer import MediaOptions, Peer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DialOptions:
    """How to call."""

    ice_servers: Sequence[str] | Sequence[IceServer] = ()
    ice_transport_policy: str = "all"
    ice: IceOptions = field(default_factory=IceOptions)
    "What else can be said of ICE: ports, interfaces, an address to announce."

    media: MediaOptions = field(default_factory=MediaOptions)
    wait_for_ice_gathering: bool = False
    "Let the offer carry what STUN and TURN servers give, instead of sending that after the answer."

    request_data: Any = None
    "Any JSON value for the bot (`runner_args.body`)."

    connect_timeout: float = 15.0
    "Seconds until a peer connection that does not come up is given up."


class Dialer:
    """Calls a server through an `Exchange` and holds the line."""

    def __init__(
        self, exchange: Exchange, options: DialOptions | None = None, *, settings: Settings | None = None
    ) -> None:
        self._exchange = exchange
        self._options = options or DialOptions()
        self._settings = settings or Settings()
        self._reconnect = Reconnect(self._settings.redial)
        self._candidates: list[IceCandidate] = []
        self._negotiating: Peer | None = None
        self._batch: asyncio.TimerHandle | None = None
        self._redialing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()
        self._server_pc_id: str | None = None
        self.on_redialing: Callable[[CloseReason], object] | None = None
        "Called when the peer is lost, or replaced on purpose, and a new one is dialed for."
        self.on_refused: Callable[[Exception], object] | None = None
        "Called with what went wrong each time that dialing again failed."
        self.last_refusal: Exception | None = None
        self.signalling_seconds: float | None = None
        "How long the last exchange of offer and answer took."
        self.connection = SmallWebRTCConnection(
            self._options.ice_servers,
            self._options.connect_timeout,
            ice_transport_policy=self._options.ice_transport_policy,
            ice=self._options.ice,
            role=Role.OFFER,
            settings=self._settings,
        )
        self.connection.dialing = self
        self.connection.on_ended = self._ended

    async def dial(self) -> SmallWebRTCConnection:
        """Call; returns the connection when its peer is connected.

        Raises `CouldNotConnect` (or a kind of it, or the `RequestError` of an in-process exchange) when the offer is
        refused, and `NoConnection`, which has a diagnosis, when no connection comes up; nothing is left then.
        """
        try:
            await self._negotiate(restart=False)
            await self._wait_connected()
        except BaseException:
            await self.connection.close(CloseReason.CLIENT_ENDED)
            raise
        return self.connection

    async def _wait_connected(self) -> None:
        connection = self.connection
        await connection.wait_for(lambda: connection.state not in (State.NEW, State.CONNECTING))
        if connection.state is not State.CLOSED:
            return
        diagnosis, timeout = connection.diagnosis(), self._options.connect_timeout
        match connection.close_reason:
            case CloseReason.PEER_CLOSED | CloseReason.PEER_LEFT:
                raise CouldNotConnect("the server closed the connection before it was up")
            case CloseReason.DTLS_ERROR if diagnosis is not None:
                raise NoConnection("no connection", diagnosis)
            case CloseReason.CONNECT_TIMEOUT if diagnosis is not None:
                raise NoConnection(f"no candidate pair connected within {timeout:g} s", diagnosis)
            case CloseReason.ICE_TIMEOUT if diagnosis is not None:
                raise NoConnection("no candidate pair works", diagnosis)
        raise CouldNotConnect(f"the connection ended before it was up ({connection.close_reason})")

    # Offers

    async def _negotiate(self, *, restart: bool) -> None:
        """Connect a new peer: the first one, or one in the place of a peer that is lost."""
        async with self._lock:
            self._candidates.clear()
            peer = self._negotiating = self.connection.new_peer(trickles=not self._options.wait_for_ice_gathering)
            try:
                answer = await self._exchange_offer(peer, restart=restart)
                await peer.accept(answer["sdp"])
                if self.connection.state is State.CLOSED:
                    raise ConnectionEnded("the call was given up before it was up")
            except BaseException:
                await peer.close()
                raise
            finally:
                self._negotiating = None
            self._use_id(answer)
            self.connection.adopt(peer)
            self._send_candidates_soon()

    async def _exchange_offer(self, peer: Peer, *, restart: bool) -> Answer:
        loop = asyncio.get_running_loop()
        sdp = await peer.offer(self._options.media)
        request = SmallWebRTCRequest(sdp, "offer", self._server_pc_id, restart, request_data=self._options.request_data)
        started = loop.time()
        answer = await self._exchange.offer(request)
        self.signalling_seconds = loop.time() - started
        return answer

    def _use_id(self, answer: Answer) -> None:
        self._server_pc_id = self.connection.pc_id = answer["pc_id"]

    def renegotiate(self) -> None:
        """The server wants a new offer on the same peer connection."""
        self._own(self._renegotiate())

    async def _renegotiate(self) -> None:
        async with self._lock:
            peer = self.connection.peer
            try:
                answer = await self._exchange_offer(peer, restart=False)
                await peer.accept(answer["sdp"])
            except (CouldNotConnect, RequestError) as error:
                logger.warning("the server asked to renegotiate, and then: %s", error)
                return
            self._use_id(answer)
            self._send_candidates_soon()

    # Back again

    def restart(self) -> None:
        """Dial again on purpose, with `restart_pc`, while the present peer still serves."""
        self.redial(CloseReason.CLIENT_ENDED)

    def redial(self, reason: CloseReason) -> None:
        """The peer is lost: get another one, if that is not under way already."""
        if not self.is_redialing():
            logger.info("dialing again: %s", reason)
            self.last_refusal = None
            if reason is CloseReason.CLIENT_ENDED:
                self._reconnect.wanted()
            if self.on_redialing is not None:
                self.on_redialing(reason)
            self._redialing = asyncio.create_task(self._redial())

    def is_redialing(self) -> bool:
        """Whether a new peer connection is under way."""
        return self._redialing is not None and not self._redialing.done()

    async def _redial(self) -> None:
        try:
            while (delay := self._reconnect.next_delay()) is not None:
                await asyncio.sleep(delay)
                came_back = delay > 0 and self.connection.state is State.CONNECTED
                if came_back or await self._try_again():
                    self._reconnect.succeeded()
                    return
        except Exception:
            logger.exception("dialing again failed")
        await self.connection.close(CloseReason.REDIAL_FAILED)

    async def _try_again(self) -> bool:
        try:
            await self._negotiate(restart=True)
        except (ConnectionEnded, CouldNotConnect, RequestError) as error:
            self._note_refusal(error)
            if isinstance(error, OfferRefused) and 400 <= error.status < 500:
                self._reconnect.give_up()
            return False
        await self.connection.wait_for(lambda: self.connection.state is not State.CONNECTING)
        return self.connection.state is not State.LOST

    def _note_refusal(self, error: Exception) -> None:
        self.last_refusal = error
        if self.on_refused is None:
            logger.warning("dialing again failed: %s", error)
        else:
            self.on_refused(error)

    # Candidates

    def candidate_found(self, peer: Peer, candidate: Candidate | None) -> None:
        """Keep a candidate that came after the offer for the next batch; None ends them."""
        if peer is not self._negotiating and peer is not self.connection.current_peer:
            return
        if candidate is None:
            self._candidates += [IceCandidate("", mid, index) for index, mid in enumerate(peer.mids)]
        else:
            self._candidates.append(IceCandidate(f"candidate:{candidate.to_sdp()}", peer.mids[0]))
        if peer is self.connection.current_peer:
            self._send_candidates_soon()

    def _send_candidates_soon(self) -> None:
        if self._candidates and self._batch is None and self.connection.state is not State.CLOSED:
            loop = asyncio.get_running_loop()
            self._batch = loop.call_later(self._settings.ice.batch, self._send_batch)

    def _send_batch(self) -> None:
        self._batch = None
        batch, self._candidates = self._candidates, []
        if batch and self._server_pc_id is not None:
            self._own(self._send_candidates(SmallWebRTCPatchRequest(self._server_pc_id, batch)))

    async def _send_candidates(self, request: SmallWebRTCPatchRequest) -> None:
        try:
            await self._exchange.candidates(request)
        except (CouldNotConnect, RequestError) as error:
            logger.warning("the server did not take our candidates: %s", error)

    # Tasks

    def _own(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _ended(self) -> None:
        if self._batch is not None:
            self._batch.cancel()
        for task in (*self._tasks, self._redialing):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
