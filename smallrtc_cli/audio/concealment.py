"""Makes up sound that was lost: by the decoder, or by repeating the last pitch period; faded, and joined. Pure.

Sound goes on for 40 ms at its level and is silent after 100. What is received next fades in from where that was.
"""

from collections import deque

import numpy as np

from smallrtc_cli.audio.codecs import Decoder
from smallrtc_cli.audio.period import LONGEST, SHORTEST, Samples, as_samples, cross_faded, period
from smallrtc_cli.config import Playout
from smallrtc_cli.errors import UndecodablePacket

_PAST = 0.04
"Seconds that are looked back for a pitch period: two of the longest, and something to compare."

_LEVELLING = 0.002
"Seconds over which a step at the seam of two periods is levelled out."


class Concealment:
    """Follows the sound; a run of concealment begins with `conceal` and ends with `join`."""

    def __init__(self, decoder: Decoder, settings: Playout) -> None:
        self._decoder, self._settings = decoder, settings
        self._fade = round(settings.fade * decoder.rate)
        self._pieces: deque[Samples] = deque()
        self._held = 0
        self._made = 0
        self._gain = 1.0
        self._cycle: Samples | None = None
        self.events = 0
        "Runs so far."

    @property
    def audible(self) -> bool:
        """Whether the run has not yet faded to silence."""
        return self._made < self._settings.silent * self._decoder.rate

    def restart(self) -> None:
        """What comes belongs to something else."""
        self._pieces.clear()
        self._held = self._made = 0
        self._gain, self._cycle = 1.0, None

    def conceal(self, count: int) -> Samples:
        """`count` samples more of this run."""
        self.events += not self._made
        made = self._by_decoder(count)
        if made is None:
            return self._faded(self._repeated(count))
        self._remember(made)
        return self._faded(made)

    def end(self, sound: Samples) -> Samples:
        """The last of the run, when a pause follows: fades out, and the run is silent from there on."""
        self._gain, self._made = 0.0, round(self._settings.silent * self._decoder.rate)
        fade = min(self._fade, len(sound))
        return np.concatenate((sound[: len(sound) - fade], cross_faded(sound[len(sound) - fade :], sound[:fade] * 0)))

    def join(self, samples: Samples) -> Samples:
        """Received sound, as it follows; ends the run."""
        if self._made:
            samples = self._joined(samples)
            self._made, self._gain, self._cycle = 0, 1.0, None
        self._remember(samples)
        return samples

    def _joined(self, samples: Samples) -> Samples:
        fade = min(self._fade, len(samples))
        if self._gain == 1.0 or (self._cycle is not None and self._gain):
            # A decoder's own way back has a step, too: SILK's as large as twice those of the voice.
            return np.concatenate((cross_faded(self._faded(self._repeated(fade)), samples[:fade]), samples[fade:]))
        rising = np.linspace(self._gain, 1.0, fade)[:, None]
        return np.concatenate((as_samples(samples[:fade] * rising), samples[fade:]))

    def _remember(self, samples: Samples) -> None:
        self._pieces.append(samples)
        self._held += len(samples)
        while self._held - len(self._pieces[0]) >= _PAST * self._decoder.rate:
            self._held -= len(self._pieces.popleft())

    def _faded(self, sound: Samples) -> Samples:
        """Full level until `steady`, silence from `silent` on."""
        begin = self._made / self._decoder.rate
        self._made += len(sound)
        if self._made <= self._settings.steady * self._decoder.rate:
            return sound
        time = begin + np.arange(len(sound)) / self._decoder.rate
        fading = self._settings.silent - self._settings.steady
        gain = np.clip((self._settings.silent - time) / fading, 0.0, 1.0)
        self._gain = float(gain[-1])
        return as_samples(sound * gain[:, None])

    def _by_decoder(self, count: int) -> Samples | None:
        if self._cycle is not None:
            return None
        try:
            made = self._decoder.conceal(count)
        except UndecodablePacket:
            return None
        return made if made is not None and len(made) == count else None

    def _repeated(self, count: int) -> Samples:
        """The period over and over; by an index, as `np.tile` and `np.roll` leave Python a tuple to keep each time."""
        if self._cycle is None:
            self._cycle = self._last_period()
        size = len(self._cycle)
        around = self._cycle[np.arange(count + size) % size]
        self._cycle = around[count:]
        return around[:count]

    def _last_period(self) -> Samples:
        """The last pitch period, its start bent so that it follows its own end without a step."""
        past = np.concatenate([np.zeros((0, self._decoder.channels), np.int16), *self._pieces])
        shortest = round(SHORTEST * self._decoder.rate)
        longest = min(round(LONGEST * self._decoder.rate), len(past) // 2)
        if longest < shortest:
            return np.zeros((shortest, self._decoder.channels), np.int16)
        lag, _ = period(past[-round(_PAST * self._decoder.rate) :], shortest, longest)
        cycle = past[-lag:].astype(np.float64)
        levelling = min(lag, round(_LEVELLING * self._decoder.rate))
        step = cycle[-1] - past[-lag - 1]
        cycle[:levelling] += step * np.linspace(1.0, 0.0, levelling)[:, None]
        return as_samples(cycle)
