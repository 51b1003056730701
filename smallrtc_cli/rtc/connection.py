"""One conversation with a client or a server: `SmallWebRTCConnection`.

It outlives its peer connections: a restart swaps the peer, and the connection, its tracks, its handlers and the bot
go on. All decisions are `protocol.session`'s; this is the shell that performs them, with one timer and one ordered
inbox. Names and events are those of Pipecat's `pipecat.transports.smallwebrtc.connection`; `lost` and `resumed` are
new, and `close_reason` says why it ended.
"""

import asyncio
import contextlib
import contextvars
import itertools
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from aioice import Candidate
from aiortc import MediaStreamTrack, RTCIceCandidate, RTCIceServer, RTCPeerConnection
from aiortc.sdp import candidate_to_sdp

from smallrtc_cli.config import Limits, Settings
from smallrtc_cli.errors import BadRequest, ConnectionEnded
from smallrtc_cli.protocol import session as effects
from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.protocol.messages import (
    SIGNALLING_TYPE,
    PathLoadMessage,
    PathReportMessage,
    PathRequestMessage,
    PeerLeftMessage,
    encode_app,
)
from smallrtc_cli.protocol.session import CloseReason, Effect, Role, Session, State
from smallrtc_cli.protocol.signalling import Answer, IceCandidate
from smallrtc_cli.rtc.diagnosis import Cause, Diagnosis, diagnose
from smallrtc_cli.rtc.events import H, Handler, Inbox
from smallrtc_cli.rtc.evidence import evidence
from smallrtc_cli.rtc.ice import IceOptions
from smallrtc_cli.rtc.path import PathReport
from smallrtc_cli.rtc.peer import (
    AUDIO_TRANSCEIVER_INDEX,
    SCREEN_VIDEO_TRANSCEIVER_INDEX,
    VIDEO_TRANSCEIVER_INDEX,
    Peer,
)
from smallrtc_cli.rtc.servers import servers
from smallrtc_cli.rtc.slot import Slot
from smallrtc_cli.rtc.tracks import FrameTap, SmallWebRTCTrack

__all__ = [
    "AUDIO_TRANSCEIVER_INDEX",
    "DATA_CHANNEL_TIMEOUT_SECS",
    "MAX_MESSAGE_QUEUE_SIZE",
    "SCREEN_VIDEO_TRANSCEIVER_INDEX",
    "SIGNALLING_TYPE",
    "VIDEO_TRANSCEIVER_INDEX",
    "IceServer",
    "SmallWebRTCConnection",
]

logger = logging.getLogger(__name__)

IceServer = RTCIceServer
MAX_MESSAGE_QUEUE_SIZE = Limits().outbox
DATA_CHANNEL_TIMEOUT_SECS = Settings().timing.channel_timeout

EVENTS = frozenset(
    {
        "app-message",
        "track-started",
        "track-ended",
        "track-status",
        "new",
        "connecting",
        "connected",
        "disconnected",
        "failed",
        "closed",
        "lost",
        "resumed",
        "path",
        "stalled",
        "flowing",
    }
)

_SOURCES = {
    AUDIO_TRANSCEIVER_INDEX: "microphone",
    VIDEO_TRANSCEIVER_INDEX: "camera",
    SCREEN_VIDEO_TRANSCEIVER_INDEX: "screen",
}
_FAILURES = {CloseReason.ICE_TIMEOUT, CloseReason.CONNECT_TIMEOUT, CloseReason.DTLS_ERROR}
_numbers = itertools.count()


class DialingSide(Protocol):
    """What a dialed connection asks for, and the answering side never does."""

    def renegotiate(self) -> None:
        """Make a new offer on the same peer connection."""

    def redial(self, reason: CloseReason) -> None:
        """Make a new peer connection."""

    def is_redialing(self) -> bool:
        """Whether a new peer connection is under way."""

    def candidate_found(self, peer: Peer, candidate: Candidate | None) -> None:
        """Tell the other side of a candidate that came after the offer."""


