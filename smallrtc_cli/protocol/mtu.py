"""The search for the largest chunk that a path carries, as a value: no clock, no socket.

`next(now)` gives the probes to send in one burst, `answered` and `too_big` take what comes back, `deadline` tells
when `next` wants to be called again, until there is a `result`. A first round of common sizes brackets the limit, the
next one has every step within the bracket, and what is not answered is tried again:

    common sizes ──▶ every step in the bracket ──▶ again, what is above the best ──▶ FOUND (or BELOW the smallest)
         │                                                │ a larger one is answered: a new bracket
         └──▶ nothing at all, several times: UNANSWERED ◀─┘

What it promises: an answer is the only proof that a size passes, so the result is never too high. A size is refused
when `TRIES` of its probes were lost in rounds whose last, small probes came back: neither a random loss, nor a path
that is gone for a moment, nor a slow one is read as a limit. It ends after `time_limit` at the latest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

STEP: Final = 4
"SCTP pads chunks to four bytes (RFC 9260 section 3.2): a finer search finds nothing."

TRIES: Final = 3
"Probes of one size that must be lost: at 15 % loss each way that happens to one size of fifty by chance."

SENTINELS: Final = 3
"Small probes at the end of a round; an answer to one says that all others have been answered, or are lost."

RUN: Final = 6
"Steps in a row that must be refused, also where the first of them closes the bracket."

LOOK_AHEAD: Final = 2
"Common sizes above the bracket that are sent with it: the one that closes it may have been lost by chance."

MOST_ROUNDS: Final = 30

_QUIET: Final = 0.012
"Seconds without an answer after which no other is expected, at least: what a late timer costs."


_LONG, _FEW = 0.1, 48
"From this round trip on (seconds) so many sizes are sent twice at once: a round more would cost more than packets do."


@dataclass(frozen=True, slots=True)
class Probe:
    """A packet to send, as long as one with a chunk of `size` user bytes."""

    id: int
    size: int


class Outcome(StrEnum):
    """How a search ended."""

    FOUND = "found"
    BELOW = "below"
    "The other side answers, but not the smallest size that was looked for."

    UNANSWERED = "unanswered"
    "Not even the small probes were answered: the other side does not know them, or is gone."


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search has found, in user bytes of a chunk."""

    outcome: Outcome
    largest: int | None
    "The largest size that passed."

    refused: int | None
    "The smallest size that surely does not pass; None where nothing was refused."

    exact: bool
    "Whether the very next step was refused; else the largest is a lower bound."

    local: bool
    "Whether our own system set the limit."

    probes: int
    seconds: float


@dataclass(slots=True)
class _Round:
    """What was sent at once."""

    sent: float
    sizes: tuple[int, ...]
    waiting: dict[int, int]
    "Sizes by the ids of the probes that have not been answered."

    last: frozenset[int]
    heard: float | None = None
    "When the last of them was answered."

    over: bool = False
    "One of the last probes was answered."


