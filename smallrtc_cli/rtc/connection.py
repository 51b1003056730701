"""One conversation with a client or a server, as a bot holds it: `SmallWebRTCConnection`.

It outlives its peer connections: a restart swaps the peer, and the connection, its tracks, its handlers and the bot
go on; how, is in `call`. Names and events are those of Pipecat's `pipecat.transports.smallwebrtc.connection`; `lost`
and `resumed` are new, and `close_reason` says why it ended.
"""

import asyncio
import contextvars
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiortc import MediaStreamTrack, RTCIceCandidate, RTCPeerConnection

from smallrtc_cli.config import Limits, Settings
from smallrtc_cli.protocol.messages import SIGNALLING_TYPE, PathLoadMessage, PathReportMessage, encode_app
from smallrtc_cli.protocol.session import CloseReason, Role, State
from smallrtc_cli.protocol.signalling import Answer, IceCandidate
from smallrtc_cli.rtc.answering import Answering, new_pc_id
from smallrtc_cli.rtc.call import Call
from smallrtc_cli.rtc.diagnosis import Diagnosis
from smallrtc_cli.rtc.events import H, Handler
from smallrtc_cli.rtc.ice import IceOptions
from smallrtc_cli.rtc.ice_servers import IceServer, ice_options, ice_server_list
from smallrtc_cli.rtc.media_sections import (
    AUDIO_TRANSCEIVER_INDEX,
    SCREEN_VIDEO_TRANSCEIVER_INDEX,
    VIDEO_TRANSCEIVER_INDEX,
    force_directions,
)
from smallrtc_cli.rtc.path import PathReport
from smallrtc_cli.rtc.peer_candidates import plain_candidate
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

MAX_MESSAGE_QUEUE_SIZE = Limits().outbox
DATA_CHANNEL_TIMEOUT_SECS = Settings().timing.channel_timeout


