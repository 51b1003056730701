"""Sound that comes: from the datagram to the track that a bot reads, on the event loop and without a thread.

    datagram ──Demultiplexer──> RTP packet ──AudioReceiver──> Playout, Decoder ──> piece in the receiver's track

aiortc's receiver keeps the negotiation, RTCP and the counting of packets; pictures stay with it altogether.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiortc import RTCRtpCodecParameters, RTCRtpReceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport

from smallrtc_cli.audio.codecs import decoder_for
from smallrtc_cli.audio.piece import TICKS, Piece
from smallrtc_cli.audio.playout import Playout, Sound
from smallrtc_cli.config import Playout as Settings
from smallrtc_cli.protocol.rtp import RtpPacket, is_rtp, parse_rtp, payload_type
from smallrtc_cli.rtc import aiortc_audio


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """What a reader wants; a codec gives what is nearest to it."""

    rate: int = 48_000
    channels: int = 2


class _Player:
    """One codec's packets, decoded to one format."""

    def __init__(
        self, codec: RTCRtpCodecParameters, wanted: SoundFormat, settings: Settings, held: Callable[[], float]
    ) -> None:
        self._decoder = decoder_for(codec.mimeType, wanted.rate, wanted.channels)
        self._clock_rate = codec.clockRate
        self._origin: int | None = None
        self.plays = (codec.payloadType, wanted)
        self.playout = Playout(self._decoder, settings, clock_rate=codec.clockRate, held=held)

    def place(self, sound: Sound, after: int) -> tuple[int, int]:
        """From where to where a sound goes, in `TICKS`; the first one follows what was played before."""
        start, end = (ticks * TICKS // self._clock_rate for ticks in (sound.timestamp, sound.end))
        if self._origin is None:
            self._origin = after - start
        return start + self._origin, end + self._origin

    def piece(self, sound: Sound, start: int) -> Piece:
        return Piece(sound.samples, self._decoder.rate, start)


class AudioReceiver:
    """Plays what one of aiortc's receivers gets, into that receiver's own track.

    Decodes only while the receiver is on (`set_receiving`). A reader that plays in real time and falls behind
    is relieved of the delay by steps that are not heard; one that is further behind than a conversation bears loses
    the oldest sound when it reads.
    """

    def __init__(self, receiver: RTCRtpReceiver, settings: Settings | None = None) -> None:
        self.receiver = receiver
        self._settings = settings or Settings()
        self._codecs = aiortc_audio.received_codecs(receiver)
        self._format = SoundFormat()
        self._player: _Player | None = None
        self._source: int | None = None
        self._before: dict[str, float] = {}
        self._position = 0
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        aiortc_audio.receive_by(receiver, self.receive)

    def prefer(self, wanted: SoundFormat) -> None:
        """Decode to this format from the next packet on."""
        self._format = wanted

    def takes(self, kind: int) -> bool:
        """Whether packets of that payload type may be for this receiver."""
        return kind in self._codecs

    def receive(self, packet: RtpPacket) -> None:
        """A packet has come for this receiver."""
        codec = self._codecs.get(packet.payload_type)
        if codec is None:
            return
        aiortc_audio.count_received(self.receiver, packet, codec.clockRate)
        if not aiortc_audio.is_receiving(self.receiver):
            self._rest()
            return
        now = asyncio.get_running_loop().time()
        player = self._player_for(codec)
        if packet.ssrc != self._source:
            self._deliver(player, player.playout.restart(now))
            self._source = packet.ssrc
        self._deliver(player, player.playout.receive(packet.sequence_number, packet.timestamp, packet.payload, now))
        self._set_timer(player)

    @property
    def statistics(self) -> dict[str, float]:
        """See `Playout.statistics`; of all that was played so far."""
        now = self._player.playout.statistics if self._player else {}
        return {name: now.get(name, 0) + self._before.get(name, 0) for name in now | self._before}

    def held(self) -> float:
        """Seconds of sound that a reader in real time has not read yet; 0 where there is no such reader."""
        seconds = aiortc_audio.unread(self.receiver.track) * self._last
        return seconds if seconds <= self._settings.longest_wait else 0.0

    def close(self) -> None:
        """Nothing is played any more; what played is let go, and its statistics stay."""
        self._rest()
        self._codecs, self._before, self._player = {}, self.statistics, None

    def _player_for(self, codec: RTCRtpCodecParameters) -> _Player:
        plays = (codec.payloadType, self._format)
        if self._player is None or self._player.plays != plays:
            self._before = self.statistics
            self._rest()
            self._player = _Player(codec, self._format, self._settings, self.held)
        return self._player

    def _rest(self) -> None:
        """What waits is not wanted any more, and what comes later is a new beginning."""
        self._source = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if self._player is not None:
                self._player.playout.restart(asyncio.get_running_loop().time())

    def _set_timer(self, player: _Player) -> None:
        deadline = player.playout.deadline
        if self._timer is not None:
            if self._timer.when() == deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick, player)

    def _tick(self, player: _Player) -> None:
        self._timer = None
        self._deliver(player, player.playout.tick(asyncio.get_running_loop().time()))
        self._set_timer(player)

    def _deliver(self, player: _Player, sounds: list[Sound]) -> None:
        for sound in sounds:
            start, self._position = player.place(sound, self._position)
            if len(sound.samples):
                piece = player.piece(sound, start)
                self._last = piece.seconds
                aiortc_audio.hand_over(self.receiver.track, piece)


class Demultiplexer:
    """Takes sound out of what comes over one DTLS transport; all else is left to aiortc."""

    def __init__(self, dtls: RTCDtlsTransport) -> None:
        self._dtls = dtls
        self._receivers: dict[RTCRtpReceiver, AudioReceiver] = {}

    def add(self, receiver: AudioReceiver) -> None:
        """Have packets for this receiver taken, from when they are negotiated."""
        self._receivers[receiver.receiver] = receiver

    def take(self, datagram: bytes) -> bool:
        """Whether a datagram was sound, which has been played then."""
        if not is_rtp(datagram) or not aiortc_audio.can_unprotect(self._dtls):
            return False
        kind = payload_type(datagram)
        if not any(receiver.takes(kind) for receiver in self._receivers.values()):
            return False
        data = aiortc_audio.unprotect(self._dtls, datagram)
        packet = parse_rtp(data) if data is not None else None
        found = aiortc_audio.route(self._dtls, packet) if packet is not None else None
        if packet is not None and found in self._receivers:
            self._receivers[found].receive(packet)
        return True
