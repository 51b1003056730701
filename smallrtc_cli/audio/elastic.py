"""The buffer between a stream from the network and the clock of a sound card.

The stream comes in pieces that are early or late, at a rate that is its sender's; the card takes what it needs, at
its own. In between lies a delay, as short as the jitter of both allows. It is the sound that is held, had both sides
come as early as they ever do (`Pace`), so jitter does not disturb it and only the clocks' difference moves it.

    waiting ──the delay has grown to its target──> playing
    playing ──nothing left, or clear()───────────> waiting

The delay is led to its target by playing up to 0.5 % faster or slower, and at once where the sound is silent. The
target follows the jitter: it rises at once and falls slowly. What ends in the middle of sound is an underrun, and
fades out into an echo of its last 5 ms; what ends in silence is a pause. Every sample is accounted for:

    put + samples_inserted = taken + samples_dropped + held
"""

import threading

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.edges import Edges, shortened
from smallrtc_cli.audio.pace import Pace
from smallrtc_cli.audio.pcm import level_dbfs
from smallrtc_cli.audio.resampling import Resampler
from smallrtc_cli.audio.ring import Ring
from smallrtc_cli.audio.steering import Steering
from smallrtc_cli.config import Elastic


class ElasticBuffer:
    """Sound of one format, (n, channels) int16. `put` and `clear` belong to one thread, `take` may be another's.

    `now` is monotonic seconds, of the same clock on both sides. The work is done in `put`; `take` copies.
    """

    def __init__(self, rate: int = 48_000, channels: int = 2, settings: Elastic | None = None) -> None:
        self._settings = settings or Elastic()
        self._rate, self._channels = rate, channels
        self._fade = round(self._settings.fade * rate)
        self._ring = Ring(round(self._settings.capacity * rate), channels)
        self._edges = Edges(self._fade, channels)
        self._resampler = Resampler(channels)
        self._steering = Steering(self._settings)
        self._puts, self._takes = Pace(), Pace()
        self._playing = self._full = False
        self._lock = threading.Lock()
        self.underruns = 0
        "Times that sound (not silence) broke off because nothing was left."
        self.overruns = 0
        "Times that the buffer was full, because the reader had stopped or too much came at once."
        self.samples_dropped = 0
        "Samples per channel that came and were never given: cut silence, speed-up, overruns, `clear`."
        self.samples_inserted = 0
        "Samples per channel that were given and never came: silence, slow-down, the echo at an end."
        self.delay_sum = 0.0
        "Seconds that the samples of `emitted_count` waited, summed; W3C's jitterBufferDelay."
        self.emitted_count = 0
        "Samples per channel that came and were given; W3C's jitterBufferEmittedCount."

    @property
    def seconds(self) -> float:
        """How much sound is held: the target just after a piece that was early, half a piece less on average."""
        return len(self._ring) / self._rate

    @property
    def target(self) -> float:
        """Seconds of delay that are aimed at."""
        return self._steering.target

    @property
    def correction_ppm(self) -> float:
        """How much faster than it comes (slower, if below 0) sound is played now."""
        return self._steering.correction * 1e6

    def put(self, samples: NDArray[np.int16], now: float) -> None:
        """Add a piece that came at `now`; never waits."""
        if not len(samples):
            return
        length = len(samples) / self._rate
        fitted = self._resampler.resample(self._fitted_silence(samples), 1 + self._steering.correction)
        with self._lock:
            if not self._playing and not len(self._ring):
                self._puts = Pace()
            self._puts.note(length, now)
            self._count(len(fitted) - len(samples))
            self._store(fitted)
            self._steer(length)

    def take(self, count: int, now: float) -> NDArray[np.int16]:
        """Exactly `count` samples for the device that asks at `now`: the oldest, or silence."""
        out = np.zeros((count, self._channels), dtype=np.int16)
        with self._lock:
            self._catch_up(count)
            self._takes.note(count / self._rate, now)
            lead = 0 if self._playing else self._lead(count)
            given = self._give(out[lead:])
            self._edges.mix_tail(out)
            self._count(count - given)
            self._edges.remember(out[: lead + given])
            if lead + given < count:
                self._run_dry(out[lead + given :])
        return out

    def clear(self) -> None:
        """Drop what is held, with a fade-out of what is playing."""
        with self._lock:
            if self._playing:
                self._edges.end(self._ring.peek(self._fade))
            self.samples_dropped += self._ring.drop(len(self._ring))
            self._resampler.reset()
            self._wait()

    @property
    def _delay(self) -> float:
        """Seconds that would be held now, had both sides come as early as they do; see `Pace`."""
        return self.seconds + self._takes.due - self._puts.due

    def _count(self, more: int) -> None:
        """So many samples more (or less) go out than came in."""
        self.samples_inserted += max(more, 0)
        self.samples_dropped += max(-more, 0)

    def _fitted_silence(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """A silent piece as long as the delay needs it to be; another as it is."""
        error = self._steering.error
        if abs(error) < self._settings.slack or level_dbfs(samples) >= self._settings.silence:
            return samples
        return shortened(samples, round(error * self._rate), self._fade)

    def _store(self, fitted: NDArray[np.int16]) -> None:
        dropped = self._ring.write(fitted)
        self.samples_dropped += dropped
        self.overruns += bool(dropped) and not self._full
        self._full = self._full or bool(dropped)

    def _steer(self, length: float) -> None:
        self._steering.aim(length + self._puts.spread, length)
        if self._playing:
            self._steering.steer(self._delay, length)

    def _catch_up(self, count: int) -> None:
        """After an overrun, go on with what is new."""
        if not self._full:
            return
        self._full = False
        self._takes = Pace()
        self.samples_dropped += self._ring.drop(len(self._ring) - count - round(self.target * self._rate))
        if self._playing:
            self._edges.end(self._ring.peek(0))
            self._edges.begin(self._ring.peek(self._fade))

    def _lead(self, count: int) -> int:
        """How many samples of silence go before what is held: all of them, until the delay has grown to its target."""
        if not len(self._ring):
            return count
        lead = count - round((self._delay - self.target) * self._rate)
        if lead >= count:
            return count
        self._playing = True
        self._edges.begin(self._ring.peek(self._fade))
        return max(lead, 0)

    def _give(self, out: NDArray[np.int16]) -> int:
        self.delay_sum += self.seconds * min(len(out), len(self._ring))
        given = self._ring.read(out)
        self.emitted_count += given
        return given

    def _run_dry(self, rest: NDArray[np.int16]) -> None:
        """Nothing is left for the rest of a request: end in an echo, and wait for the delay to grow again."""
        if level_dbfs(self._edges.recent) > self._settings.silence:
            self.underruns += 1
            self._steering.rise()
        self._edges.end(self._ring.peek(0))
        self._edges.mix_tail(rest)
        self._edges.remember(rest)
        self._wait()

    def _wait(self) -> None:
        self._playing = False
        self._steering.rest()
