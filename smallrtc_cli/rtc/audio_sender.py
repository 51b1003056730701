"""Sound that goes: from a slot's track to the socket, encoded on the event loop and without a thread.

    SlotTrack ──piece──> Encoding ──packet──> RTP header, SRTP, socket

The track sets the pace. aiortc's sender keeps RTCP and the counting of packets.
"""

import random

from aiortc import RTCRtpCodecParameters, RTCRtpTransceiver

from smallrtc_cli.audio.codecs import CODECS
from smallrtc_cli.audio.encoding import Encoding, Packet
from smallrtc_cli.audio.expected_loss import ExpectedLoss
from smallrtc_cli.audio.piece import TICKS
from smallrtc_cli.config import Opus
from smallrtc_cli.protocol.opus_fmtp import OpusParameters
from smallrtc_cli.protocol.rtp import RtpPacket, header_extensions, rtp_header
from smallrtc_cli.rtc import aiortc_audio
from smallrtc_cli.rtc.aiortc_internals import payload_type
from smallrtc_cli.rtc.slot import SlotTrack

_QUIETEST = 127
"dB below overload: what RFC 6464 calls digital silence."


class AudioSender:
    """Sends what a slot's track gives, over one of aiortc's senders."""

    def __init__(self, transceiver: RTCRtpTransceiver, track: SlotTrack, settings: Opus | None = None) -> None:
        self.transceiver, self._track = transceiver, track
        self._settings = settings or Opus()
        self._loss = ExpectedLoss()
        self.obey(OpusParameters())
        transceiver.sender.replaceTrack(track)
        aiortc_audio.send_by(transceiver.sender, self._run)

    def obey(self, parameters: OpusParameters) -> None:
        """Send as the other side wants it, from the next packet on."""
        self.parameters = parameters
        self._look()

    def _look(self) -> None:
        obeyed = {channels: self.parameters.obeyed(self._settings, channels) for channels in (1, 2)}
        self._wanted = {channels: self._loss.applied(settings) for channels, settings in obeyed.items()}

    async def _run(self, negotiated: RTCRtpCodecParameters) -> None:
        codec = CODECS[negotiated.mimeType.lower()]
        encoding = Encoding(codec, lambda channels: self._wanted[channels])
        aiortc_audio.on_reported_loss(self.transceiver.sender, lambda lost: self._lost(encoding, lost))
        stream = _Stream(self.transceiver, negotiated)
        while True:
            self._track.give(codec, 2 if self.parameters.stereo else 1)
            piece = await self._track.next_piece(encoding.seconds)
            if not aiortc_audio.is_sending(self.transceiver.sender):
                continue
            for packet in encoding.add(piece):
                await stream.send(packet)

    def _lost(self, encoding: Encoding, fraction: float) -> None:
        self._loss.reported(fraction)
        encoding.reported(fraction)
        self._look()


class _Stream:
    """One sequence of RTP packets; begins with random numbers (RFC 3550 section 5.1)."""

    def __init__(self, transceiver: RTCRtpTransceiver, codec: RTCRtpCodecParameters) -> None:
        self._sender = transceiver.sender
        self._clock_rate, self._kind = CODECS[codec.mimeType.lower()].clock_rate, payload_type(codec)
        self._source = aiortc_audio.source(transceiver.sender)
        self._sequence = random.randrange(1 << 15)  # the lower half: SRTP cannot see a wrap-around among the first
        self._origin = random.randrange(1 << 32)
        self._paused = True
        mid = aiortc_audio.mid_extension(transceiver)
        self._mid = [(mid, transceiver.mid.encode())] if mid is not None and transceiver.mid else []
        self._level = aiortc_audio.level_extension(transceiver)
        self._blocks: dict[int, bytes] = {}
        "Header extensions by what they say of the level: no more than 128."

    async def send(self, packet: Packet) -> None:
        """One packet, or none where silence needs none (DTX). The first one after a pause is marked (RFC 3551)."""
        if not packet.payload:
            self._paused = True
            return
        timestamp = (self._origin + packet.position * self._clock_rate // TICKS) % (1 << 32)
        rtp = RtpPacket(self._kind, self._sequence, timestamp, self._source, packet.payload)
        header = rtp_header(rtp, marker=self._paused, extensions=self._extensions(packet))
        self._sequence, self._paused = (self._sequence + 1) % (1 << 16), False
        await aiortc_audio.send_packet(self._sender, rtp, header)

    def _extensions(self, packet: Packet) -> bytes:
        level = max(round(min(-packet.level, _QUIETEST)), 0) if self._level is not None else 0
        if level not in self._blocks:
            said = [(self._level, bytes([level]))] if self._level is not None else []
            self._blocks[level] = header_extensions([*self._mid, *said])
        return self._blocks[level]
