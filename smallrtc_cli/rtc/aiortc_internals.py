"""Every private name of aiortc and aioice that we must touch, each behind a name of ours.

Nothing else in the package reaches into them. `tests/rtc/test_aiortc_internals.py` has one canary for each: when a
release of aiortc moves something, the test's name says what broke.
"""

import asyncio
import copy
import itertools
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final, cast

from aioice import Candidate, Connection
from aioice.ice import ICE_COMPLETED, CandidatePair, StunProtocol
from aioice.turn import TurnClientTcpProtocol, TurnTransport
from aiortc import (
    RTCIceTransport,
    RTCPeerConnection,
    RTCRtpCodecParameters,
    RTCRtpReceiver,
    RTCRtpTransceiver,
    RTCSctpTransport,
    rtcsctptransport,
)
from aiortc.codecs import get_encoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import (
    Chunk,
    DataChunk,
    ForwardTsnChunk,
    HeartbeatAckChunk,
    HeartbeatChunk,
    ReconfigChunk,
    SackChunk,
)
from aiortc.rtp import RtpPacket
from aiortc.stats import RTCTransportStats
from aiortc.utils import uint32_gt

from smallrtc_cli.protocol.packet_sizes import Layers, pad4


class IceConnection(Connection):
    """aioice's agent with its inner seams as methods, so that `ice.IceAgent` can be written in public names."""

    still_gathering = False
    "While True the agent does not fail for want of candidates: ours may still come."

    def _remote_candidates_expected(self) -> bool:
        return self.still_gathering or super()._remote_candidates_expected()

    def begin_gathering(self) -> bool:
        """Whether this is the first call; gathering happens once."""
        first = not self._local_candidates_start
        self._local_candidates_start = True
        return first

    def hosts_gathered(self) -> None:
        """From here on `connect` may start, and later candidates are trickled."""
        self._local_candidates_end = True

    def host_protocols(self) -> list[StunProtocol]:
        """The sockets of the host candidates."""
        return [p for p in self._protocols if p.local_candidate.type == "host"]

    def relay_protocols(self) -> list[StunProtocol]:
        """The allocations on TURN servers."""
        return [p for p in self._protocols if p.local_candidate.type == "relay"]

    def add_local_candidate(self, candidate: Candidate, protocol: StunProtocol | None = None) -> None:
        """Add a candidate; with a protocol of its own (a relay) it is paired with the remote candidates."""
        self._local_candidates.append(candidate)
        if protocol is not None:
            self._protocols.append(protocol)
            for remote in self._remote_candidates:
                self._pair_remote_candidate(remote)
            self.sort_check_list()

    def begin_checks(self) -> asyncio.Task[int]:
        """Form the pairs and answer the checks that came early; returns the outcome as a task."""
        for remote in self._remote_candidates:
            self._pair_remote_candidate(remote)
        self.sort_check_list()
        self._unfreeze_initial()
        for early in self._early_checks:
            self.check_incoming(*early)
        self._early_checks.clear()
        self._early_checks_done = True
        self.fail_if_exhausted()
        return asyncio.create_task(self._check_list_state.get())

    def start_next_check(self) -> bool:
        """Start the check that is next in order; whether there was one."""
        waiting = any(p.state in (p.State.WAITING, p.State.FROZEN) and p.task is None for p in self._check_list)
        return self._check_periodic() and waiting

    def fail_if_exhausted(self) -> None:
        """Give up if all pairs failed and no further candidate can come."""
        if self._early_checks_done:
            self._check_list_maybe_fail()

    def end_checks(self) -> None:
        """Cancel the checks that are still under way."""
        for pair in self._check_list:
            if pair.task:
                pair.task.cancel()

    def start_consent(self) -> None:
        """Keep asking for consent (RFC 7675), as aioice does once connected."""
        self._query_consent_task = asyncio.create_task(self.query_consent())

    def begin_closing(self) -> None:
        """From here on remote candidates and incoming checks are ignored."""
        self._closing = True

    def is_closing(self) -> bool:
        return self._closing

    def nominated_pair(self) -> Any:
        """The `CandidatePair` in use, or None."""
        return self._nominated.get(1)

    def pairs(self) -> list[Any]:
        """All candidate pairs, for a diagnosis."""
        return list(self._check_list)

    @staticmethod
    def succeeded(outcome: int) -> bool:
        return outcome == ICE_COMPLETED


