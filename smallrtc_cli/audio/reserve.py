"""What a player holds that plays in real time: no more than it needs, lastingly. Pure.

After a stall all comes at once, and from then on every sound is played as much later: nobody who plays in real time
gets rid of a delay by himself. So what he holds is watched. If it is never less than an excess, for longer than
jitter explains, then that much is not needed, and pitch periods are taken out, one at a time, until it is gone. A
sender's clock that is fast is the same in small steps; one that is slow asks for a period more, if a reserve is kept.

    held lastingly ≥ reserve + excess ──> shortening ──less than a period left──> as it is
    held now < reserve                ──> lengthening
"""

from collections import deque

from smallrtc_cli.audio.pcm import level_dbfs
from smallrtc_cli.audio.period import SHORTEST, Samples
from smallrtc_cli.audio.timescale import TimeScale
from smallrtc_cli.config import Playout

_ROUNDING = 0.001
"Seconds by which an excess may fall short: a packet's length is not to be missed by a timer's accuracy."


class Reserve:
    """Fits each piece, just before the player gets it, to what the player holds."""

    def __init__(self, rate: int, settings: Playout) -> None:
        self._rate, self._settings = rate, settings
        self._scale = TimeScale(rate)
        self._levels: deque[tuple[float, float]] = deque()
        self._since: float | None = None
        self._shortening = False
        self._last_step = float("-inf")

    @property
    def removed(self) -> int:
        """Samples per channel that were left out."""
        return self._scale.removed

    @property
    def inserted(self) -> int:
        """Samples per channel that came twice."""
        return self._scale.inserted

    def fit(self, samples: Samples, held: float, now: float) -> Samples:
        """The piece as the player should get it, who still holds `held` seconds of what he got before."""
        spare = self._spare(held, now)
        if held > self._settings.reserve + self._settings.longest_wait:
            return self._scale.shorten(samples, len(samples), anywhere=True)
        if spare is not None and self._needs_shortening(spare, now):
            return self._shorten(samples, spare, now)
        if held < self._settings.reserve:
            return self._lengthen(samples, now)
        return samples

    def _spare(self, held: float, now: float) -> float | None:
        """The least that was held over the reserve in the last `lasting` seconds; None until that is known.

        Kept as if every step so far had been taken before: levels ascend, so the first is the least.
        """
        level, steps = held, (self.removed - self.inserted) / self._rate
        if self._since is None:
            self._since = now
        while self._levels and self._levels[-1][1] >= level + steps:
            self._levels.pop()
        self._levels.append((now, level + steps))
        while self._levels[0][0] < now - self._settings.lasting:
            self._levels.popleft()
        if now - self._since < self._settings.lasting:
            return None
        return self._levels[0][1] - steps - self._settings.reserve

    def _needs_shortening(self, spare: float, now: float) -> bool:
        if not self._shortening and spare >= self._settings.excess - _ROUNDING:
            self._shortening, self._last_step = True, now - self._settings.step
        self._shortening = self._shortening and spare >= SHORTEST
        return self._shortening

    def _shorten(self, samples: Samples, spare: float, now: float) -> Samples:
        most = round(spare * self._rate)
        if level_dbfs(samples) < self._settings.quiet:
            return self._scale.shorten(samples, most, anywhere=True)
        if now - self._last_step < self._settings.step and spare < self._settings.hurry:
            return samples
        return self._stepped(self._scale.shorten(samples, most, self._likeness(now)), samples, now)

    def _lengthen(self, samples: Samples, now: float) -> Samples:
        if now - self._last_step < self._settings.step:
            return samples
        return self._stepped(self._scale.lengthen(samples, len(samples), self._likeness(now)), samples, now)

    def _stepped(self, scaled: Samples, samples: Samples, now: float) -> Samples:
        if scaled is not samples:
            self._last_step = now
        return scaled

    def _likeness(self, now: float) -> float:
        """How much alike two periods must be: the less, the longer none was found."""
        waited = (now - self._last_step - self._settings.step) / self._settings.lasting
        return self._settings.likeness * max(0.0, 1 - waited)