class SmallWebRTCConnection(Call):
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
        settings = settings or Settings()
        if connection_timeout_secs is not None:
            settings = replace(settings, timing=replace(settings.timing, connect_timeout=connection_timeout_secs))
        self.ice_servers = ice_server_list(ice_servers)
        super().__init__(role, settings, ice_options(ice or IceOptions(), self.ice_servers, ice_transport_policy))
        self.connection_timeout_secs = self.settings.timing.connect_timeout
        self.pc_id = new_pc_id(self.name)
        self.on_rekeyed: Callable[[str, str], None] | None = None
        "Called with the old and the new `pc_id` when a restart changes it."
        self._answering = Answering()
        self._sent: Callable[[Any], None] | None = None

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
        await self._answering.begin(self, sdp, type)

    async def renegotiate(self, sdp: str, type: str, restart_pc: bool = False) -> None:  # noqa: A002
        """Answer a later offer: in place, or with a new peer connection and a new `pc_id`.

        One at a time. The old peer connection goes when the new one is complete.
        """
        await self._answering.go_on(self, sdp, type, restart=restart_pc)
        self._session.renegotiated(self._now())

    def get_answer(self) -> Answer | None:
        """The answer to the last offer: `sdp`, `type`, `pc_id`; None before there is one."""
        return self._answering.answer

    async def add_ice_candidate(self, candidate: IceCandidate | RTCIceCandidate | None) -> bool:
        """Add a remote candidate; False for one that cannot be used, which is counted and changes nothing.

        Takes an `IceCandidate`, aiortc's `RTCIceCandidate`, or None for the end of all candidates.
        """
        if isinstance(candidate, RTCIceCandidate):
            candidate = plain_candidate(candidate)
        return self.current_peer is not None and self.current_peer.add_candidate(candidate)

    def force_transceivers_to_send_recv(self) -> None:
        """Set the directions that the protocol wants; done by itself with each answer."""
        if self.current_peer is not None:
            force_directions(self.current_peer.pc)

    # The bot's side

    @property
    def pc(self) -> RTCPeerConnection:
        """The present aiortc peer connection; raises `ConnectionEnded` before there is one."""
        return self.peer.pc

    def diagnosis(self) -> Diagnosis | None:
        """Why there is no connection: from `failed` or `closed` on, and at any time while it is connecting."""
        found, peer = self._verdict.diagnosis, self.current_peer
        if found is None and self.state is State.CONNECTING and peer is not None:
            return self._verdict.preview(peer)
        return found

    @property
    def counters(self) -> Mapping[str, int]:
        """What was dropped or refused so far."""
        return {
            **self._session.counters(),
            "eventsDropped": self._inbox.dropped,
            "candidatesRefused": self.current_peer.candidates_refused if self.current_peer else 0,
            "framesDropped": self._tracks.frames_dropped,
        }

    def is_connected(self) -> bool:
        """Whether the bot has joined (`connect`) and the other side is there.

        A late ping changes nothing, nor does a client that replaces its peer connection: what is said meanwhile waits.
        """
        return self._session.is_connected() or (self._restarting and self.state is State.CONNECTING)

    async def connect(self) -> None:
        """The bot is ready: `connected` fires as soon as the peer is, messages that waited are delivered."""
        self._perform(self._session.join())

    async def disconnect(self) -> None:
        """End the conversation: an answering side says `peerLeft` first."""
        answering = self.role is Role.ANSWER
        await self.close(CloseReason.BOT_ENDED if answering else CloseReason.CLIENT_ENDED, farewell=answering)

    async def cleanup(self) -> None:
        """Pipecat's name for `close`."""
        await self.close()

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return when a condition on this connection's state holds; looked at whenever that changes."""
        await self._changes.until(condition)

    async def wait_closed(self) -> None:
        """Return when the conversation has ended."""
        await self.wait_for(lambda: self.state is State.CLOSED)

    # Messages

    def send_app_message(self, message: Any) -> None:
        """Send any JSON value; it waits, in order, until the channel is open.

        Raises `MessageTooLarge` above what the other side accepts. After the end it is dropped, and counted.
        """
        if self.current_peer is not None:
            self.current_peer.messages.check_size(encode_app(message))
        self._perform(self._session.send_app(message))
        if self._sent is not None:
            self._sent(message)

    async def wait_writable(self) -> None:
        """Return when messages can be sent without piling up or being dropped, or when all is over."""
        peer = self.current_peer
        if not self._session.channel_open or peer is None or not peer.messages.is_idle:
            await asyncio.sleep(0)  # a bot that sends without end shares the loop
        await self.wait_for(lambda: not self._session.is_full)
        if self.state is not State.CLOSED:
            await self._peers.wait_writable()

    def ask_to_renegotiate(self) -> None:
        """Ask the client for a new offer on the same peer connection."""
        self._perform(self._session.ask_to_renegotiate(self._now()))

    def set_track_enabled(self, index: int, enabled: bool) -> None:
        """Dialing side: tell the server that a track (0 microphone, 1 camera, 2 screen) is on or off."""
        self._perform(self._session.set_enabled(index, enabled))

    # The path

    async def probe_path(self) -> PathReport:
        """See anew what the path carries from here to the other side; raises `ConnectionEnded`.

        The chunks of the data channel have that size from then on, unless the settings fix another one.
        """
        return await self._peers.probe_path()

    async def far_path(self) -> PathReportMessage | None:
        """Ask the other side what the path carries from it to here; None when it does not say (it is not smallrtc)."""
        return await self._path_talk.ask(self._say)

    def send_load(self, size: int) -> None:
        """Send so many bytes and more to another smallrtc, which passes over them, to see how fast that goes."""
        self._say(PathLoadMessage("x" * size))

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
        """The track of a transceiver, the same object until a restart; None (with a warning) if there is none."""
        return self._tracks.input(self.current_peer, index)

    @property
    def sends_stereo(self) -> bool:
        """Whether the other side says that its sound is stereo; a browser's microphone is mono."""
        return self.current_peer is not None and self.current_peer.sound.is_stereo

    @property
    def open_tracks(self) -> Mapping[int, SmallWebRTCTrack]:
        """The tracks that have been asked for, by transceiver."""
        return self._tracks.open

    async def next_audio_track(self, after: SmallWebRTCTrack | None) -> SmallWebRTCTrack | None:
        """The microphone's track, another one than `after`, as soon as there is one; None when all is over."""
        return await self.next_track(AUDIO_TRANSCEIVER_INDEX, after)

    async def next_track(self, index: int, after: SmallWebRTCTrack | None) -> SmallWebRTCTrack | None:
        """The track of a transceiver, another one than `after`, as soon as there is one; None when all is over."""

        def another() -> SmallWebRTCTrack | None:
            track = self._tracks.present(self.current_peer, index)
            return None if track is after else track

        await self.wait_for(lambda: self.state is State.CLOSED or another() is not None)
        return None if self.state is State.CLOSED else another()

    def listen_in(self, heard: FrameTap, said: FrameTap, sent: Callable[[Any], None] | None = None) -> None:
        """Have a recording see the sound that the bot reads and plays, and the messages that it sends."""
        self._tracks.listen_in(heard, said)
        self._sent = sent

    def replace_audio_track(self, track: MediaStreamTrack | None) -> None:
        """Send this track's sound from now on, over restarts too."""
        self._tracks.replace(AUDIO_TRANSCEIVER_INDEX, track)

    def replace_video_track(self, track: MediaStreamTrack | None) -> None:
        """Send this track's pictures from now on, over restarts too."""
        self._tracks.replace(VIDEO_TRANSCEIVER_INDEX, track)

    def replace_screen_video_track(self, track: MediaStreamTrack | None) -> None:
        """Send this track's pictures as a shared screen from now on."""
        self._tracks.replace(SCREEN_VIDEO_TRANSCEIVER_INDEX, track)