class MtuSearch:
    """One search; all sizes are multiples of four, and `common` ones between `floor` and `ceiling` come first."""

    def __init__(
        self,
        floor: int,
        ceiling: int,
        rtt: float,
        *,
        common: Sequence[int] = (),
        time_limit: float = 3.0,
    ) -> None:
        """`rtt` in seconds may be a guess."""
        self._common = sorted({floor, ceiling, *(size for size in common if floor < size < ceiling)})
        self._floor, self._ceiling, self._cap = floor, ceiling, ceiling
        self._rtt, self._time_limit = rtt, time_limit
        self._tries: dict[int, int] = {}
        self._earlier: dict[int, tuple[int, float]] = {}
        self._round: _Round | None = None
        self._began = 0.0
        self._silent = 0
        self._alive = False
        self._sent = 0
        self.rounds = 0
        self.best: int | None = None
        "The largest size that has been answered so far."
        self.result: Finding | None = None

    @property
    def round_trip(self) -> float:
        """Seconds, as last measured, or the guess."""
        return self._rtt

    # What comes back

    def answered(self, probe_id: int, now: float) -> None:
        """A probe came through; its answer may be late."""
        current = self._round
        if self.result is not None or current is None:
            return
        size = current.waiting.pop(probe_id, None)
        if size is not None:
            self._rtt = now - current.sent if current.heard is None else self._rtt
            current.heard, current.over = now, current.over or probe_id in current.last
        elif probe_id in self._earlier:
            size, sent = self._earlier.pop(probe_id)
            self._rtt = max(self._rtt, now - sent)
        if size is not None:
            self._alive = True
            if size >= self._floor:
                self.best = max(size, self.best or 0)

    def too_big(self, size: int) -> None:
        """Our own system does not send this size in one piece, nor any larger one."""
        self._cap = min(self._cap, size - STEP)
        if self._round is not None:
            self._round.waiting = {i: s for i, s in self._round.waiting.items() if s < size}

    # Time

    @property
    def deadline(self) -> float | None:
        """When `next` wants to be called, in the caller's seconds; None before the start and after the end."""
        current = self._round
        if current is None:
            return None
        quiet = max(_QUIET, 0.15 * self._rtt)
        if not current.waiting:
            due = current.heard or current.sent
        elif current.heard is None:
            due = current.sent + (self._rtt + 2 * quiet) * 2 ** max(0, self._silent - 1)
        else:
            due = current.heard + (quiet if current.over else 2 * quiet)
        return min(due, self._began + self._time_limit)

    def next(self, now: float) -> list[Probe]:
        """The probes to send now, in ascending order; none while there is something to wait for, and at the end."""
        if self.result is not None:
            return []
        if self.rounds == 0:
            self._began = now
        elif self.deadline is not None and now < self.deadline:
            return []
        self._end_round()
        wanted = self._wanted()
        if outcome := self._outcome(now, wanted):
            self._finish(outcome, now)
            return []
        return self._begin_round(wanted, now)

    # Rounds

    def _begin_round(self, wanted: list[int], now: float) -> list[Probe]:
        self.rounds += 1
        twice = self.rounds > 1 and self._rtt >= _LONG and len(wanted) <= _FEW
        wanted = sorted(wanted * 2) if twice else wanted
        sizes = [*wanted, *[STEP] * SENTINELS]
        probes = [Probe(self._sent + i, size) for i, size in enumerate(sizes)]
        self._sent += len(probes)
        waiting = {probe.id: probe.size for probe in probes}
        self._round = _Round(now, tuple(wanted), waiting, frozenset(probe.id for probe in probes[-SENTINELS:]))
        return probes

    def _end_round(self) -> None:
        ended, self._round = self._round, None
        if ended is None:
            return
        self._earlier |= {i: (size, ended.sent) for i, size in ended.waiting.items()}
        self._silent = self._silent + 1 if ended.heard is None else 0
        if ended.over:
            for size in ended.sizes:
                self._tries[size] = self._tries.get(size, 0) + 1

    def _wanted(self) -> list[int]:
        """What may still pass: the common sizes; then every step up to the next of them, and some of those above."""
        proven = self._floor - STEP if self.best is None else self.best
        sizes = [size for size in self._common if size > proven]
        if any(self._tries.get(size) for size in sizes) or not sizes or sizes[0] > self._cap:
            bracket = [size for size in sizes if size > self._floor]
            end = max(min([*bracket, self._cap + STEP]), proven + STEP * (1 + RUN))
            sizes = sorted({*range(proven + STEP, end, STEP), *bracket[: 1 + LOOK_AHEAD]})
        return [size for size in sizes if size <= self._cap and self._tries.get(size, 0) < TRIES]

    # The end

    def _outcome(self, now: float, wanted: list[int]) -> Outcome | None:
        elapsed = now - self._began
        late = elapsed >= self._time_limit or self.rounds >= MOST_ROUNDS
        if not self._alive:
            deaf = self._silent > 1 and elapsed >= max(0.25, 3 * self._rtt)
            return Outcome.UNANSWERED if deaf or late else None
        if wanted and not late:
            return None
        return Outcome.BELOW if self.best is None else Outcome.FOUND

    def _finish(self, outcome: Outcome, now: float) -> None:
        next_step = self._floor if self.best is None else self.best + STEP
        local = self._cap < self._ceiling
        refused = [size for size, tries in self._tries.items() if tries >= TRIES and size >= next_step]
        smallest = min([*refused, *([max(next_step, self._cap + STEP)] if local else [])], default=None)
        self.result = Finding(
            outcome=outcome,
            largest=self.best,
            refused=smallest if outcome is not Outcome.UNANSWERED else None,
            exact=smallest == next_step,
            local=local and smallest == max(next_step, self._cap + STEP),
            probes=self._sent,
            seconds=now - self._began,
        )
