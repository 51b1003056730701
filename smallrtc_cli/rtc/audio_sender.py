"""Sound that goes: from a slot's track to the socket, encoded on the event loop and without a thread.

    SlotTrack ──frame──> Packetizer ──packet──> Encoder ──payload──> RTP header, SRTP, socket

The track sets the pace. aiortc's sender keeps RTCP and the counting of packets.
"""

import random

import av
import numpy as np
from aiortc import RTCRtpCodecParameters, RTCRtpTransceiver
from numpy.typing import NDArray

from smallrtc_cli.audio.codecs import CODECS, Encoder, encoder_for
from smallrtc_cli.audio.expected_loss import ExpectedLoss
from smallrtc_cli.audio.packetizer import Packetizer
from smallrtc_cli.audio.pcm import level_dbfs
from smallrtc_cli.config import Opus
from smallrtc_cli.protocol.opus_fmtp import OpusParameters
from smallrtc_cli.protocol.rtp import RtpPacket, header_extensions, rtp_header
from smallrtc_cli.rtc import aiortc_audio
from smallrtc_cli.rtc.aiortc_internals import payload_type
from smallrtc_cli.rtc.tracks import SlotTrack

_RATE = 48_000

_QUIETEST = 127
"dB below overload: what RFC 6464 calls digital silence."


class AudioSender:
    """Sends what a slot's track gives, over one of aiortc's senders."""

    def __init__(self, transceiver: RTCRtpTransceiver, track: SlotTrack, settings: Opus | None = None) -> None:
        self.transceiver, self._track = transceiver, track
        self._settings = settings or Opus()
        self._loss = ExpectedLoss()
        self.parameters = OpusParameters()
        "What the other side wants; is looked at when sending begins."
        transceiver.sender.replaceTrack(track)
        aiortc_audio.send_by(transceiver.sender, self._run)

    async def _run(self, codec: RTCRtpCodecParameters) -> None:
        channels = 2 if self.parameters.stereo else 1
        settings = self.parameters.obeyed(self._settings, channels)
        encoder = encoder_for(codec.mimeType, _RATE, channels, self._loss.applied(settings))
        aiortc_audio.on_reported_loss(self.transceiver.sender, lambda lost: self._adapt(encoder, settings, lost))
        self._track.give(encoder.rate, encoder.channels)
        packetizer = Packetizer(encoder.packet, encoder.channels)
        stream = _Stream(self.transceiver, codec, encoder)
        while True:
            frame = await self._track.recv()
            if not aiortc_audio.is_sending(self.transceiver.sender):
                continue
            for samples, position in packetizer.add(_samples(frame), frame.pts * encoder.rate // _RATE):
                await stream.send(samples, position)

    def _adapt(self, encoder: Encoder, settings: Opus, lost: float) -> None:
        before = self._loss.applied(settings)
        self._loss.reported(lost)
        if (now := self._loss.applied(settings)) != before:
            encoder.tune(now)


class _Stream:
    """One sequence of RTP packets; begins with random numbers (RFC 3550 section 5.1)."""

    def __init__(self, transceiver: RTCRtpTransceiver, codec: RTCRtpCodecParameters, encoder: Encoder) -> None:
        self._sender, self._encoder = transceiver.sender, encoder
        self._codec, self._kind = CODECS[codec.mimeType.lower()], payload_type(codec)
        self._source = aiortc_audio.source(transceiver.sender)
        self._sequence = random.randrange(1 << 15)  # the lower half: SRTP cannot see a wrap-around among the first
        self._origin = random.randrange(1 << 32)
        self._paused = True
        mid = aiortc_audio.mid_extension(transceiver)
        self._mid = [(mid, transceiver.mid.encode())] if mid is not None and transceiver.mid else []
        self._level = aiortc_audio.level_extension(transceiver)

    async def send(self, samples: NDArray[np.int16], position: int) -> None:
        """One packet, or none where silence needs none (DTX). The first one after a pause is marked (RFC 3551)."""
        payload = self._encoder.encode(samples)
        if not payload:
            self._paused = True
            return
        timestamp = (self._origin + self._codec.ticks(position, self._encoder.rate)) % (1 << 32)
        packet = RtpPacket(self._kind, self._sequence, timestamp, self._source, payload)
        header = rtp_header(packet, marker=self._paused, extensions=self._extensions(samples))
        self._sequence, self._paused = (self._sequence + 1) % (1 << 16), False
        await aiortc_audio.send_packet(self._sender, packet, header)

    def _extensions(self, samples: NDArray[np.int16]) -> bytes:
        if self._level is None:
            return header_extensions(self._mid)
        level = round(min(-level_dbfs(samples), _QUIETEST))
        return header_extensions([*self._mid, (self._level, bytes([max(level, 0)]))])


def _samples(frame: av.AudioFrame) -> NDArray[np.int16]:
    """Of a packed s16 frame, which must outlive them."""
    channels = len(frame.layout.channels)
    return np.frombuffer(memoryview(frame.planes[0]), np.int16, frame.samples * channels).reshape(-1, channels)