def abandon_relay(protocol: StunProtocol) -> None:
    """Close the socket to a TURN server at once, with nothing left waiting for the server."""
    transport = cast(Any, protocol.transport)
    inner = transport._TurnTransport__inner_protocol
    tasks = {inner.refresh_task, transport._TurnTransport__close_task, *transport._TurnTransport__send_tasks}
    for task in tasks - {None}:
        task.cancel()
    inner.transport.abort()


class PeerConnection(RTCPeerConnection):
    """aiortc's peer connection with an ICE agent of our making."""

    def __init__(self, configuration: Any, agent: Callable[[], IceConnection]) -> None:
        self._new_agent = agent
        self.association: Association | None = None
        "What the data channels run over, once there is one."
        super().__init__(configuration)

    def _RTCPeerConnection__createDtlsTransport(self) -> RTCDtlsTransport:  # noqa: N802
        dtls: RTCDtlsTransport = super()._RTCPeerConnection__createDtlsTransport()  # type: ignore[misc]
        use_agent(dtls.transport, self._new_agent())
        return dtls

    def _RTCPeerConnection__createSctpTransport(self) -> None:  # noqa: N802
        super()._RTCPeerConnection__createSctpTransport()  # type: ignore[misc]
        self.association = Association(cast(RTCSctpTransport, self.sctp))


def use_agent(transport: RTCIceTransport, agent: IceConnection) -> None:
    """Put an agent in the place of the one that aiortc made; nothing has been gathered yet."""
    transport.iceGatherer._connection = agent
    transport._connection = agent
    transport._recv, transport._send = agent.recv, agent.send


def dtls_transport(pc: RTCPeerConnection) -> RTCDtlsTransport | None:
    """The one bundled DTLS transport, or None before there is a media section."""
    transceivers = pc.getTransceivers()
    if transceivers:
        return transceivers[0].receiver.transport
    return pc.sctp.transport if pc.sctp else None


def ice_agent(pc: RTCPeerConnection) -> IceConnection | None:
    """The agent behind the one bundled transport."""
    dtls = dtls_transport(pc)
    return cast(IceConnection, dtls.transport._connection) if dtls else None


@dataclass(frozen=True, slots=True)
class Security:
    """What a DTLS handshake came to, in OpenSSL's names; `version` is the two bytes on the wire."""

    version: int
    cipher: str
    profile: str
    role: str


def dtls_security(dtls: RTCDtlsTransport) -> Security | None:
    """How a connected transport is protected."""
    if dtls.state != "connected" or dtls._ssl is None:
        return None
    connection = dtls._ssl
    profile = connection.get_selected_srtp_profile().decode()
    return Security(connection.get_protocol_version(), connection.get_cipher_name() or "", profile, dtls._role)


def transport_stats(dtls: RTCDtlsTransport) -> RTCTransportStats:
    """What went over a transport."""
    (found,) = dtls._get_stats().values()
    return cast(RTCTransportStats, found)


def unacknowledged(sctp: RTCSctpTransport) -> int:
    """Messages and chunks that were handed over and not yet acknowledged."""
    return len(sctp._data_channel_queue) + len(sctp._outbound_queue) + len(sctp._sent_queue)


def unacknowledged_bytes(sctp: RTCSctpTransport) -> int:
    """How much was handed over and not yet acknowledged."""
    waiting = sum(len(user_data) for _, _, user_data in sctp._data_channel_queue)
    unsent = sum(len(chunk.user_data) for chunk in sctp._outbound_queue)
    return waiting + unsent + sum(len(chunk.user_data) for chunk in sctp._sent_queue if not chunk._acked)


def _resized(method: FunctionType, constants: dict[str, Any]) -> FunctionType:
    """The same function with module constants of its own: no copy of its code, and nobody else's are changed."""
    made = FunctionType(method.__code__, constants, method.__name__, method.__defaults__, method.__closure__)
    made.__kwdefaults__ = method.__kwdefaults__
    return made


class _Padded(Chunk):
    """A HEARTBEAT (RFC 9260 section 3.3.5) and a PAD chunk (RFC 4820) in one packet, in the place of a chunk."""

    def __init__(self, info: bytes, padding: int) -> None:
        super().__init__()
        self._heartbeat = HeartbeatChunk()
        self._heartbeat.params = [(_HEARTBEAT_INFO, info)]
        self._pad = struct.pack("!BBH", _PAD, 0, padding) + bytes(padding - 4)

    def __bytes__(self) -> bytes:
        return bytes(self._heartbeat) + self._pad


