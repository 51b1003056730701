"""Puts received packets into the order in which they were sent. Pure: `arrived` and `now` are monotonic seconds.

in its turn, nothing waits       leaves at once
ahead of its turn                waits until the hole before it is filled or given up
behind its turn                  discarded, or a duplicate
far from it, and so the next     a new start of the sender's (RFC 3550, appendix A.1)
"""

from dataclasses import dataclass
from math import inf

from smallrtc_cli.audio.patience import Patience
from smallrtc_cli.config import Playout

_ROUND = 1 << 16
_FARTHEST_AHEAD = 3000
_FARTHEST_BEHIND = 100
"Sequence numbers: MAX_DROPOUT and MAX_MISORDER of RFC 3550."


@dataclass(slots=True)
class Packet:
    """What an RTP packet carries; an empty payload has nothing to decode."""

    timestamp: int
    payload: bytes
    arrived: float
    missing: int | None = 0
    "How many packets before it were given up; None: it begins a new sequence."


class Order:
    """Holds what came ahead of its turn, `settings.capacity` packets at most and no longer than until `deadline`."""

    def __init__(self, settings: Playout) -> None:
        self._settings = settings
        self._patience = Patience(settings)
        self._waiting: dict[int, Packet] = {}
        self._first = self._next = 0
        self._begun = False
        self._stray: int | None = None
        self.discarded = 0
        "Packets that came too late, or once from nowhere."
        self.duplicates = 0

    @property
    def wait(self) -> float:
        """Seconds that a missing packet would be waited for now."""
        return self._patience.wait

    @property
    def deadline(self) -> float | None:
        """When the hole that holds others back is given up; None: there is none."""
        return self._noticed + self._patience.wait if self._waiting else None

    def accept(self, sequence: int, packet: Packet) -> list[Packet]:
        """Take what came; returns what leaves, in order."""
        if not self._begun:
            return self._begin(sequence, packet)
        ahead = (sequence - self._next + _ROUND // 2) % _ROUND - _ROUND // 2
        if not ahead and not self._waiting:
            self._next += 1
            self._patience.in_order()
            return [packet]
        if not -_FARTHEST_BEHIND <= ahead <= _FARTHEST_AHEAD:
            return self._far_off(sequence, packet)
        self._place(self._next + ahead, packet)
        return self.release(packet.arrived)

    def release(self, now: float) -> list[Packet]:
        """What leaves by time alone."""
        ready = []
        while self._waiting:
            packet = self._waiting.pop(self._next, None) or self._over_the_hole(now)
            if packet is None:
                break
            self._next += 1
            ready.append(packet)
        return ready

    def restart(self) -> list[Packet]:
        """What still waits leaves; the next packet begins a new sequence."""
        rest = self.release(inf)
        self._begun = False
        return rest

    @property
    def _noticed(self) -> float:
        """Packets wait in the order of their arrival: the oldest of them has shown the hole."""
        return next(iter(self._waiting.values())).arrived

    def _begin(self, sequence: int, packet: Packet) -> list[Packet]:
        """Numbers go on in a round of their own, so that none is taken for one of before."""
        self._begun, self._stray = True, None
        self._first = (self._next // _ROUND + 2) * _ROUND + sequence
        self._next = self._first + 1
        packet.missing = None
        return [packet]

    def _far_off(self, sequence: int, packet: Packet) -> list[Packet]:
        """One packet from nowhere may be an error; a second that follows it is a new start."""
        if sequence == self._stray:
            return [*self.restart(), *self._begin(sequence, packet)]
        self._stray = (sequence + 1) % _ROUND
        self.discarded += 1
        return self.release(packet.arrived)

    def _place(self, sequence: int, packet: Packet) -> None:
        if sequence < self._next:
            late = self._patience.came(sequence, packet.arrived) or sequence < self._first
            self.discarded += late
            self.duplicates += not late
        elif sequence in self._waiting:
            self.duplicates += 1
        else:
            overtaken = [other.arrived for number, other in self._waiting.items() if number > sequence]
            if overtaken:
                self._patience.filled(sequence, packet.arrived - overtaken[0])
            self._waiting[sequence] = packet

    def _over_the_hole(self, now: float) -> Packet | None:
        """The packet after the hole, if that is overdue."""
        if len(self._waiting) <= self._settings.capacity and now < self._noticed + self._patience.wait:
            return None
        noticed, after = self._noticed, min(self._waiting)
        packet = self._waiting.pop(after)
        packet.missing = after - self._next
        self._patience.given_up(range(self._next, after), noticed)
        self._next = after
        return packet
