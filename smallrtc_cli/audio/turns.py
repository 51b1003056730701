"""How long the bot makes a person wait: from the end of my speech to its first sound, as heard, for each turn.

Pure. Both sides are told piece by piece with their times, those at the microphone and those at the speaker. The two
may come in any order to each other: what is heard lies ahead of now, by the speaker's buffer, and what is said behind.
"""

from collections import deque

import numpy as np

HANGOVER = 0.3
"Seconds of silence that end a speech; a shorter pause is a part of it."

SPEECH = 0.06
"Seconds of loud sound that make a speech of mine: a click is none."

SOUND = 0.04
"The same of the bot's: a single broken frame is none."

_THRESHOLD = -45.0
"dBFS; speech is louder, where it is quiet."

_ABOVE_NOISE = 9.0
"dB above the noise in which speech is spoken."

_QUIETEST, _NOISIEST = -60.0, -38.0
"dBFS; between which the noise is looked for. Above that it could as well be a steady voice."

_RISE = 6.0
"dB a second by which the noise is taken for louder while nothing quieter comes: speech has pauses, noise has none."

_ONSETS = 16
"Beginnings of the bot's sound that are remembered, until the end of a speech before them is certain."


class Voice:
    """What one side says: speeches, with pauses of less than `HANGOVER` in them."""

    def __init__(self, least: float) -> None:
        self._least = least
        self._noise = _QUIETEST
        self._loud = 0.0
        self.begin = self.end = self.now = float("-inf")
        "Of the speech that is on or was last; and how far this side has been told."

    @property
    def spoke(self) -> bool:
        """Whether that is long enough to be a speech."""
        return self._loud >= self._least

    @property
    def is_over(self) -> bool:
        return self.now - self.end >= HANGOVER

    def add(self, dbfs: float, start: float, seconds: float) -> None:
        """The next piece of sound or silence."""
        self._noise = float(np.clip(min(dbfs, self._noise + _RISE * seconds), _QUIETEST, _NOISIEST))
        self.now = start + seconds
        if dbfs <= max(_THRESHOLD, self._noise + _ABOVE_NOISE):
            return
        if start - self.end >= HANGOVER:
            self.begin, self._loud = start, 0.0
        self.end = self.now
        self._loud += seconds


class Turns:
    """Measures the bot's answers. Bot sound that was on when a speech ended is no answer to it."""

    def __init__(self) -> None:
        self._me, self._bot = Voice(SPEECH), Voice(SOUND)
        self._onsets: deque[float] = deque(maxlen=_ONSETS)
        self._asked: float | None = None
        self._judged = float("-inf")
        self.answers: list[float] = []
        "Seconds from the end of a speech of mine to the bot's first sound after it, in order."

    def said(self, dbfs: float, start: float, seconds: float) -> None:
        """What I say, or do not say, at a time."""
        self._me.add(dbfs, start, seconds)
        if self._me.spoke and not self._me.is_over:
            self._asked = None
        elif self._me.spoke and self._me.begin > self._judged:
            self._judged, self._asked = self._me.begin, self._me.end
            self._match()

    def heard(self, dbfs: float, start: float, seconds: float) -> None:
        """What the bot says, or does not say, at a time."""
        self._bot.add(dbfs, start, seconds)
        if self._bot.spoke and self._bot.begin not in self._onsets:
            self._onsets.append(self._bot.begin)
            self._match()

    def quantile(self, share: float) -> float | None:
        """The seconds within which this share of all answers came; None before there is one."""
        return float(np.quantile(self.answers, share)) if self.answers else None

    def _match(self) -> None:
        asked = self._asked
        if asked is None:
            return
        answer = next((onset for onset in self._onsets if onset >= asked), None)
        if answer is not None:
            self.answers.append(answer - asked)
            self._asked = None
