"""Every private name of aiortc and aioice that we must touch, each behind a name of ours.

Nothing else in the package reaches into them. `tests/rtc/test_aiortc_internals.py` has one canary for each: when a
release of aiortc moves something, the test's name says what broke.
"""

import asyncio
import functools
import socket
import struct
import sys
from collections.abc import Callable
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
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSctpTransport,
    rtcpeerconnection,
)
from aiortc.codecs import get_encoder
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.stats import RTCTransportStats

from smallrtc_cli.rtc import aiortc_dtls
from smallrtc_cli.rtc.aiortc_identity import OF_THIS_PROCESS
from smallrtc_cli.rtc.association import Association
from smallrtc_cli.rtc.sctp import Sctp


class IceConnection(Connection):
    """aioice's agent with its inner seams as methods, so that `ice.IceAgent` can be written in public names."""

    still_gathering = False
    "While True the agent does not fail for want of candidates: ours may still come."

    take_data: Callable[[bytes], bool] | None = None
    "Sees what would wait for aiortc's task, and says whether it has taken it."

    def data_received(self, data: bytes, component: int) -> None:
        if self.take_data is None or not self.take_data(data):
            super().data_received(data, component)

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

    def let_go(self) -> None:
        """Forget who takes data, the pairs, and with their checks the tracebacks in which these ended: all hold us."""
        self.take_data = None
        for pair in self._check_list:
            pair.task = None
        self._check_list.clear()

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


def relay_socket(protocol: StunProtocol) -> socket.socket | None:
    """The UDP socket on which a TURN server is reached; None over TCP, where the system sizes buffers by itself."""
    inner = cast(Any, protocol.transport)._TurnTransport__inner_protocol
    if isinstance(inner, TurnClientTcpProtocol):
        return None
    return cast(socket.socket, inner.transport.get_extra_info("socket"))


def rebound(method: FunctionType, constants: dict[str, Any]) -> FunctionType:
    """The same function with module constants of its own: no copy of its code, and nobody else's are changed."""
    made = FunctionType(method.__code__, constants, method.__name__, method.__defaults__, method.__closure__)
    made.__kwdefaults__ = method.__kwdefaults__
    return made


_INITIALIZE: Final = rebound(
    cast(FunctionType, RTCPeerConnection.__init__), vars(rtcpeerconnection) | {"RTCCertificate": OF_THIS_PROCESS}
)


class PeerConnection(RTCPeerConnection):
    """aiortc's peer connection with an ICE agent of our making, and the certificate of this process."""

    def __init__(self, configuration: Any, agent: Callable[[], IceConnection]) -> None:
        self._new_agent = agent
        self.association: Association | None = None
        "What the data channels run over, once there is one."
        self._ending: asyncio.Future[None] | None = None
        _INITIALIZE(self, configuration)

    async def close(self) -> None:
        """As aiortc's, once: there a second caller that is cancelled while it waits breaks the first one's close."""
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        """A handshake that ends meanwhile has aiortc start senders and receivers that nobody stops."""
        await super().close()
        for transceiver in self.getTransceivers():
            await transceiver.stop()
        self._let_go()

    def _let_go(self) -> None:
        """Cut what leads back here: all goes with its last owner, and nothing waits for a full collection.

        That comes once in some hundred calls, and what a call leaves until then are 200 KB.
        """
        for transceiver in self.getTransceivers():
            restore_methods(transceiver.sender)
            restore_methods(transceiver.receiver)
        dtls, agent = dtls_transport(self), ice_agent(self)
        if dtls is not None and agent is not None:
            dtls.remove_all_listeners()
            forget_keys(dtls)
            agent.let_go()
        if self.sctp is not None:
            self.sctp._data_channel_queue.clear()
        del self._new_agent  # a method of whoever holds this

    def _RTCPeerConnection__createDtlsTransport(self) -> RTCDtlsTransport:  # noqa: N802
        dtls: RTCDtlsTransport = super()._RTCPeerConnection__createDtlsTransport()  # type: ignore[misc]
        agent = self._new_agent()
        agent.take_data = functools.partial(aiortc_dtls.take, dtls)
        use_agent(dtls.transport, agent)
        return dtls

    def _RTCPeerConnection__createSctpTransport(self) -> None:  # noqa: N802
        super()._RTCPeerConnection__createSctpTransport()  # type: ignore[misc]
        made = cast(RTCSctpTransport, self.sctp)
        sctp = self._RTCPeerConnection__sctp = Sctp(made.transport)
        sctp._bundled, sctp.mid = made._bundled, made.mid
        sctp.on("datachannel", lambda channel: self.emit("datachannel", channel))
        self.association = Association(sctp)


def restore_methods(end: RTCRtpSender | RTCRtpReceiver) -> None:
    """Take away what was put in the place of an object's methods: each holds the object, or what holds that."""
    for name in [name for name in vars(end) if callable(getattr(type(end), name, None))]:
        delattr(end, name)


def forget_keys(dtls: RTCDtlsTransport) -> None:
    """Give back OpenSSL's and libsrtp's memory, 75 KB, of a transport that is closed: some keep their call for long."""
    if dtls.state in ("closed", "failed"):
        inner = cast(Any, dtls)
        inner._ssl = inner._rx_srtp = inner._tx_srtp = None


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
        name: type(member)(rebound(cast(FunctionType, member.__func__), constants))
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


def payload_type(negotiated: RTCRtpCodecParameters) -> int:
    """Of a codec that was negotiated; aiortc's type has None for one that was not."""
    return cast(int, negotiated.payloadType)
