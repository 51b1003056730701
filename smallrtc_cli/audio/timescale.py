"""Sound a little shorter or longer at the same pitch: one pitch period is left out, or comes twice. Pure.

A piece may be scaled by itself: both its ends stay what they were, so it fits to what is before and after it.
"""

import numpy as np

from smallrtc_cli.audio.period import LONGEST, SHORTEST, Samples, cross_faded, period

_LEAST_SEAM, _MOST_SEAM = 0.005, 0.01
"Seconds of the cross-fade, and of what is compared to find the period."


class TimeScale:
    """Scales pieces of one rate, and counts samples per channel."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self.removed = 0
        self.inserted = 0

    def shorten(self, samples: Samples, most: int, likeness: float = 0.0, *, anywhere: bool = False) -> Samples:
        """One period of up to `most` samples less, if two follow each other that are so much alike.

        `anywhere`: in silence, as much as `most` and the cross-fade allow, period or not.
        """
        lag, alike, seam = self._seam(samples, most, anywhere)
        if not lag or alike < likeness:
            return samples
        self.removed += lag
        return np.concatenate((cross_faded(samples[:seam], samples[lag : lag + seam], alike), samples[lag + seam :]))

    def lengthen(self, samples: Samples, most: int, likeness: float = 0.0) -> Samples:
        """The same, one period more."""
        lag, alike, seam = self._seam(samples, most, anywhere=False)
        if not lag or alike < likeness:
            return samples
        self.inserted += lag
        again = cross_faded(samples[lag : lag + seam], samples[:seam], alike)
        return np.concatenate((samples[:lag], again, samples[seam:]))

    def _seam(self, samples: Samples, most: int, anywhere: bool) -> tuple[int, float, int]:
        """Lag, likeness and length of the cross-fade; a lag of 0 where there is no room."""
        room = len(samples) - round(_LEAST_SEAM * self._rate)
        longest = min(room, most) if anywhere else min(room, most, round(LONGEST * self._rate))
        shortest = round(SHORTEST * self._rate)
        if longest < shortest:
            return 0, 0.0, 0
        seam = min(len(samples) - longest, round(_MOST_SEAM * self._rate))
        if anywhere:
            return longest, 0.0, seam
        lag, alike = period(samples[: longest + seam][::-1], shortest, longest)
        return lag, alike, seam
