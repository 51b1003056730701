"""The private names of aiortc's senders, receivers and DTLS transport that our own audio path touches.

aiortc keeps RTCP, its statistics and the negotiation; the packets of sound are ours. As in `aiortc_internals`, each
name has a canary in `tests/rtc/test_aiortc_audio.py`.
"""

import logging
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Mapping
from time import time
from types import FunctionType, SimpleNamespace
from typing import Any, Final, cast

import pylibsrtp
from aiortc import RTCRtpCodecParameters, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver, clock, rtcrtpreceiver
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import AnyRtcpPacket
from aiortc.rtp import RtpPacket as AiortcPacket

from smallrtc_cli.audio.piece import Piece
from smallrtc_cli.protocol.rtp import RtpPacket
from smallrtc_cli.rtc.aiortc_internals import rebound

logger = logging.getLogger(__name__)

_MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

_NTP_EPOCH: Final = 2_208_988_800
"Seconds from 1900, where NTP begins, to 1970."


# In


class _NoDecoder:
    """In the place of the thread in which aiortc's receiver would decode; like that, it ends the track at its end."""

    def __init__(self, args: tuple[Any, ...], **_: object) -> None:
        _, _, self._frames, _ = args

    def start(self) -> None:
        """Nothing is to be done."""

    def join(self) -> None:
        self._frames.put_nowait(None)


_RECEIVE: Final = rebound(
    cast(FunctionType, RTCRtpReceiver.receive),
    vars(rtcrtpreceiver) | {"threading": SimpleNamespace(Thread=_NoDecoder)},
)


def receive_by(receiver: RTCRtpReceiver, on_packet: Callable[[RtpPacket], None]) -> None:
    """Have a receiver start no thread, and hand over the packets that aiortc still reads itself."""

    async def handle(packet: AiortcPacket, arrival_time_ms: int) -> None:  # noqa: ARG001 - aiortc's signature
        on_packet(RtpPacket(packet.payload_type, packet.sequence_number, packet.timestamp, packet.ssrc, packet.payload))

    inner = cast(Any, receiver)
    inner.receive = _RECEIVE.__get__(receiver)
    inner._handle_rtp_packet = handle


def received_codecs(receiver: RTCRtpReceiver) -> Mapping[int, RTCRtpCodecParameters]:
    """What may come, by payload type; a live view, empty until the receiver has started."""
    return cast(Any, receiver)._RTCRtpReceiver__codecs  # type: ignore[no-any-return]


def count_received(receiver: RTCRtpReceiver, packet: RtpPacket, clock_rate: int) -> None:
    """For RTCP's reports and the statistics."""
    inner = cast(Any, receiver)
    inner._RTCRtpReceiver__active_ssrc[packet.ssrc] = clock.current_datetime()
    streams = inner._RTCRtpReceiver__remote_streams
    if packet.ssrc not in streams:
        streams[packet.ssrc] = StreamStatistics(clock_rate)
    streams[packet.ssrc].add(packet)


def hand_over(track: MediaStreamTrack, piece: Piece) -> None:
    """Give a piece of sound to whoever reads the track: aiortc's hands over what it gets, whatever that is."""
    cast(Any, track)._queue.put_nowait(piece)


def unread(track: MediaStreamTrack) -> int:
    """Pieces that nobody has read yet."""
    return cast(int, cast(Any, track)._queue.qsize())


def is_receiving(receiver: RTCRtpReceiver) -> bool:
    """Whether what arrives is to be decoded: see `aiortc_internals.set_receiving`."""
    return receiver._enabled


# The transport


def can_unprotect(dtls: RTCDtlsTransport) -> bool:
    """Whether the keys are known."""
    return dtls._rx_srtp is not None


