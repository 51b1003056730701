"""What left and what came back, and when; all that is measured of sound is computed here, afterwards.

Echo latency of a chirp is the time from the capture of its first sample to the arrival of the packet that carries it
back, plus its offset in that packet. A packet is captured in the 20 ms before it is sent. So the figure holds 20 ms of
framing and what the codecs look ahead, and nothing of a player's buffer: there is none.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from benchmark.chirps import LENGTH, RATE, Sound, locate
from benchmark.packets import FRAME, Packet, decode, parse

_LONGEST = 1.5
"Seconds after which a chirp is no longer looked for."

FRAME_SECONDS = FRAME / RATE


@dataclass(slots=True)
class Record:
    """Packets of one session, with the monotonic time of each, in seconds."""

    sent: list[float] = field(default_factory=list)
    received: list[tuple[float, bytes]] = field(default_factory=list)

    begin: int = 0
    "Packets that were sent before those in `sent`; the sound goes on over them, and round again at its end."

    def clear(self) -> None:
        """Begin anew; the next packet that is sent continues the sound."""
        self.cut()

    def cut(self) -> "Record":
        """What there is so far, of which this keeps nothing."""
        before = Record(self.sent, self.received, self.begin)
        self.begin, self.sent, self.received = self.begin + len(self.sent), [], []
        return before


@dataclass(frozen=True, slots=True)
class _Heard:
    """A stream as it was decoded: the packets' arrivals and the sample at which each begins."""

    arrivals: list[float]
    starts: list[int]
    sound: Sound


def unwrapped(packets: Sequence[Packet]) -> list[int]:
    """Sequence numbers of 16 bits as they were counted, for packets in the order of arrival."""
    counted: list[int] = []
    for packet in packets:
        last = counted[-1] if counted else packet.sequence
        counted.append(last + (packet.sequence - last + 0x8000) % 0x10000 - 0x8000)
    return counted


def latencies(record: Record, sound: Sound, skip: float = 0.0) -> list[float]:
    """Milliseconds of each chirp that came back whole; those of the first `skip` seconds are left out."""
    heard = _hear(record)
    chirps = [(_captured(begin, record), sound[begin % len(sound) :][:LENGTH]) for begin in _begins(record, skip)]
    found = [_latency(captured, chirp, heard) for captured, chirp in chirps]
    return [1000 * each for each in found if each is not None]


def _begins(record: Record, skip: float) -> range:
    """The sample at which each chirp begins, counted from the first that was ever sent."""
    first = record.begin * FRAME + round(skip * RATE)
    return range(-(-first // LENGTH) * LENGTH, (record.begin + len(record.sent)) * FRAME - LENGTH + 1, LENGTH)


def _captured(sample: int, record: Record) -> float:
    return record.sent[sample // FRAME - record.begin] - FRAME_SECONDS + sample % FRAME / RATE


def _hear(record: Record) -> _Heard:
    packets = [parse(data) for _, data in record.received]
    order = sorted(zip(unwrapped(packets), range(len(packets)), strict=True))
    pieces = decode(packets[index].payload for _, index in order)
    starts = np.cumsum([0, *(len(piece) for piece in pieces)])[:-1]
    arrivals = [record.received[index][0] for _, index in order]
    return _Heard(arrivals, [int(start) for start in starts], np.concatenate([np.zeros(0, np.float32), *pieces]))


def _latency(captured: float, chirp: Sound, heard: _Heard) -> float | None:
    arrivals = np.maximum.accumulate(heard.arrivals) if heard.arrivals else np.zeros(0)
    first = int(np.searchsorted(arrivals, captured))
    last = int(np.searchsorted(arrivals, captured + _LONGEST))
    if first >= last:
        return None
    offset, end = heard.starts[first], heard.starts[last] if last < len(heard.starts) else len(heard.sound)
    at = locate(chirp, heard.sound[offset:end])
    return None if at is None else _played(offset + at, heard) - captured


def _played(sample: int, heard: _Heard) -> float:
    """The earliest moment at which a sample can be played: its packet is there, and what is before it was played."""
    index = bisect_left(heard.starts, sample + 1) - 1
    return heard.arrivals[index] + (sample - heard.starts[index]) / RATE


def gaps(record: Record) -> list[float]:
    """Milliseconds between the arrivals of neighbours."""
    arrivals = [arrival for arrival, _ in record.received]
    return [1000 * (after - before) for before, after in pairwise(arrivals)]


def delivered(record: Record) -> float:
    """How much came back of what was sent, counted in sound, so that a server may pack it as it likes."""
    stamps = [parse(data) for _, data in record.received]
    if len(stamps) < 2 or not record.sent:
        return 0.0
    steps = [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(stamps)]
    length = float(np.median([step for step in steps if step < RATE] or [FRAME]))
    return len(stamps) * length / (len(record.sent) * FRAME)
