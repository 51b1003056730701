"""At what speed the sound comes back: sample rates that were taken for others.

Samples made for one rate and played at another change pitch and speed by `played / made`. Pure.
"""

from dataclasses import dataclass

import numpy as np

from smallrtc_cli.audio.bands import BAND_RATE, Floats, in_band
from smallrtc_cli.audio.pitch import pitch_shift
from smallrtc_cli.audio.search import Ground, Match, first_matches, silence_floor

EXCERPT = 12
"Seconds of either sound in which another speed is sought: bounds the search for long files."

SURE = 0.5
"Correlation of a probe that convinces alone at normal speed; two that are less will also do."

SURE_ELSEWHERE = 0.75
"The same at another speed: many are tried, and a piece of 0.2 s of a foreign glide reaches 0.7."

BEYOND_DOUBT = 2.0
"Sum of the correlations of eight probes at normal speed above which no other speed is tried."

CERTAIN = 5.0
"The same, above which the rest of the speeds is not tried: a neighbouring speed reaches 1.6."


@dataclass(frozen=True, slots=True)
class Speed:
    """Samples made for `made` Hz are played at `played` Hz."""

    made: int
    played: int

    @property
    def ratio(self) -> float:
        return self.played / self.made


NORMAL = Speed(1, 1)

CONFUSIONS = tuple(
    Speed(made, played)
    for made, played in [
        (24_000, 48_000),
        (48_000, 24_000),
        (16_000, 48_000),
        (48_000, 16_000),
        (16_000, 24_000),
        (24_000, 16_000),
        (44_100, 48_000),
        (48_000, 44_100),
        (22_050, 48_000),
        (48_000, 22_050),
        (22_050, 16_000),
        (16_000, 22_050),
        (24_000, 44_100),
        (44_100, 24_000),
        (16_000, 44_100),
        (44_100, 16_000),
        (12_000, 48_000),
        (48_000, 12_000),
        (8_000, 48_000),
        (48_000, 8_000),
    ]
)
"The likeliest pair for each ratio: 8 kHz as 16 is also twice, 22.05 as 24 is also 44.1 as 48."


NEAR = 0.02
"How far a measured pitch may lie from a known confusion: its steps are 3 %."


def speed_of(sent: Floats, rate: int, here: Floats, there: Floats) -> tuple[Speed | None, list[Match]]:
    """The speed at which the sound came back, and where its probes were found.

    Speed None: the sound is not recognised. A speed without matches: it is, but is chopped too finely to follow.

    `sent` is the sent mono at its own `rate`, `here` the same in the band, `there` the received mono in the band.
    """
    best, speed = first_matches(here, Ground(there, silence_floor(there))), NORMAL
    if len(best) < 2 and _highest(best) < SURE:
        best = []
    if _weight(best) >= BEYOND_DOUBT:
        return speed, best
    ground = Ground(there[: EXCERPT * BAND_RATE], silence_floor(there))
    excerpt = sent[: EXCERPT * rate]
    for other in CONFUSIONS:
        matches = first_matches(in_band(excerpt, rate, other.made, other.played), ground)
        if _weight(matches) > _weight(best) and _highest(matches) >= SURE_ELSEWHERE:
            best, speed = matches, other
        if _weight(best) >= CERTAIN:
            break
    if speed != NORMAL:
        return speed, best
    heard = _by_pitch(here[: EXCERPT * BAND_RATE], there[: EXCERPT * BAND_RATE])
    return (NORMAL, best) if best and heard in (None, NORMAL) else (heard, [])


def _by_pitch(here: Floats, there: Floats) -> Speed | None:
    """The speed of a sound that is chopped: recognised by its pitch, though no piece of it is found."""
    shift = pitch_shift(here, there)
    if not shift.clear:
        return None
    nearest = min((NORMAL, *CONFUSIONS), key=lambda speed: abs(np.log(speed.ratio / shift.ratio)))
    return nearest if abs(nearest.ratio / shift.ratio - 1) <= NEAR else None


def _highest(matches: list[Match]) -> float:
    return max((match.height for match in matches), default=0.0)


def _weight(matches: list[Match]) -> float:
    return float(np.sum([match.height for match in matches]))