def unprotect(dtls: RTCDtlsTransport, datagram: bytes) -> bytes | None:
    """The RTP packet in a datagram; None for one that is forged, damaged or repeated."""
    inner = cast(Any, dtls)
    inner._RTCDtlsTransport__rx_bytes += len(datagram)
    inner._RTCDtlsTransport__rx_packets += 1
    try:
        return dtls._rx_srtp.unprotect(datagram)
    except pylibsrtp.Error as error:
        logger.debug("a packet of sound cannot be unprotected: %s", error)
        return None


def route(dtls: RTCDtlsTransport, packet: RtpPacket) -> RTCRtpReceiver | None:
    """The receiver whose packet it is, by its source and payload type."""
    return cast(RTCRtpReceiver | None, dtls._rtp_router.route_rtp(cast(Any, packet)))


# Out


def send_by(sender: RTCRtpSender, run: Callable[[RTCRtpCodecParameters], Awaitable[None]]) -> None:
    """Have `run` send the packets of a sender, from its start until it is cancelled."""
    inner = cast(Any, sender)

    async def run_rtp(codec: RTCRtpCodecParameters) -> None:
        inner._RTCRtpSender__rtp_started.set()
        try:
            await run(codec)
        except (CancelledError, ConnectionError, MediaStreamError):
            logger.debug("no more sound is sent")
        except Exception:
            logger.exception("sound cannot be sent any more")
        finally:
            if sender.track is not None:
                sender.track.stop()
            inner._RTCRtpSender__track = None
            inner._RTCRtpSender__rtp_exited.set()

    inner._run_rtp = run_rtp


def send_after(sender: RTCRtpSender, ready: Callable[[], Awaitable[None]]) -> None:
    """Have a sender wait for `ready`, when it is started, before it sends anything; to stop it waits for that, too."""
    inner = cast(Any, sender)
    run_rtp = inner._run_rtp

    async def wait_and_run(codec: RTCRtpCodecParameters) -> None:
        await ready()
        await run_rtp(codec)

    inner._run_rtp = wait_and_run


def on_reported_loss(sender: RTCRtpSender, callback: Callable[[float], None]) -> None:
    """Call back with the fraction that the other side has lost of what is sent, with each of its reports."""
    handle = sender._handle_rtcp_packet

    async def handle_and_tell(packet: AnyRtcpPacket) -> None:
        await handle(packet)
        for report in getattr(packet, "reports", ()):
            if report.ssrc == sender._ssrc:
                callback(report.fraction_lost / 256)

    cast(Any, sender)._handle_rtcp_packet = handle_and_tell


def source(sender: RTCRtpSender) -> int:
    """The SSRC of what is sent."""
    return sender._ssrc


def is_sending(sender: RTCRtpSender) -> bool:
    """Whether what the track gives is to be sent."""
    return sender._enabled


async def send_packet(sender: RTCRtpSender, packet: RtpPacket, header: bytes) -> None:
    """Protect and send; counts for RTCP's reports and the statistics. Raises `ConnectionError` without a connection."""
    await sender.transport._send_rtp(header + packet.payload)
    inner = cast(Any, sender)
    inner._RTCRtpSender__ntp_timestamp = _ntp_time()
    inner._RTCRtpSender__rtp_timestamp = packet.timestamp
    inner._RTCRtpSender__octet_count += len(packet.payload)
    inner._RTCRtpSender__packet_count += 1


def _ntp_time() -> int:
    """As aiortc's clock, for a tenth of the price: exact to a microsecond, which is what a float holds."""
    return int((time() + _NTP_EPOCH) * (1 << 32))


def level_extension(transceiver: RTCRtpTransceiver) -> int | None:
    """The number of the audio level's header extension (RFC 6464), if it was negotiated."""
    return _extension(transceiver, _LEVEL)


def mid_extension(transceiver: RTCRtpTransceiver) -> int | None:
    """The number of the header extension that names the m-line (RFC 8843 section 15), if it was negotiated."""
    return _extension(transceiver, _MID)


def _extension(transceiver: RTCRtpTransceiver, uri: str) -> int | None:
    return next((each.id for each in transceiver._headerExtensions if each.uri == uri), None)
