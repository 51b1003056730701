"""A stream of packets that goes through a `Playout` in simulated time: late, lost, twice, by another clock."""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.playout import Playout, Sound
from smallrtc_cli.config import Playout as Settings
from smallrtc_cli.errors import UndecodablePacket

RATE = 8_000
PACKET = RATE // 50
GARBAGE = b"?"


def tone(seconds: float, hertz: float = 200, rate: int = RATE, loudness: float = 8_000) -> NDArray[np.int16]:
    wave = loudness * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.rint(wave).astype(np.int16)[:, None]


def voice(seconds: float, rate: int = RATE, hertz: float = 120, seed: int = 1) -> NDArray[np.int16]:
    """A buzz whose pitch wavers, with the spectrum of a vowel, and some breath."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (hertz * time + 0.8 * np.sin(2 * np.pi * 2 * time))
    partials = range(1, int(min(0.45 * rate, 4_500) / (hertz * 1.1)))
    weight = [1 / k + np.exp(-(((k * hertz - 700) / 200) ** 2)) for k in partials]
    buzz = sum(w * np.sin(k * phase + k * k) for k, w in zip(partials, weight, strict=True))
    sound = buzz + 0.1 * np.random.RandomState(seed).standard_normal(len(time))
    return np.rint(4_000 * sound / np.sqrt(np.mean(sound**2))).astype(np.int16)[:, None]


def syllables(seconds: float, rate: int = RATE) -> NDArray[np.int16]:
    """A voice that comes and goes three times a second: what a codec takes for speech."""
    time = np.arange(round(seconds * rate)) / rate
    swell = (0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)) ** 2
    return np.rint(voice(seconds, rate) * swell[:, None]).astype(np.int16)


def rms(sound: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))


@dataclass
class PieceDecoder:
    """A codec without loss: a packet says which piece of `source` it is, and can repeat the one before."""

    source: NDArray[np.int16]
    rate: int = RATE
    repeats: bool = False
    conceals: bool = False
    resets: int = 0

    @property
    def channels(self) -> int:
        return self.source.shape[1]

    def samples_in(self, payload: bytes) -> int:
        return self._place(payload)[1]

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        start, count = self._place(payload)
        return self.source[start : start + count]

    def recover(self, payload: bytes, samples: int) -> NDArray[np.int16] | None:
        start, _ = self._place(payload)
        return self.source[start - samples : start] if self.repeats else None

    def conceal(self, samples: int) -> NDArray[np.int16] | None:
        return np.full((samples, self.channels), 1_000, np.int16) if self.conceals else None

    def reset(self) -> None:
        self.resets += 1

    def _place(self, payload: bytes) -> tuple[int, int]:
        if payload == GARBAGE:
            raise UndecodablePacket("garbage")
        start, count = struct.unpack(">IH", payload)
        return start, count


@dataclass(frozen=True)
class Sent:
    """A packet on its way."""

    arrives: float
    sequence: int
    timestamp: int
    payload: bytes

    def late(self, by: float) -> "Sent":
        return replace(self, arrives=self.arrives + by)


def packets(count: int, *, samples: int = PACKET, sequence: int = 0, timestamp: int = 0, ppm: float = 0) -> list[Sent]:
    """`count` packets that come as they are made, at 1 tick a sample, by a clock that is `ppm` fast."""
    return [
        Sent(
            (n + 1) * samples / RATE / (1 + ppm * 1e-6),
            (sequence + n) % 2**16,
            (timestamp + n * samples) % 2**32,
            struct.pack(">IH", n * samples, samples),
        )
        for n in range(count)
    ]


@dataclass
class Player:
    """Plays in real time what it gets, at once; silence while it has nothing."""

    now: float = 0.0
    end: float = 0.0
    dry: float = 0.0
    holds: list[tuple[float, float]] = field(default_factory=list)

    def held(self) -> float:
        return max(0.0, self.end - self.now)

    def get(self, sound: Sound) -> None:
        self.holds.append((self.now, self.held()))
        self.dry += max(0.0, self.now - self.end)
        self.end = max(self.now, self.end) + len(sound.samples) / RATE

    def least(self, start: float, end: float) -> float:
        """The delay that was there all the time."""
        return min(held for at, held in self.holds if start <= at < end)


@dataclass
class Heard:
    """What left, and when."""

    playout: Playout
    sounds: list[Sound] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def samples(self) -> NDArray[np.int16]:
        return np.concatenate([sound.samples for sound in self.sounds])

    @property
    def received(self) -> list[Sound]:
        return [sound for sound in self.sounds if not sound.concealed]

    @property
    def concealed(self) -> list[Sound]:
        return [sound for sound in self.sounds if sound.concealed]

    def count(self, name: str) -> float:
        return self.playout.statistics[name]


def deliver(playout: Playout, sent: Iterable[Sent], player: Player | None = None) -> Heard:
    """All packets in the order of their arrival, with ticks at the deadlines."""
    heard = Heard(playout)

    def note(at: float, act: Callable[[], list[Sound]]) -> None:
        if player is not None:
            player.now = at
        for sound in act():
            heard.sounds.append(sound)
            heard.times.append(at)
            if player is not None:
                player.get(sound)

    def tick(until: float) -> None:
        while (deadline := playout.deadline) is not None and deadline < until:
            note(deadline, lambda: playout.tick(deadline))

    for packet in sorted(sent, key=lambda packet: packet.arrives):
        at = packet.arrives
        tick(at)
        note(at, lambda: playout.receive(packet.sequence, packet.timestamp, packet.payload, at))  # noqa: B023
    tick(float("inf"))
    return heard


def playing(decoder: PieceDecoder, player: Player | None = None, settings: Settings | None = None) -> Playout:
    return Playout(decoder, settings, clock_rate=decoder.rate, held=player.held if player else None)
