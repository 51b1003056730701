"""One peer connection, from its session description to its close.

A peer answers an offer or makes one, tells its listener what happens, and closes without leaving anything behind.
It knows nothing of bots, sessions or reconnects: a conversation may go through several peers.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aioice import Candidate
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.sdp import candidate_from_sdp

from smallrtc_cli.config import Settings
from smallrtc_cli.errors import BadRequest, CouldNotConnect, MessageTooLarge, UnusableAnswer, UsageError
from smallrtc_cli.protocol.candidates import parse_candidate
from smallrtc_cli.protocol.packet_sizes import CAUTIOUS_MTU, Layers
from smallrtc_cli.protocol.rewriting import (
    with_opus,
    without_bad_candidates,
    without_end_of_candidates,
    without_local_names,
)
from smallrtc_cli.protocol.sdp import check_offer, max_message_size
from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.protocol.signalling import IceCandidate
from smallrtc_cli.rtc import aiortc_audio, aiortc_internals
from smallrtc_cli.rtc.aiortc_descriptions import DescribedPeerConnection
from smallrtc_cli.rtc.channel_path import ChannelPath
from smallrtc_cli.rtc.ice import IceAgent, IceOptions
from smallrtc_cli.rtc.path import PathReport
from smallrtc_cli.rtc.peer_sound import OFFERED, PeerSound
from smallrtc_cli.rtc.slot import Slot

logger = logging.getLogger(__name__)

AUDIO_TRANSCEIVER_INDEX = 0
VIDEO_TRANSCEIVER_INDEX = 1
SCREEN_VIDEO_TRANSCEIVER_INDEX = 2

CHANNEL_LABEL = "chat"
"As Pipecat's JavaScript client names it; servers accept any."

_HEAD_START = 0.005
"Seconds that the data channel gets to open before anything is sent; on one quiet machine it takes 3 to 5 ms."


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """What the dialing side offers."""

    video: bool = True
    "Offer camera and screen beside the microphone, as browsers do."

    audio_codec: str | None = None
    video_codec: str | None = None
    "Offer only this codec, such as `PCMU` or `H264`."


@dataclass(slots=True)
class Stages:
    """When a connection got how far, in loop time; None: not yet."""

    started: float
    described: float | None = None
    "Both descriptions are known."
    ice: float | None = None
    connected: float | None = None
    "DTLS is up."
    channel: float | None = None


class PeerListener(Protocol):
    """Who is told what happens to a peer."""

    def peer_connected(self, peer: "Peer") -> None: ...
    def peer_failed(self, peer: "Peer", reason: CloseReason) -> None: ...
    def peer_closed(self, peer: "Peer") -> None: ...
    def channel_opened(self, peer: "Peer") -> None: ...
    def channel_closed(self, peer: "Peer") -> None: ...
    def message_received(self, peer: "Peer", payload: str | bytes) -> None: ...
    def track_started(self, peer: "Peer", index: int) -> None: ...
    def candidate_found(self, peer: "Peer", candidate: Candidate | None) -> None: ...
    def path_found(self, peer: "Peer", report: PathReport) -> None: ...
    def channel_stalled(self, peer: "Peer", sentence: str) -> None: ...
    def channel_flows(self, peer: "Peer") -> None: ...


def _ignored(*_: Any, **__: Any) -> None:
    """Nothing is to be done."""


class _Nobody:
    """Is told what happens to a peer that is closed."""

    peer_connected = peer_failed = peer_closed = staticmethod(_ignored)
    channel_opened = channel_closed = channel_stalled = channel_flows = staticmethod(_ignored)
    message_received = track_started = candidate_found = path_found = staticmethod(_ignored)


@dataclass(slots=True)
class ChannelCounts:
    """What went over the data channels of one peer connection; bytes of the messages alone."""

    opened: int = 0
    closed: int = 0
    messages_sent: int = 0
    bytes_sent: int = 0
    messages_received: int = 0
    bytes_received: int = 0


@dataclass(slots=True)
class _Trickle:
    """What the remote side has said of its candidates."""

    ended: set[str] = field(default_factory=set)
    refused: int = 0


class Peer:
    """One `RTCPeerConnection` and all that hangs on it."""

    def __init__(
        self,
        listener: PeerListener,
        slots: Mapping[int, Slot],
        ice: IceOptions,
        settings: Settings,
        *,
        trickles: bool = False,
    ) -> None:
        """With `trickles`, an offer does not wait for STUN and TURN servers."""
        self._listener, self._slots, self._ice, self._settings = listener, slots, ice, settings
        self._trickles = trickles
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self.pc = DescribedPeerConnection(configuration, self._make_agent)
        self.stages = Stages(asyncio.get_running_loop().time())
        self.counts = ChannelCounts()
        self._channel: RTCDataChannel | None = None
        self._max_message_size = 0
        self._remote = _Trickle()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._waiters: set[asyncio.Event] = set()
        self._opened = asyncio.Event()
        self._path: ChannelPath | None = None
        self.sound = PeerSound(settings)
        self._payload_limits: dict[int, Callable[[int], None]] = {}
        self.pc.on("connectionstatechange", self._connection_state_changed)
        self.pc.on("iceconnectionstatechange", self._ice_state_changed)
        self.pc.on("datachannel", self._use_channel)
        self.pc.on("track", self._track_started)

    def _make_agent(self) -> IceAgent:
        return IceAgent(
            self._ice.stun_servers,
            self._ice.turn_servers,
            relay_only=self._ice.relay_only,
            udp_ports=self._ice.udp_ports,
            interfaces=self._ice.interfaces,
            public_ip=self._ice.public_ip,
            settings=self._settings.ice,
            trickle=self._candidate_found if self._trickles else None,
        )

    # Descriptions

    async def answer(self, sdp: str) -> str:
        """Apply an offer, the first or a later one, and return the answer's SDP; raises `BadRequest`."""
        check_offer(sdp, self._settings.limits)
        readable, refused = without_bad_candidates(sdp)
        self._remote.refused += refused
        addressed, local_names = without_local_names(readable)
        offered = without_end_of_candidates(addressed) if local_names else addressed
        await self._apply(offered, "offer", BadRequest)
        self.force_directions()
        for index, transceiver in enumerate(self.pc.getTransceivers()):
            self._attach(index, transceiver)
        try:
            await self.pc.setLocalDescription(await self.pc.createAnswer())
        except Exception as error:
            raise BadRequest(f"the offer cannot be answered: {error or type(error).__name__}") from error
        self._require_candidates()
        self._described(sdp)
        for line in local_names:
            self.add_candidate(IceCandidate(line))
        if offered != addressed:
            self.end_candidates()
        return with_opus(str(self.pc.localDescription.sdp), self.sound.answered)

    async def offer(self, media: MediaOptions) -> str:
        """Make an offer, the first or a later one, and return its SDP."""
        if not self.pc.getTransceivers():
            self._add_sections(media)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        self._require_candidates()
        sdp = with_opus(str(self.pc.localDescription.sdp), OFFERED)
        agent = self.agent
        return without_end_of_candidates(sdp) if agent and agent.trickling else sdp

    async def accept(self, sdp: str) -> None:
        """Apply the answer to our offer; raises `UnusableAnswer`."""
        await self._apply(sdp, "answer", UnusableAnswer)
        self._described(sdp)

    async def _apply(self, sdp: str, kind: str, error_class: type[BadRequest] | type[UnusableAnswer]) -> None:
        try:
            await self.pc.setRemoteDescription(RTCSessionDescription(sdp=sdp, type=kind))
        except Exception as error:
            logger.debug("refused %s", kind, exc_info=True)
            raise error_class(f"the {kind} cannot be used: {error or type(error).__name__}") from error

    def force_directions(self) -> None:
        """Send and receive on the first two transceivers, only receive on others (a shared screen)."""
        for index, transceiver in enumerate(self.pc.getTransceivers()):
            transceiver.direction = "sendrecv" if index <= VIDEO_TRANSCEIVER_INDEX else "recvonly"

    def _described(self, remote: str) -> None:
        self._max_message_size = max_message_size(remote)
        self.sound.obey(remote)
        self._limit_payloads()
        if self.stages.described is None:
            self.stages.described = asyncio.get_running_loop().time()

    def _add_sections(self, media: MediaOptions) -> None:
        directions = {AUDIO_TRANSCEIVER_INDEX: ("audio", "sendrecv")}
        if media.video:
            directions[VIDEO_TRANSCEIVER_INDEX] = ("video", "sendrecv")
            directions[SCREEN_VIDEO_TRANSCEIVER_INDEX] = ("video", "sendonly")
        for index, (kind, direction) in directions.items():
            transceiver = self.pc.addTransceiver(kind, direction)
            codec = media.audio_codec if kind == "audio" else media.video_codec
            if codec is not None:
                transceiver.setCodecPreferences(_only(kind, codec))
            self._attach(index, transceiver)
        self._use_channel(self.pc.createDataChannel(CHANNEL_LABEL, ordered=True))

    def _attach(self, index: int, transceiver: RTCRtpTransceiver) -> None:
        slot = self._slots.get(index)
        if slot is None or slot.kind != transceiver.kind or transceiver.sender.track is not None:
            return
        if slot.kind == "audio":
            self.sound.send(transceiver, slot)
        else:
            transceiver.sender.replaceTrack(slot.track())
        aiortc_audio.send_after(transceiver.sender, self._channel_first)

    async def _channel_first(self) -> None:
        """The channel opens by a few short packets, the first sound is a millisecond of work: that comes behind them.

        Where the path is so long that they take their time, sound does not wait for them.
        """
        if self.channel_is_coming:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HEAD_START):
                    await self._opened.wait()

    # Candidates

    @property
    def agent(self) -> IceAgent | None:
        agent = aiortc_internals.ice_agent(self.pc)
        return agent if isinstance(agent, IceAgent) else None

    def _require_candidates(self) -> None:
        agent = self.agent
        if agent is None or agent.local_candidates:
            return
        reasons = "; ".join(f"{url}: {reason}" for url, reason in agent.server_errors.items())
        if self._ice.relay_only:
            raise CouldNotConnect(
                f"no TURN server gave a relay ({reasons or 'none answered'})",
                hint="relay only needs a `turn:` server with a user name and a credential that are right",
            )
        local = "; ".join(f"{address}: {reason}" for address, reason in agent.host_errors.items())
        raise CouldNotConnect(
            f"no network interface could be used for a candidate{f' ({local})' if local else ''}",
            hint="is `--udp-ports` wide enough, one port for each session, and `--interface` still there?",
        )

    def add_candidate(self, candidate: IceCandidate) -> bool:
        """Feed a trickled candidate of any m-line to the one bundled transport; False for one that is none."""
        dtls = aiortc_internals.dtls_transport(self.pc)
        if dtls is None or self._closing is not None:
            return False
        if not candidate.candidate:
            return self._end_of_candidates(candidate.sdp_mid)
        if parse_candidate(candidate.candidate) is None:
            self._remote.refused += 1
            return False
        parsed = candidate_from_sdp(candidate.candidate.removeprefix("a=").removeprefix("candidate:"))
        parsed.sdpMid = candidate.sdp_mid
        self._own(dtls.transport.addRemoteCandidate(parsed))
        return True

    def _end_of_candidates(self, mid: str) -> bool:
        """Candidates are over when they are for every m-line: a browser marks each by itself."""
        self._remote.ended.add(mid)
        sections = len(self.pc.getTransceivers()) + (self.pc.sctp is not None)
        return len(self._remote.ended) < sections or self.end_candidates()

    def end_candidates(self) -> bool:
        """No more remote candidates will come, of any m-line."""
        dtls = aiortc_internals.dtls_transport(self.pc)
        if dtls is None or self._closing is not None:
            return False
        self._own(dtls.transport.addRemoteCandidate(None))
        return True

    @property
    def candidates_refused(self) -> int:
        return self._remote.refused

    def _candidate_found(self, candidate: Candidate | None) -> None:
        if self._closing is None:
            self._listener.candidate_found(self, candidate)

    def _own(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Tracks

    def transceiver(self, index: int) -> RTCRtpTransceiver | None:
        """The transceiver of that place: 0 microphone, 1 camera, 2 screen."""
        transceivers = self.pc.getTransceivers()
        return transceivers[index] if index < len(transceivers) else None

    def receiver(self, index: int) -> RTCRtpReceiver | None:
        """The receiver of that place, if its track has been negotiated."""
        transceiver = self.transceiver(index)
        return transceiver.receiver if transceiver and transceiver.receiver.track else None

    def _track_started(self, track: Any) -> None:
        for index, transceiver in enumerate(self.pc.getTransceivers()):
            if transceiver.receiver.track is track:
                if transceiver.kind == "audio":
                    self._play(index, transceiver.receiver)
                self._listener.track_started(self, index)

    def _play(self, index: int, receiver: RTCRtpReceiver) -> None:
        agent, dtls = self.agent, aiortc_internals.dtls_transport(self.pc)
        if agent is not None and dtls is not None:
            agent.take_media = self.sound.play(index, receiver, dtls)

    async def request_keyframes(self) -> None:
        """Ask for a picture that needs no earlier one, on every video track."""
        for transceiver in self.pc.getTransceivers():
            if transceiver.kind == "video":
                await aiortc_internals.request_keyframe(transceiver.receiver)

    def _limit_payloads(self) -> None:
        """Video, too, leaves in packets that fit: the cautious size, until the path is known."""
        cautious = Layers(family=6, relay="udp").video_payload(CAUTIOUS_MTU)
        for index, transceiver in enumerate(self.pc.getTransceivers()):
            if transceiver.kind == "video" and index not in self._payload_limits:
                change = aiortc_internals.limit_payload(transceiver, cautious)
                if change is not None:
                    self._payload_limits[index] = change

    # The path

    @property
    def path(self) -> ChannelPath | None:
        """What the data channel's packets obey; None before a channel was open, and after the end."""
        return self._path

    def path_found(self, report: PathReport) -> None:
        for change in self._payload_limits.values():
            if report.ip_packet is not None:
                change(report.layers.video_payload(report.ip_packet))
        self._listener.path_found(self, report)

    def stalled(self, sentence: str) -> None:
        self._listener.channel_stalled(self, sentence)

    def flowing(self) -> None:
        self._listener.channel_flows(self)

    def _see_path(self) -> None:
        agent, association = self.agent, self.pc.association
        if agent is None or association is None or self._closing is not None:
            return
        if self._path is None:
            self._path = ChannelPath(agent, association, self._settings.path_mtu, self, self._put)
        try:
            self._path.open()
        except OSError as error:
            logger.debug("the path was not looked at: %s", error)

    # The data channel

    def _use_channel(self, channel: RTCDataChannel) -> None:
        """Take a channel of any label; the newest one replaces those before."""
        self._channel = channel
        channel.on("message", self._message_received)
        channel.on("open", lambda: self._channel_opened(channel))
        channel.on("close", lambda: self._channel_closed(channel))
        if channel.readyState == "open":
            self._channel_opened(channel)

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if channel is not self._channel:
            return
        self.counts.opened += 1
        self._opened.set()
        if self.stages.channel is None:
            self.stages.channel = asyncio.get_running_loop().time()
        self._see_path()
        self._listener.channel_opened(self)

    @property
    def channel(self) -> RTCDataChannel | None:
        """The present data channel."""
        return self._channel

    def _message_received(self, payload: str | bytes) -> None:
        self.counts.messages_received += 1
        self.counts.bytes_received += _size(payload)
        self._listener.message_received(self, payload)

    def _channel_closed(self, channel: RTCDataChannel) -> None:
        self.counts.closed += 1
        if channel is self._channel:
            self._channel = None
            self._wake_waiters()
            self._listener.channel_closed(self)

    def check_size(self, text: str) -> None:
        """Raise `MessageTooLarge` for a message that the remote side would not accept."""
        size, limit = len(text.encode()), self._max_message_size
        if limit and size > limit:
            raise MessageTooLarge(f"a message of {size} bytes is longer than the {limit} that the other side accepts")

    def send(self, text: str) -> None:
        """Put a text on the open channel; it is dropped when there is none."""
        if self._channel is not None and self._channel.readyState == "open":
            if self._path is not None:
                self._path.send(text)
            else:
                self._put(text)

    def _put(self, text: str) -> None:
        if self._channel is not None and self._channel.readyState == "open":
            self._channel.send(text)
            self.counts.messages_sent += 1
            self.counts.bytes_sent += _size(text)

    async def wait_writable(self) -> None:
        """Wait while more than the limit is not acknowledged."""
        limit = self._settings.limits.buffered
        if self.buffered > limit:
            await self._until_buffered(limit // 2)

    @property
    def buffered(self) -> int:
        """Bytes of messages that the other side has not acknowledged."""
        held = self._path.held if self._path is not None else 0
        queued = self._channel.bufferedAmount if self._channel is not None else 0
        return held + queued + (self.pc.association.outstanding if self.pc.association is not None else 0)

    @property
    def is_idle(self) -> bool:
        """Whether the channel is open and all that was sent has been acknowledged."""
        return self._channel is not None and self._channel.readyState == "open" and not self.buffered

    async def _until_buffered(self, most: int) -> None:
        """Until no more than that is buffered, or the channel is gone."""
        association, reached = self.pc.association, asyncio.Event()
        if association is None or self._channel is None or self.buffered <= most:
            return
        stop = association.on_acknowledgement(lambda: reached.set() if self.buffered <= most else None)
        self._waiters.add(reached)
        try:
            await reached.wait()
        finally:
            stop()
            self._waiters.discard(reached)

    def _wake_waiters(self) -> None:
        """Nothing that waits for the channel can come to its end any more."""
        for waiter in self._waiters:
            waiter.set()

    @property
    def mids(self) -> list[str]:
        """The identifiers of all m-lines (RFC 5888)."""
        sections = [*self.pc.getTransceivers(), self.pc.sctp]
        return [section.mid for section in sections if section is not None and section.mid is not None]

    async def drain(self, timeout: float, longest: float = 0.0) -> bool:
        """Wait until everything sent has been acknowledged; False when that took longer than `timeout`.

        As long as something is acknowledged within each `timeout` it goes on, for `longest` seconds in all.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + longest
        if self._path is not None:
            self._path.release()
        while True:
            before = self.buffered
            try:
                async with asyncio.timeout(timeout):
                    await self._until_buffered(0)
            except TimeoutError:
                if self.buffered < before and loop.time() < end:
                    continue
                return False
            return self.buffered == 0

    # States

    def _ice_state_changed(self) -> None:
        if self.pc.iceConnectionState == "completed" and self.stages.ice is None:
            self.stages.ice = asyncio.get_running_loop().time()

    def _connection_state_changed(self) -> None:
        if self._closing is not None:
            return
        match self.pc.connectionState:
            case "connected":
                self.stages.connected = self.stages.connected or asyncio.get_running_loop().time()
                self._listener.peer_connected(self)
            case "failed":
                dtls = aiortc_internals.dtls_transport(self.pc)
                broken = dtls is not None and dtls.state == "failed"
                self._listener.peer_failed(self, CloseReason.DTLS_ERROR if broken else CloseReason.ICE_TIMEOUT)
            case "closed" if self.agent is not None and self.agent.path_lost:
                self._listener.peer_failed(self, CloseReason.ICE_TIMEOUT)
            case "closed":
                self._listener.peer_closed(self)

    @property
    def channel_is_coming(self) -> bool:
        """Whether a data channel was negotiated and has not been open yet."""
        return self.pc.sctp is not None and self.stages.channel is None

    @property
    def last_heard(self) -> float:
        """When the last packet came from the other side, in loop time."""
        agent = self.agent
        return agent.last_heard if agent else 0.0

    async def close(self) -> None:
        """Close everything; may be called again and by several, and takes a bounded time."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._wake_waiters()
        if self._path is not None:
            self._path.close()
        for task in self._tasks:
            task.cancel()
        self.sound.close()
        for transceiver in self.pc.getTransceivers():
            if transceiver.receiver.track is not None:
                aiortc_internals.end_track(transceiver.receiver.track)
        try:
            async with asyncio.timeout(self._settings.timing.close_timeout):
                await self.pc.close()
        except TimeoutError:
            logger.warning("a peer connection took longer than %s s to close", self._settings.timing.close_timeout)
            await self._release()
        except Exception:
            logger.debug("aiortc could not close what a description left half done", exc_info=True)
            await self._release()
        self._let_go()

    def _let_go(self) -> None:
        """Cut what leads back here, so that this goes with its last owner, and not with a garbage collection."""
        self._listener, self._path = _Nobody(), None
        if self._channel is not None:  # it was never open: aiortc keeps what waits for that
            self._channel.remove_all_listeners()
            self._channel = None

    async def _release(self) -> None:
        """Give back the sockets at least."""
        if self.agent is not None:
            await self.agent.close()


def _size(payload: str | bytes) -> int:
    return len(payload) if isinstance(payload, bytes) or payload.isascii() else len(payload.encode())


def _only(kind: str, name: str) -> list[Any]:
    """The codecs to offer when one is wanted: that one and its retransmission format."""
    codecs = RTCRtpSender.getCapabilities(kind).codecs
    chosen = [c for c in codecs if c.mimeType.partition("/")[2].lower() == name.lower()]
    if not chosen:
        known = ", ".join(sorted({c.mimeType.partition("/")[2] for c in codecs} - {"rtx"}))
        raise UsageError(f"there is no {kind} codec `{name}`", hint=f"choose one of {known}")
    return chosen + [c for c in codecs if c.mimeType.lower().endswith("/rtx")]
