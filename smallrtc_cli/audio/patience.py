"""How long a missing packet is worth waiting for: what would have been best for those that were missing before.

A packet counts as missing from when a later one came. Some come yet: the network reorders, and waiting is rewarded.
Some never do: they were lost, and each wait was a stall for nothing. So jitter that keeps the order, as most queues'
does, asks for no wait, and a path that reorders is waited for as long as it needs. Pure.
"""

from itertools import accumulate
from math import inf

from smallrtc_cli.config import Playout


class Patience:
    """Remembers the fate of missing packets, by their unwrapped sequence numbers."""

    def __init__(self, settings: Playout) -> None:
        self._settings = settings
        self._late: dict[int, float] = {}
        self._noticed: dict[int, float] = {}
        self._packets = 0
        self.wait = settings.first_wait
        "Seconds from when a hole shows to when it is given up."

    def in_order(self) -> None:
        """A packet has come in its turn."""
        self._packets += 1
        if self._packets == self._settings.warm and not self._late:
            self.wait = 0.0

    def filled(self, sequence: int, late: float) -> None:
        """A missing packet came in time, `late` seconds after a later one."""
        self._learn(sequence, late)

    def given_up(self, sequences: range, noticed: float) -> None:
        """Packets that were missing since `noticed` have been concealed."""
        for sequence in sequences[-self._settings.memory :]:
            self._noticed[sequence] = noticed
            self._learn(sequence, inf)

    def came(self, sequence: int, now: float) -> bool:
        """A packet came too late; False if it is none of those that were given up and remembered."""
        noticed = self._noticed.pop(sequence, None)
        if noticed is None:
            return False
        self._learn(sequence, now - noticed)
        return True

    def _learn(self, sequence: int, late: float) -> None:
        self._late[sequence] = late
        for known in (self._late, self._noticed):
            while len(known) > self._settings.memory:
                del known[next(iter(known))]
        self.wait = self._best()

    def _best(self) -> float:
        """The wait that would have cost least: the time waited, and a stake for each packet that came later still."""
        late = sorted(x for x in self._late.values() if x <= self._settings.longest_wait)
        total, best, least = len(self._late), 0.0, len(self._late) * self._settings.stake
        for number, (wait, waited) in enumerate(zip(late, accumulate(late), strict=True), start=1):
            cost = waited + (total - number) * (wait + self._settings.stake)
            if cost < least:
                best, least = wait + self._settings.margin, cost
        return min(best, self._settings.longest_wait)
