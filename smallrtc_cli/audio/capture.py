"""What a microphone gave, judged: does it hear anything, and well? Pure."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.pcm import level_dbfs

QUIET = -60.0
"dBFS of the loudest half second; below that there is the noise of an input without a microphone, or a distant room."

CLIPPED = 0.001
"The part of the samples at full scale from which on it is heard."

DEAD = -30.0
"dB below the other side, where a side has nothing but what leaks into it."

_STRETCH = 0.5
"Seconds; a person who is asked to speak fills that much."

_FULL = 32_767


class Fault(StrEnum):
    """What is wrong with it, the first that holds."""

    NOTHING = "nothing"
    SILENT = "silent"
    CLIPPING = "clipping"
    QUIET = "too quiet"
    ONE_SIDED = "one-sided"


@dataclass(frozen=True, slots=True)
class Capture:
    """The figures of a piece of sound."""

    seconds: float
    level: float
    "dBFS RMS of the loudest half second of the loudest channel."

    peak: float
    "dBFS."

    clipped: float
    "The part of the samples of the worst channel that are at full scale."

    sides: tuple[float, ...]
    "The level of each channel."

    @property
    def fault(self) -> Fault | None:
        if not self.seconds:
            return Fault.NOTHING
        if self.peak == float("-inf"):
            return Fault.SILENT
        if self.clipped >= CLIPPED:
            return Fault.CLIPPING
        if self.level < QUIET:
            return Fault.QUIET
        return Fault.ONE_SIDED if min(self.sides) < max(self.sides) + DEAD else None

    def sentence(self, name: str) -> str | None:
        """The fault for people; `name` is that of the microphone."""
        match self.fault:
            case None:
                return None
            case Fault.NOTHING:
                return f"nothing comes from `{name}`: its sound server or driver does not run"
            case Fault.SILENT:
                return f"the microphone `{name}` is silent: muted, or the wrong one"
            case Fault.CLIPPING:
                return f"the microphone `{name}` clips: {self.clipped:.1%} of it is at full scale; turn it down"
            case Fault.QUIET:
                return f"the microphone `{name}` is too quiet: {self.level:.0f} dBFS; turn it up, or speak closer to it"
            case Fault.ONE_SIDED:
                live = "left" if self.sides[0] > self.sides[1] else "right"
                return f"only the {live} side of `{name}` has sound: a plug that is half in, or a broken cable"


def measured(samples: NDArray[np.int16], rate: int) -> Capture:
    """The figures of samples of shape (n, 1 or 2)."""
    if not len(samples):
        nothing = float("-inf")
        return Capture(0.0, nothing, nothing, 0.0, (nothing,) * samples.shape[1])
    sides = tuple(_loudest(side, round(_STRETCH * rate)) for side in samples.T)
    magnitude = np.abs(samples.astype(np.int32))
    clipped = float((magnitude >= _FULL).mean(axis=0).max())
    top = int(magnitude.max())
    peak = float(20 * np.log10(top / (_FULL + 1))) if top else float("-inf")
    return Capture(len(samples) / rate, max(sides), peak, clipped, sides)


def _loudest(side: NDArray[np.int16], stretch: int) -> float:
    """The level of the loudest stretch; stretches overlap by half."""
    starts = range(0, max(1, len(side) - stretch // 2), max(1, stretch // 2))
    return max(level_dbfs(side[start : start + stretch]) for start in starts)
