"""Sound of one stream to packets: follows what plays, what is wanted of it, and what of it is lost. Pure.

An encoder has one rate, one number of channels and one way of coding. Another one takes its place without being heard,
as measured by the decoded sound:

- It begins where the sound that is decoded ends. `lowdelay` is decoded 2.5 ms behind what was encoded, `audio` and
  `voip` 6.5, so that they begin 4 ms further on, and on the way back 4 ms earlier. Timestamps go on as if nothing was.
- It hears the 40 ms before its first packet. That packet relies on none before it, and the last one of the old encoder,
  which is told a packet ahead, leaves nothing behind: libopus has a pitch filter that lasts over the seam.

Without the first, the sound jumps by 4 ms and clicks; without the second, a vowel is 15 dB worse there, or clicks.
Encoders are made within 0.05 ms, so that none is kept for later.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.changeover import Changeover
from smallrtc_cli.audio.codecs import Codec, Encoder, encoder_for
from smallrtc_cli.audio.conversion import converted
from smallrtc_cli.audio.packetizer import Packetizer
from smallrtc_cli.audio.pcm import level_dbfs
from smallrtc_cli.audio.piece import TICKS, Piece
from smallrtc_cli.config import Opus

_WARM = 0.04
"Seconds of sound that an encoder hears before its first packet: with less, the seam of a tone is 20 dB worse."

_SHORTEST = 0.001
"Seconds of a piece: of less, a track of a lower rate may have no sample."


class Packet(NamedTuple):
    """What an encoder made of some sound."""

    payload: bytes
    "Empty where silence needs none (DTX)."

    position: int
    "In `TICKS`."

    sound: NDArray[np.int16]
    "What it is made of."

    @property
    def level(self) -> float:
        """DBFS of the sound."""
        return level_dbfs(self.sound)


class Encoding:
    """Encodes one stream; `wanted` tells the settings for a number of channels, the same object until they change."""

    def __init__(self, codec: Codec, wanted: Callable[[int], Opus]) -> None:
        self._codec, self._wanted = codec, wanted
        self._settings = wanted(1)
        self._coding = self._settings.coding
        self._changeover = Changeover()
        self._encoder: Encoder | None = None
        self._coming: Encoder | None = None
        "Takes over, after one more packet of the present one."
        self._ended = False
        "The present encoder has made that packet."
        self._packetizer = Packetizer(0, 1)
        self._before: deque[NDArray[np.int16]] = deque()
        "The packets of the last 40 ms."
        self._origin = self._late = 0
        "The place that is the packetizer's 0, and by how much timestamps are behind places; in `TICKS`."
        self._now = 0.0
        "Seconds of the stream."

    @property
    def seconds(self) -> float:
        """How long the next piece is best: then a packet is complete with it, and nothing is left over."""
        if self._encoder is None:
            return self._settings.packet
        shift = _shift(self._encoder, self._coming) if self._coming is not None and self._ended else 0
        samples = shift if shift > 0 else self._packetizer.missing + shift
        return max(samples / self._encoder.rate, _SHORTEST)

    def reported(self, lost: float) -> None:
        """The other side has lost this fraction of the packets since it last said so."""
        self._changeover.reported(lost, self._now)

    def add(self, piece: Piece) -> list[Packet]:
        """The packets that are complete now; `piece` has a rate and a number of channels of the codec's."""
        self._look(self._wanted(piece.samples.shape[1]))
        encoder = self._encoder or self._begin(self._made(piece), piece.position)
        if self._coming is not None and self._ended:
            successor = self._coming if self._fits(self._coming, piece) else self._made(piece)
            packets = self._change(encoder, successor, piece)
        else:
            if not self._fits(encoder, piece):
                self._announce(encoder, self._made(piece))
            sound = converted(piece.samples, piece.rate, encoder.rate, encoder.channels)
            packets = self._encoded(encoder, sound, self._place(encoder, piece.position))
            self._ended = self._coming is not None and bool(packets)
        if packets:
            self._consider(packets[-1])
        return packets

    # Which encoder

    def _look(self, settings: Opus) -> None:
        if settings is not self._settings:
            self._settings = settings
            if self._encoder is not None:
                self._encoder.tune(settings)
                self._packetizer.packet = self._encoder.packet

    def _fits(self, encoder: Encoder, piece: Piece) -> bool:
        packet = round(piece.rate * self._settings.packet)
        return (encoder.rate, encoder.channels, encoder.packet) == (piece.rate, piece.samples.shape[1], packet)

    def _made(self, piece: Piece) -> Encoder:
        return self._new(piece.rate, piece.samples.shape[1])

    def _new(self, rate: int, channels: int) -> Encoder:
        return encoder_for(self._codec.mime, rate, channels, replace(self._settings, application=self._coding))

    def _announce(self, encoder: Encoder, successor: Encoder) -> None:
        self._coming = successor
        encoder.isolate()

    def _consider(self, packet: Packet) -> None:
        """Make the encoder for another way of coding, when it is time for that."""
        wanted = self._settings.coding
        if wanted == self._coding or self._encoder is None or self._coming is not None or not self._codec.is_opus:
            return
        due = self._changeover.to_low_delay if wanted == "lowdelay" else self._changeover.to_protection
        if due(packet.level, self._now):
            self._coding = wanted
            self._announce(self._encoder, self._new(self._encoder.rate, self._encoder.channels))

    # From one to the other

    def _begin(self, encoder: Encoder, origin: int) -> Encoder:
        self._encoder, self._coming, self._ended, self._origin = encoder, None, False, origin
        self._packetizer = Packetizer(encoder.packet, encoder.channels)
        self._before = deque(maxlen=ceil(_WARM * encoder.rate / encoder.packet))
        return encoder

    def _change(self, old: Encoder, new: Encoder, piece: Piece) -> list[Packet]:
        """As the module says; what the old one has not encoded yet is left to the new one."""
        nothing = np.zeros((0, old.channels), np.int16)
        filled = self._encoded(old, nothing, self._place(old, piece.position))  # the silence of a gap before the piece
        rest, timestamp = self._packetizer.rest, self._time(old, self._packetizer.start)
        heard = self._heard(old, new, piece)
        sound = np.concatenate((heard, piece.samples))
        first = len(heard) - len(rest) * new.rate // old.rate + _shift(old, new) * new.rate // old.rate
        first = min(max(first, 0), len(sound))
        new.prime(sound[:first])
        self._begin(new, piece.position - (len(heard) - first) * TICKS // new.rate)
        self._late = self._origin - timestamp
        return filled + self._encoded(new, sound[first:], 0)

    def _heard(self, old: Encoder, new: Encoder, piece: Piece) -> NDArray[np.int16]:
        """What was said before the piece, in the new format; with what follows, so that its end comes out right."""
        before = np.concatenate((*self._before, self._packetizer.rest))
        after = converted(piece.samples, new.rate, old.rate, old.channels)
        sound = converted(np.concatenate((before, after)), old.rate, new.rate, new.channels)
        return sound[: len(before) * new.rate // old.rate]

    # Packets

    def _encoded(self, encoder: Encoder, samples: NDArray[np.int16], place: int) -> list[Packet]:
        packets = []
        for sound, start in self._packetizer.add(samples, place):
            self._before.append(sound)
            timestamp = self._time(encoder, start)
            packets.append(Packet(encoder.encode(sound), timestamp, sound))
            self._now = timestamp / TICKS
        return packets

    def _place(self, encoder: Encoder, position: int) -> int:
        """In the packetizer."""
        return (position - self._origin) * encoder.rate // TICKS

    def _time(self, encoder: Encoder, place: int) -> int:
        """When that place is played."""
        return self._origin - self._late + place * TICKS // encoder.rate


def _shift(old: Encoder, new: Encoder) -> int:
    """By how many of the old one's samples the new one begins further on."""
    return new.lookahead * old.rate // new.rate - old.lookahead