_HEARTBEAT_INFO: Final = 1
_PAD: Final = 0x84
HEARTBEAT_INFO_LENGTH: Final = 8
"With so many bytes a HEARTBEAT is as long as the header of a DATA chunk."

CAUTIOUS_CHUNK: Final = Layers(family=6, relay="udp").cautious_chunk
"Before the pair is known."

_EXTENSIONS_OF_AIORTC: Final = [ForwardTsnChunk.type, ReconfigChunk.type]
"What aiortc says in its INIT that it understands; no other stack says just that in that order."

_FRESH_THRESHOLD: Final = 1024 * 1024
"Bytes: aiortc begins with the window that the other side has announced, which is this in aiortc and Chromium."

_MOST_OVERHEAD: Final = 256
"More than any cipher of DTLS adds."

_SETTLED: Final = 1.0
"Seconds after which a packet has arrived, or never will."


@dataclass(frozen=True, slots=True, eq=False)
class _Message:
    """What was given to the association to send; its chunks hold on to it until they are acknowledged."""

    arguments: tuple[int, int, bytes]
    options: dict[str, Any]


class Association:
    """aiortc's SCTP association, with a chunk size of its own (aiortc's is one for the process), probes, and a way out
    for messages that were cut into chunks which the path does not carry.
    """

    SIZED: Final = ("_receive_sack_chunk", "_send", "_t3_expired", "_transmit")
    "The methods of aiortc that cut messages, or count in chunks."

    def __init__(self, sctp: RTCSctpTransport) -> None:
        self.sctp = sctp
        self._constants = dict(vars(rtcsctptransport))
        for name in self.SIZED:
            method = _resized(getattr(RTCSctpTransport, name), self._constants)
            setattr(sctp, name, method.__get__(sctp))
        self._acknowledged: list[Callable[[], None]] = []
        self.window: int | None = None
        "Bytes that the other side had room for, by the last acknowledgement that somebody listened to."
        self._send_sized = sctp._send
        cast(Any, sctp)._send = self._send
        self._sending: _Message | None = None
        self._constants["DataChunk"] = self._new_chunk
        self.chunk = CAUTIOUS_CHUNK

    @property
    def chunk(self) -> int:
        """The most user bytes in a chunk, from the next message on."""
        return cast(int, self._constants["USERDATA_MAX_LENGTH"])

    @chunk.setter
    def chunk(self, size: int) -> None:
        self._constants["USERDATA_MAX_LENGTH"] = size

    async def _send(self, stream_id: int, pp_id: int, user_data: bytes, **options: Any) -> None:
        self._sending = _Message((stream_id, pp_id, user_data), options)
        await self._send_sized(stream_id, pp_id, user_data, **options)

    def _new_chunk(self) -> DataChunk:
        """Stands for aiortc's class in its `_send`."""
        chunk = DataChunk()
        cast(Any, chunk).message = self._sending
        return chunk

    # What is on its way

    @property
    def acknowledged_up_to(self) -> int:
        """The number of the last chunk up to which the other side has everything."""
        return self.sctp._last_sacked_tsn

    @property
    def in_flight(self) -> list[int]:
        """User bytes of the chunks that were sent and not acknowledged, in order."""
        return [len(chunk.user_data) for chunk in self.sctp._sent_queue if not chunk._acked]

    def start_slowly(self) -> None:
        """Send as carefully as a fresh association (RFC 9260 section 7.2.1), whatever was learned of the path."""
        sctp = self.sctp
        sctp._cwnd, sctp._partial_bytes_acked = 3 * self.chunk, 0
        sctp._ssthresh = max(_FRESH_THRESHOLD, sctp._ssthresh or 0)

    def on_acknowledgement(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after each SACK chunk; returns how to stop it."""
        if not self._acknowledged:
            self._listen()
        self._acknowledged.append(callback)

        def stop() -> None:
            self._acknowledged.remove(callback)
            if not self._acknowledged:
                self.sctp._receive_sack_chunk = self._receive_sack  # type: ignore[method-assign]

        return stop

    def _listen(self) -> None:
        self._receive_sack = receive = self.sctp._receive_sack_chunk

        async def receive_and_tell(chunk: SackChunk) -> None:
            self.window = chunk.advertised_rwnd
            await receive(chunk)
            for callback in [*self._acknowledged]:
                callback()

        self.sctp._receive_sack_chunk = receive_and_tell  # type: ignore[method-assign]

    # Probes

    def probe(self, info: bytes, chunk: int) -> bytes:
        """The DTLS record of a packet as long as one with a DATA chunk, which the other side acknowledges with `info`.

        Raises `ConnectionError` when DTLS is not up (any more).
        """
        sctp, dtls = self.sctp, self.sctp.transport
        if dtls.state != "connected" or dtls._ssl is None or sctp._remote_port is None:
            raise ConnectionError("not connected")
        packet = rtcsctptransport.serialize_packet(
            sctp._local_port, sctp._remote_port, sctp._remote_verification_tag, _Padded(info, pad4(chunk))
        )
        dtls._ssl.send(packet)
        return bytes(dtls._ssl.bio_read(len(packet) + _MOST_OVERHEAD))

    def on_heartbeat_ack(self, callback: Callable[[bytes], None]) -> Callable[[], None]:
        """Call back with the info of each HEARTBEAT ACK; returns how to stop it. For one at a time."""
        receive = self.sctp._receive_chunk

        async def receive_and_tell(chunk: Chunk) -> None:
            if isinstance(chunk, HeartbeatAckChunk):
                for _, info in chunk.params[:1]:
                    callback(info)
            await receive(chunk)

        self.sctp._receive_chunk = receive_and_tell  # type: ignore[method-assign]
        return lambda: self.sctp.__dict__.pop("_receive_chunk", None)

    # What is stuck

    async def ask_for_sack(self) -> bool:
        """Have the other side say what it has, by a FORWARD TSN that moves nothing (RFC 3758 section 3.6)."""
        if not self.sctp._remote_partial_reliability:
            return False
        chunk = ForwardTsnChunk()
        chunk.cumulative_tsn = self.sctp._last_sacked_tsn
        await self.sctp._send_chunk(chunk)
        return True

    def can_recut(self) -> bool:
        """Whether the other side has nothing of what is unacknowledged, and nothing of it can still arrive.

        Its first chunk is longer than the present size, which the caller knows not to pass; the others are old.
        """
        sctp, sent = self.sctp, self.sctp._sent_queue
        if not sent or sctp._forward_tsn_chunk is not None or sctp._reconfig_request is not None:
            return False
        latest = time.time() - _SETTLED  # aiortc's own clock
        untouched = all(not c._acked and not c._abandoned and (c._sent_time or 0.0) < latest for c in sent)
        return untouched and len(sent[0].user_data) > self.chunk

    async def recut(self) -> None:
        """Cut all that is unacknowledged into chunks of the present size, numbered from the first of them on.

        RFC 9260 section 6.9 forbids that of chunks that the other side may have: `can_recut` says that it has none.
        """
        sctp = self.sctp
        old = [*sctp._sent_queue, *sctp._outbound_queue]
        tsn = old[0].tsn
        sctp._sent_queue.clear()
        sctp._outbound_queue = deque(_renumbered(_cut(old, self.chunk), tsn))
        sctp._local_tsn = rtcsctptransport.tsn_plus_one(sctp._outbound_queue[-1].tsn)
        sctp._flight_size = 0
        sctp._fast_recovery_exit, sctp._fast_recovery_transmit = None, False
        sctp._t3_cancel()
        await sctp._transmit()

    def can_send_anew(self) -> bool:
        """Whether the other side can be told to wait no longer for a message (RFC 3758)."""
        return self.sctp._remote_partial_reliability and self.sctp._reconfig_request is None

    async def send_anew(self) -> bool:
        """Give up each message that has a chunk longer than the present size, send it again as a new one; if any.

        None is lost, none comes twice. Those that the other side has already, behind one that it has not, may overtake.
        """
        messages = _by_message([*self.sctp._sent_queue, *self.sctp._outbound_queue])
        stuck = [m for m, parts in messages if any(not p._acked and len(p.user_data) > self.chunk for p in parts)]
        if not stuck:
            return False
        forgetful = self.sctp._remote_extensions == _EXTENSIONS_OF_AIORTC
        cast(Any, self.sctp)._data_channel_flush = _nothing
        try:
            await self._give_up(messages if forgetful else [(m, parts) for m, parts in messages if m in stuck])
            if forgetful:
                await self._until_given_up()
            for message in _undelivered(messages) if forgetful else stuck:
                await self._send(*message.arguments, **message.options)
        finally:
            del cast(Any, self.sctp)._data_channel_flush
        await self.sctp._data_channel_flush()
        return True

    async def _give_up(self, messages: list["_Parts"]) -> None:
        for _, parts in messages:
            for chunk in parts:
                chunk._abandoned, chunk._retransmit = True, False
                self.sctp._flight_size_decrease(chunk)
        self.sctp._update_advanced_peer_ack_point()
        await self.sctp._transmit()

    async def _until_given_up(self) -> None:
        """Until the other side has taken notice: aiortc repeats that as long as the connection lives."""
        sctp, told = self.sctp, asyncio.Event()
        stop = self.on_acknowledgement(told.set)
        try:
            while uint32_gt(sctp._advanced_peer_ack_tsn, sctp._last_sacked_tsn):
                told.clear()
                await told.wait()
        finally:
            stop()


_Parts = tuple[_Message, list[Any]]
"A message and its chunks that are not acknowledged up to the first gap."


async def _nothing() -> None:
    """In the place of aiortc's method that sends what waits: nothing may be sent just now."""


def _by_message(chunks: list[DataChunk]) -> list[_Parts]:
    return [(m, list(parts)) for m, parts in itertools.groupby(chunks, lambda chunk: cast(Any, chunk).message)]


def _undelivered(messages: list[_Parts]) -> list[_Message]:
    """Which of the messages, all given up, an aiortc does not deliver.

    It delivers those that it has whole until it comes to one that it has in part, and forgets all behind that, those
    too that it has whole (RFC 3758 section 3.6 would have it deliver these).
    """
    missing: list[_Message] = []
    forgotten = False
    for message, parts in messages:
        begun = not parts[0].flags & rtcsctptransport.SCTP_DATA_FIRST_FRAG
        whole = all(part._acked for part in parts)
        forgotten = forgotten or (not whole and (begun or any(part._acked for part in parts)))
        if forgotten or not whole:
            missing.append(message)
    return missing


def _cut(chunks: Iterable[DataChunk], size: int) -> Iterator[DataChunk]:
    """The same messages in chunks of another size; the first may lack its beginning, which has been received."""
    message: list[DataChunk] = []
    for chunk in chunks:
        message.append(chunk)
        if chunk.flags & rtcsctptransport.SCTP_DATA_LAST_FRAG:
            yield from _pieces(message, size)
            message = []


def _pieces(message: list[DataChunk], size: int) -> Iterator[DataChunk]:
    ends = rtcsctptransport.SCTP_DATA_FIRST_FRAG | rtcsctptransport.SCTP_DATA_LAST_FRAG
    user_data = b"".join(chunk.user_data for chunk in message)
    for start in range(0, len(user_data), size):
        piece = copy.copy(message[0])
        piece.user_data = user_data[start : start + size]
        piece.flags &= ~ends
        if start == 0:
            piece.flags |= message[0].flags & rtcsctptransport.SCTP_DATA_FIRST_FRAG
        if start + size >= len(user_data):
            piece.flags |= rtcsctptransport.SCTP_DATA_LAST_FRAG
        piece._book_size = len(piece.user_data)
        piece._in_flight = piece._retransmit = False
        piece._misses = piece._sent_count = 0
        piece._sent_time = None
        yield piece


def _renumbered(chunks: Iterable[DataChunk], first: int) -> Iterator[DataChunk]:
    for number, chunk in zip(itertools.count(first), chunks, strict=False):
        chunk.tsn = number % rtcsctptransport.SCTP_TSN_MODULO
        yield chunk


@dataclass(frozen=True, slots=True)
class FirstLeg:
    """What a pair's datagrams leave by: our socket, or the connection to a TURN server."""

    transport: asyncio.BaseTransport
    relay: str | None
    "udp, tcp or tls: how the TURN server is reached."

    framed: Callable[[bytes], bytes]
    "A datagram as it is on this leg."


def first_leg(pair: CandidatePair) -> FirstLeg:
    """The first leg of a nominated pair; raises `ConnectionError` for a relay without a channel."""
    transport = cast(Any, pair.protocol.transport)
    if not isinstance(transport, TurnTransport):
        return FirstLeg(transport, None, bytes)
    inner = cast(Any, transport)._TurnTransport__inner_protocol
    channel = inner.peer_to_channel.get(pair.remote_addr)
    if channel is None:
        raise ConnectionError("the TURN server has no channel to the other side")

    def framed(data: bytes) -> bytes:
        message = struct.pack("!HH", channel, len(data)) + data
        return message + bytes(-len(message) % 4) if relay != "udp" else message

    relay = "udp"
    if isinstance(inner, TurnClientTcpProtocol):
        relay = "tls" if inner.transport.get_extra_info("ssl_object") else "tcp"
    return FirstLeg(inner.transport, relay, framed)


def limit_payload(transceiver: RTCRtpTransceiver, size: int) -> Callable[[int], None] | None:
    """Have a video sender make RTP payloads of at most `size` bytes (aiortc's limit is one for the process).

    Returns how to change that later; None before a codec is negotiated, or when something was sent already.
    """
    negotiated, sender = codec(transceiver), cast(Any, transceiver.sender)
    if negotiated is None or sender._RTCRtpSender__encoder is not None:
        return None
    encoder = get_encoder(negotiated)
    kind = type(encoder)
    constants = dict(vars(sys.modules[kind.__module__]))
    sized = {
        name: type(member)(_resized(cast(FunctionType, member.__func__), constants))
        for name, member in vars(kind).items()
        if isinstance(member, staticmethod | classmethod) and "PACKET_MAX" in member.__func__.__code__.co_names
    }
    encoder.__class__ = type(kind.__name__, (kind,), sized)
    sender._RTCRtpSender__encoder = encoder

    def change(size: int) -> None:
        constants["PACKET_MAX"] = size

    change(size)
    return change


def set_receiving(receiver: RTCRtpReceiver, on: bool) -> None:
    """Decode what arrives, or drop it undecoded."""
    receiver._enabled = on


def drop_frames(track: MediaStreamTrack, keep: int) -> int:
    """Forget the oldest decoded frames but the last `keep`, and say how many; the mark of the track's end stays."""
    queue, dropped = cast(Any, track)._queue, 0
    while queue.qsize() > keep:
        if queue.get_nowait() is None:
            queue.put_nowait(None)
            break
        dropped += 1
    return dropped


def end_track(track: MediaStreamTrack) -> None:
    """Let a pending `recv` raise `MediaStreamError`, also where the receiver never started."""
    cast(Any, track)._queue.put_nowait(None)


class ArrivalOrder:
    """In the place of aiortc's jitter buffer: a packet leaves when it arrives, a late one or a copy not at all.

    aiortc holds every packet back for four more (80 ms), and after one loss for fourteen, for good.
    """

    _RESET = 1000
    "So many sequence numbers back is a new start, not a late packet (RFC 3550 appendix A.1 has 100 to 3000)."

    def __init__(self) -> None:
        self._last: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        behind = 0 if self._last is None else (self._last - packet.sequence_number) & 0xFFFF
        if self._last is not None and behind < self._RESET:
            return False, None
        self._last = packet.sequence_number
        return False, JitterFrame(data=cast(Any, packet)._data, timestamp=packet.timestamp)


def release_at_once(receiver: RTCRtpReceiver) -> None:
    """Let a receiver decode audio packets as they arrive."""
    cast(Any, receiver)._RTCRtpReceiver__jitter_buffer = ArrivalOrder()


async def request_keyframe(receiver: RTCRtpReceiver) -> None:
    """Send a picture loss indication (RFC 4585) to every source that has sent."""
    for source in receiver.getSynchronizationSources():
        await receiver._send_rtcp_pli(source.source)


def clock_rate(transceiver: RTCRtpTransceiver) -> int:
    """Ticks a second of the RTP timestamps of the codec that was negotiated."""
    negotiated = codec(transceiver)
    return negotiated.clockRate if negotiated else 48_000


def codec(transceiver: RTCRtpTransceiver) -> RTCRtpCodecParameters | None:
    """The codec in use, the first of those that were negotiated; None before."""
    return transceiver._codecs[0] if transceiver._codecs else None