class SmallWebRTCConnection:
    """A conversation over WebRTC, answered or dialed.

    Events, by `event_handler(name)` or `add_event_handler(name, fn)`; the connection is a handler's first argument:
    `app-message` (message), `track-started` (track), `track-ended` (track), `track-status` (receiver_index, enabled),
    `new`, `connecting`, `connected`, `disconnected` (a restart: the answering side, which sends over the old peer
    until then, tells it with the `connected` of the new one), `failed`, `closed`; `lost`, `resumed` (nothing has been
    heard for a while; it came back); `path` (report: what the path was found to carry), `stalled` (sentence) and
    `flowing` (nothing of the data channel is acknowledged, though the other side lives; it is again). Handlers run one
    after the other, in order.
    """

    def __init__(
        self,
        ice_servers: Sequence[str] | Sequence[IceServer] | None = None,
        connection_timeout_secs: float | None = None,
        *,
        ice_transport_policy: str = "all",
        ice: IceOptions | None = None,
        role: Role = Role.ANSWER,
        settings: Settings | None = None,
    ) -> None:
        """`ice_servers` are all URLs or all `IceServer` (else `TypeError`); none means none, not a default server.

        `connection_timeout_secs` is 60 s if not given. With the `relay` policy nothing but a TURN server's relay is
        used. `ice` has what else can be said of ICE; the servers of both are used.
        """
        self.settings = _with_timeout(settings or Settings(), connection_timeout_secs)
        self.connection_timeout_secs = self.settings.timing.connect_timeout
        self.ice_servers = _ice_servers(ice_servers)
        self.role = role
        self.id = next(_numbers)
        self.name = f"{type(self).__name__}#{self.id}"
        self.pc_id = self._new_pc_id()
        self._ice = _ice_options(ice or IceOptions(), self.ice_servers, ice_transport_policy)
        self._session = Session(role, self.settings.timing, self.settings.limits)
        self._inbox = Inbox(self, EVENTS, self.settings.limits)
        self._slots = {
            AUDIO_TRANSCEIVER_INDEX: Slot("audio"),
            VIDEO_TRANSCEIVER_INDEX: Slot("video"),
            SCREEN_VIDEO_TRANSCEIVER_INDEX: Slot("video"),
        }
        self._tracks: dict[int, SmallWebRTCTrack] = {}
        self._restarting = False
        "Answering side: a restart has begun and `disconnected` is due, when the new peer takes over."
        self._peer: Peer | None = None
        self._retired: Peer | None = None
        self._answer: Answer | None = None
        self._negotiation = asyncio.Lock()
        self._changed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ending: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._diagnosis: Diagnosis | None = None
        self._heard: FrameTap | None = None
        self._sent: Callable[[Any], None] | None = None
        self._answering_path: asyncio.Task[None] | None = None
        self._far_path: asyncio.Future[PathReportMessage] | None = None
        self.dialing: DialingSide | None = None
        self.on_rekeyed: Callable[[str, str], None] | None = None
        "Called with the old and the new `pc_id` when a restart changes it."
        self.on_ended: Callable[[], object] | None = None
        "Called in the moment in which the conversation ends."
        self.on_released: Callable[[], object] | None = None
        "Called when all sockets and tasks of an ended conversation are gone, its handlers too."

    def __repr__(self) -> str:
        return f"<{self.name} {self._session.state}>"

    # Events

    def event_handler(self, event_name: str) -> Callable[[H], H]:
        """Decorate a function to be called as `handler(connection, *args)`."""
        return self._inbox.decorator(event_name)

    def add_event_handler(self, event_name: str, handler: Handler) -> None:
        """Call `handler(connection, *args)`; plain and coroutine functions both do."""
        self._inbox.add(event_name, handler)

    def remove_event_handler(self, event_name: str, handler: Handler) -> None:
        """Call a handler no more."""
        self._inbox.remove(event_name, handler)

    def run_handlers_in(self, context: contextvars.Context) -> None:
        """Have the handlers see the context variables of a bot's task, as if they were part of it."""
        self._inbox.context = context

    # Negotiation, answering side

    async def initialize(self, sdp: str, type: str) -> None:  # noqa: A002 - the documented name
        """Answer the first offer; `get_answer` has the result. Raises `BadRequest`; nothing is left then."""
        self._inbox.put("new")
        async with self._negotiation:
            await self._answer_with_new_peer(sdp, type)

    async def renegotiate(self, sdp: str, type: str, restart_pc: bool = False) -> None:  # noqa: A002
        """Answer a later offer: in place, or with a new peer connection and a new `pc_id`.

        One at a time. The old peer connection goes when the new one is complete.
        """
        async with self._negotiation:
            self._require_open()
            if restart_pc or self._peer is None:
                await self._answer_with_new_peer(sdp, type)
            else:
                _check_type(type)
                answer = await self._peer.answer(sdp)
                self._require_open()
                self._set_answer(answer)
            self._session.renegotiated(self._now())

    def _require_open(self) -> None:
        """The conversation may end at any await: nothing is negotiated for one that has."""
        if self._session.state is State.CLOSED:
            raise ConnectionEnded(f"{self.name} is closed")

    async def _answer_with_new_peer(self, sdp: str, type: str) -> None:  # noqa: A002
        _check_type(type)
        peer = self.new_peer()
        try:
            answer = await peer.answer(sdp)
            self._require_open()
        except BaseException:
            await peer.close()
            raise
        if self._peer is not None:
            old, self.pc_id = self.pc_id, self._new_pc_id()
            if self.on_rekeyed is not None:
                self.on_rekeyed(old, self.pc_id)
        self.adopt(peer)
        self._set_answer(answer)

    def _set_answer(self, sdp: str) -> None:
        self._answer = {"sdp": sdp, "type": "answer", "pc_id": self.pc_id}

    def get_answer(self) -> Answer | None:
        """The answer to the last offer: `sdp`, `type`, `pc_id`; None before there is one."""
        return self._answer

    def new_peer(self, *, trickles: bool = False) -> Peer:
        """A peer for this conversation, which `adopt` puts in the place of the present one."""
        return Peer(self, self._slots, self._ice, self.settings, trickles=trickles)

    def adopt(self, peer: Peer) -> None:
        """Go on over a new peer; the old one serves until the new one is connected, and is closed then."""
        if self._retired is not None:
            self._own(self._retired.close())
        self._retired, self._peer = self._peer, peer
        for track in self._tracks.values():
            track.stop()
            self._inbox.put("track-ended", track)
        self._tracks.clear()
        self._perform(self._session.negotiating(self._now()))
        for index in _SOURCES:
            self.track_started(peer, index)
        self._tell_changed()

    async def _release_retired(self) -> None:
        """What is under way on the old peer still arrives, in both directions."""
        old = self._retired
        if old is None:
            return
        await old.drain(self.settings.timing.drain_timeout)
        await old.close()
        if self._retired is old:
            self._retired = None

    async def add_ice_candidate(self, candidate: IceCandidate | RTCIceCandidate | None) -> bool:
        """Add a remote candidate; False for one that cannot be used, which is counted and changes nothing.

        Takes an `IceCandidate`, aiortc's `RTCIceCandidate`, or None for the end of all candidates.
        """
        if self._peer is None:
            return False
        if candidate is None:
            return self._peer.end_candidates()
        if isinstance(candidate, RTCIceCandidate):
            line = candidate_to_sdp(candidate)
            candidate = IceCandidate(line, candidate.sdpMid or "0", candidate.sdpMLineIndex or 0)
        return self._peer.add_candidate(candidate)

    def force_transceivers_to_send_recv(self) -> None:
        """Set the directions that the protocol wants; done by itself with each answer."""
        if self._peer is not None:
            self._peer.force_directions()

    # The bot's side

    @property
    def pc(self) -> RTCPeerConnection:
        """The present aiortc peer connection; raises `ConnectionEnded` before there is one."""
        return self.peer.pc

    @property
    def current_peer(self) -> Peer | None:
        """The present peer, if there is one yet."""
        return self._peer

    @property
    def peer(self) -> Peer:
        """The present peer; raises `ConnectionEnded` before there is one."""
        if self._peer is None:
            raise ConnectionEnded(f"{self.name} has no peer connection yet")
        return self._peer

    @property
    def state(self) -> State:
        """Where the conversation is."""
        return self._session.state

    @property
    def close_reason(self) -> CloseReason | None:
        """Why the conversation ended; None while it goes on."""
        return self._session.close_reason

    def diagnosis(self) -> Diagnosis | None:
        """Why there is no connection: from `failed` or `closed` on, and at any time while it is connecting."""
        if self._diagnosis is None and self._session.state is State.CONNECTING and self._peer is not None:
            return diagnose(evidence(self._peer, self.role))
        return self._diagnosis

    @property
    def counters(self) -> Mapping[str, int]:
        """What was dropped or refused so far."""
        return {
            **self._session.counters(),
            "eventsDropped": self._inbox.dropped,
            "candidatesRefused": self._peer.candidates_refused if self._peer else 0,
            "framesDropped": sum(track.frames_dropped for track in self._tracks.values()),
        }

    def is_connected(self) -> bool:
        """Whether the bot has joined (`connect`) and the other side is there.

        A late ping changes nothing, nor does a client that replaces its peer connection: what is said meanwhile waits.
        """
        return self._session.is_connected() or (self._restarting and self._session.state is State.CONNECTING)

    async def connect(self) -> None:
        """The bot is ready: `connected` fires as soon as the peer is, messages that waited are delivered."""
        self._perform(self._session.join())

    async def disconnect(self) -> None:
        """End the conversation: an answering side says `peerLeft` first."""
        if self.role is Role.ANSWER:
            await self.close(CloseReason.BOT_ENDED, farewell=True)
        else:
            await self.close(CloseReason.CLIENT_ENDED)

    async def close(self, reason: CloseReason = CloseReason.BOT_ENDED, *, farewell: bool = False) -> None:
        """End the conversation, sent messages first; idempotent, bounded, and nothing is left behind.

        With `farewell` the client is told (`peerLeft`). Where it is just connecting, that and what waits to be sent go
        out as soon as it has. Handlers may still run then; `settled` waits for them.
        """
        if self._ending is None:
            too_early = (farewell or self._session.has_unsent) and self._channel_may_open()
            if not too_early:
                self._conclude(reason, farewell=farewell)
            self._ending = asyncio.create_task(self._end(reason, farewell=farewell, too_early=too_early))
        await asyncio.shield(self._ending)

    async def settled(self) -> None:
        """Return when an ended conversation's handlers are done, or were given up; not to be awaited in one."""
        if self._ending is not None:
            await asyncio.shield(self._ending)
        if self._settling is not None:
            await asyncio.shield(self._settling)

    def _conclude(self, reason: CloseReason, *, farewell: bool) -> None:
        if farewell:
            self._perform(self._session.send_signalling(PeerLeftMessage()))
        for track in self._tracks.values():
            self._inbox.put("track-ended", track)
        self._perform(self._session.close(reason))
        if self.on_ended is not None:
            self.on_ended()

    async def cleanup(self) -> None:
        """Pipecat's name for `close`."""
        await self.close()

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return when a condition on this connection's state holds; looked at whenever that changes."""
        while not condition():
            await self._changed.wait()

    async def wait_closed(self) -> None:
        """Return when the conversation has ended."""
        await self.wait_for(lambda: self._session.state is State.CLOSED)

    async def wait_writable(self) -> None:
        """Return when messages can be sent without piling up or being dropped, or when all is over."""
        if not self._session.channel_open or self._peer is None or not self._peer.is_idle:
            await asyncio.sleep(0)  # a bot that sends without end shares the loop
        await self.wait_for(lambda: not self._session.is_full)
        while self._session.state is not State.CLOSED and self._peer is not None:
            peer = self._peer
            await peer.wait_writable()
            if peer is self._peer:
                return

    async def _end(self, reason: CloseReason, *, farewell: bool, too_early: bool) -> None:
        if too_early:
            await self._channel_open_or_late()
            self._conclude(reason, farewell=farewell)
        if self._timer is not None:
            self._timer.cancel()
        self._tell_changed()
        if self._peer is not None:
            await self._peer.drain(self.settings.timing.drain_timeout, self.settings.timing.drain_longest)
            await self._peer.close()
        if self._retired is not None:
            await self._retired.close()
        for track in self._tracks.values():
            track.stop()
        for slot in self._slots.values():
            slot.end()
        for task in self._tasks:
            task.cancel()
        self._settling = asyncio.create_task(self._settle())

    async def _settle(self) -> None:
        await self._inbox.finish(self.settings.timing.close_timeout)
        self._inbox.close()
        if self.on_released is not None:
            self.on_released()
        self.dialing = self.on_ended = self.on_released = None

    def _channel_may_open(self) -> bool:
        """Whether a client that could be told is just connecting."""
        alive = self._session.state in (State.CONNECTING, State.CONNECTED)
        return alive and self._peer is not None and self._peer.channel_is_coming

    async def _channel_open_or_late(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.timing.farewell_timeout):
                await self.wait_for(lambda: self._session.channel_open)

    # Messages

    def send_app_message(self, message: Any) -> None:
        """Send any JSON value; it waits, in order, until the channel is open.

        Raises `MessageTooLarge` above what the other side accepts. After the end it is dropped, and counted.
        """
        if self._peer is not None:
            self._peer.check_size(encode_app(message))
        self._perform(self._session.send_app(message))
        if self._sent is not None:
            self._sent(message)

    def ask_to_renegotiate(self) -> None:
        """Ask the client for a new offer on the same peer connection."""
        self._perform(self._session.ask_to_renegotiate(self._now()))

    def set_track_enabled(self, index: int, enabled: bool) -> None:
        """Dialing side: tell the server that a track (0 microphone, 1 camera, 2 screen) is on or off."""
        self._perform(self._session.set_enabled(index, enabled))

    def listen_in(self, heard: FrameTap, said: FrameTap, sent: Callable[[Any], None] | None = None) -> None:
        """Have a recording see the sound that the bot reads and plays, and the messages that it sends."""
        self._heard, self._sent = heard, sent
        self._slots[AUDIO_TRANSCEIVER_INDEX].tap = said
        if AUDIO_TRANSCEIVER_INDEX in self._tracks:
            self._tracks[AUDIO_TRANSCEIVER_INDEX].tap = heard

    # The path

    async def probe_path(self) -> PathReport:
        """See anew what the path carries from here to the other side; raises `ConnectionEnded`.

        The chunks of the data channel have that size from then on, unless the settings fix another one.
        """
        if self._peer is None or self._peer.path is None:
            raise ConnectionEnded(f"{self.name} has no data channel")
        return await self._peer.path.probe()

    async def far_path(self) -> PathReportMessage | None:
        """Ask the other side what the path carries from it to here; None when it does not say (it is not smallrtc)."""
        if self._far_path is None:
            self._far_path = asyncio.get_running_loop().create_future()
            self._perform(self._session.send_signalling(PathRequestMessage()))
        told = self._far_path
        try:
            async with asyncio.timeout(self.settings.path_mtu.far_side_timeout):
                return await asyncio.shield(told)
        except TimeoutError:
            return None
        finally:
            if self._far_path is told:
                self._far_path = None

    def send_load(self, size: int) -> None:
        """Send so many bytes and more to another smallrtc, which passes over them, to see how fast that goes."""
        self._perform(self._session.send_signalling(PathLoadMessage("x" * size)))

    def _path_told(self, message: PathReportMessage) -> None:
        if self._far_path is not None and not self._far_path.done():
            self._far_path.set_result(message)

    def _answer_path(self) -> None:
        """One question at a time; what comes meanwhile has the same answer."""
        if self._answering_path is None or self._answering_path.done():
            self._answering_path = asyncio.create_task(self._tell_path())
            self._tasks.add(self._answering_path)
            self._answering_path.add_done_callback(self._tasks.discard)

    async def _tell_path(self) -> None:
        try:
            report = await self.probe_path()
        except ConnectionEnded:
            return
        told = PathReportMessage(
            report.chunk, report.ip_packet, report.refused_ip_packet, str(report.limit), report.pieces_pass
        )
        self._perform(self._session.send_signalling(told))

    # Tracks

    def audio_input_track(self) -> SmallWebRTCTrack | None:
        """The client's microphone; None (with a warning) if none was negotiated."""
        return self.input_track(AUDIO_TRANSCEIVER_INDEX)

    def video_input_track(self) -> SmallWebRTCTrack | None:
        """The client's camera; None (with a warning) if none was negotiated."""
        return self.input_track(VIDEO_TRANSCEIVER_INDEX)

    def screen_video_input_track(self) -> SmallWebRTCTrack | None:
        """The client's screen; None (with a warning) if none was negotiated."""
        return self.input_track(SCREEN_VIDEO_TRANSCEIVER_INDEX)

    def input_track(self, index: int) -> SmallWebRTCTrack | None:
        """The track of a transceiver, the same object until a restart."""
        receiver = self._peer.receiver(index) if self._peer else None
        if receiver is None:
            logger.warning("%s: no %s was negotiated", self.name, _SOURCES[index])
            return None
        if index not in self._tracks:
            self._tracks[index] = SmallWebRTCTrack(
                receiver,
                partial(self._session.is_enabled, index),
                self.settings.inbound_audio,
                self.peer.sound.player(index),
            )
            if index == AUDIO_TRANSCEIVER_INDEX:
                self._tracks[index].tap = self._heard
        return self._tracks[index]

    @property
    def sends_stereo(self) -> bool:
        """Whether the other side says that its sound is stereo; a browser's microphone is mono."""
        return self._peer is not None and self._peer.sound.is_stereo

    @property
    def open_tracks(self) -> Mapping[int, SmallWebRTCTrack]:
        """The tracks that have been asked for, by transceiver."""
        return dict(self._tracks)

    async def next_audio_track(self, after: SmallWebRTCTrack | None) -> SmallWebRTCTrack | None:
        """The microphone's track, another one than `after`, as soon as there is one; None when all is over."""
        return await self.next_track(AUDIO_TRANSCEIVER_INDEX, after)

    async def next_track(self, index: int, after: SmallWebRTCTrack | None) -> SmallWebRTCTrack | None:
        """The track of a transceiver, another one than `after`, as soon as there is one; None when all is over."""

        def present() -> SmallWebRTCTrack | None:
            receiver = self._peer.receiver(index) if self._peer else None
            track = self.input_track(index) if receiver else None
            return None if track is after else track

        await self.wait_for(lambda: self._session.state is State.CLOSED or present() is not None)
        return None if self._session.state is State.CLOSED else present()

    def replace_audio_track(self, track: MediaStreamTrack | None) -> None:
        """Send this track's sound from now on, over restarts too."""
        self._slots[AUDIO_TRANSCEIVER_INDEX].replace(track)

    def replace_video_track(self, track: MediaStreamTrack | None) -> None:
        """Send this track's pictures from now on, over restarts too."""
        self._slots[VIDEO_TRANSCEIVER_INDEX].replace(track)

    def replace_screen_video_track(self, track: MediaStreamTrack | None) -> None:
        """Send this track's pictures as a shared screen from now on."""
        self._slots[SCREEN_VIDEO_TRANSCEIVER_INDEX].replace(track)

    # What the peer tells (PeerListener)

    def peer_connected(self, peer: Peer) -> None:
        if peer is self._peer:
            self._perform(self._session.peer_connected(self._now()))
            self._tell_changed()
            self._own(self._release_retired())

    def peer_failed(self, peer: Peer, reason: CloseReason) -> None:
        if peer is self._peer:
            self._perform(self._session.peer_failed(reason))

    def peer_closed(self, peer: Peer) -> None:
        # A server that restarts a peer connection closes the old one, some before they answer for the new one.
        if peer is self._peer and not (self.dialing is not None and self.dialing.is_redialing()):
            self._perform(self._session.peer_closed())

    def channel_opened(self, peer: Peer) -> None:
        if peer is self._peer:
            self._perform(self._session.channel_opened(self._now()))
            self._tell_changed()

    def channel_closed(self, peer: Peer) -> None:
        if peer is self._peer:
            self._session.channel_closed()

    def message_received(self, peer: Peer, payload: str | bytes) -> None:
        if peer is self._peer or peer is self._retired:
            self._perform(self._session.received(payload))

    def track_started(self, peer: Peer, index: int) -> None:
        if peer is self._peer and index in _SOURCES and peer.receiver(index):
            self._inbox.put("track-started", self.input_track(index))

    def candidate_found(self, peer: Peer, candidate: Candidate | None) -> None:
        if self.dialing is not None:
            self.dialing.candidate_found(peer, candidate)

    def path_found(self, peer: Peer, report: PathReport) -> None:
        if peer is self._peer:
            logger.debug("%s: %s", self.name, report)
            self._inbox.put("path", report)
            self._tell_changed()

    def channel_stalled(self, peer: Peer, sentence: str) -> None:
        if peer is self._peer:
            logger.warning("%s: the data channel is stalled: %s", self.name, sentence)
            self._inbox.put("stalled", sentence)

    def channel_flows(self, peer: Peer) -> None:
        if peer is self._peer:
            logger.info("%s: the data channel flows again", self.name)
            self._inbox.put("flowing")

    # The shell

    def _perform(self, todo: list[Effect]) -> None:
        self._set_timer()
        if todo:
            self._tell_changed()
        for effect in todo:
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case effects.Emit(event="disconnected") if self.role is Role.ANSWER:
                self._restarting = True
            case effects.Emit(event=event, args=args, size=size):
                if event == "connected" and self._restarting:
                    self._restarting = False
                    self._inbox.put("disconnected")
                self._inbox.put(event, *args, size=size)
            case effects.Send(text=text):
                self.peer.send(text)
            case effects.Report(sentence=sentence):
                logger.warning("%s: %s", self.name, sentence)
            case effects.AskConsent() | effects.RequestKeyframes() | effects.ReportPath() | effects.PathTold():
                self._converse(effect)
            case effects.Close(reason=reason):
                self._explain(reason)
                self._own(self.close(reason))
            case effects.Renegotiate() | effects.Redial():
                self._ask_dialer(effect)

    def _explain(self, reason: CloseReason) -> None:
        """Take down why it failed, while the peer still knows; said once for each peer connection that fails."""
        if reason not in _FAILURES or self._peer is None:
            return
        self._diagnosis = diagnose(evidence(self._peer, self.role))
        told_otherwise = self.role is Role.OFFER or self._diagnosis.cause is Cause.WENT_SILENT
        level = logging.INFO if told_otherwise else logging.WARNING
        logger.log(level, "%s: %s: %s", self.name, reason, self._diagnosis)

    def _ask_dialer(self, effect: effects.Renegotiate | effects.Redial) -> None:
        if self.dialing is None:
            raise ConnectionEnded(f"{self.name} was not dialed")
        if isinstance(effect, effects.Redial):
            self._explain(effect.reason)
            self.dialing.redial(effect.reason)
        else:
            self.dialing.renegotiate()

    def _converse(
        self, effect: effects.AskConsent | effects.RequestKeyframes | effects.ReportPath | effects.PathTold
    ) -> None:
        match effect:
            case effects.AskConsent():
                if self.peer.agent is not None:
                    self._own(self.peer.agent.ask_consent())
            case effects.RequestKeyframes():
                self._own(self.peer.request_keyframes())
            case effects.ReportPath():
                self._answer_path()
            case effects.PathTold(message=message):
                self._path_told(message)

    def _set_timer(self) -> None:
        deadline = self._session.deadline
        if self._timer is not None:
            if deadline == self._timer.when():
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        heard = self._peer.last_heard if self._peer is not None else 0.0
        self._perform(self._session.tick(self._now(), heard))

    def _own(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tell_changed(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _new_pc_id(self) -> str:
        return f"{self.name}-{uuid.uuid4().hex}"

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _check_type(kind: str) -> None:
    if kind != "offer":
        raise BadRequest(f"the description is of type `{kind}`, not `offer`")


def _with_timeout(settings: Settings, connect_timeout: float | None) -> Settings:
    if connect_timeout is None:
        return settings
    return replace(settings, timing=replace(settings.timing, connect_timeout=connect_timeout))


def _ice_servers(given: Sequence[str] | Sequence[IceServer] | None) -> list[IceServer]:
    entries: list[Any] = list(given or ())
    if all(isinstance(entry, str) for entry in entries):
        return [IceServer(urls=entry) for entry in entries]
    if all(isinstance(entry, IceServer) for entry in entries):
        return entries
    raise TypeError("ice_servers are all URLs or all IceServer objects")


def _ice_options(given: IceOptions, ice_servers: Sequence[IceServer], policy: str) -> IceOptions:
    if policy not in ("all", "relay"):
        raise ValueError(f"the ICE transport policy is `all` or `relay`, not `{policy}`")
    stun_servers, turn_servers = servers([_spec(server) for server in ice_servers])
    return replace(
        given,
        stun_servers=(*given.stun_servers, *stun_servers),
        turn_servers=(*given.turn_servers, *turn_servers),
        relay_only=given.relay_only or policy == "relay",
    )


def _spec(server: IceServer) -> IceServerSpec:
    urls = (server.urls,) if isinstance(server.urls, str) else tuple(server.urls)
    return IceServerSpec(urls, server.username, server.credential)
