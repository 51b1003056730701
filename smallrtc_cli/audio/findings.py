"""What an analysis found: numbers for a report, and sentences for who wrote the bot."""

from dataclasses import dataclass

from smallrtc_cli.audio.channels import Channels
from smallrtc_cli.audio.speed import NORMAL, Speed

FEW = 3
"So many gaps are named one by one; more are summed up."

EDGE_MS = 40.0
"A start or an end that is missing is told from here on: two codecs hold back 13 ms, a frame is 20 ms."

UNRECOGNISED = 0.2
"The part of the undisturbed blocks that may be unrecognisable before it is told: pauses and noise hide a few."


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Milliseconds between a block's capture and its return; `samples` blocks were located."""

    p50: float
    p95: float
    max: float
    samples: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A place: seconds from the beginning of the sent recording, and a length in milliseconds."""

    at: float
    ms: float


@dataclass(frozen=True, slots=True)
class AudioAnalysis:
    """What a path did to a sound. None stands where it cannot be told.

    With a wrong speed (`rate_ratio` not 1) only `snr_db`, `level_change_db` and `channels` are told: round trips have
    no meaning then, and gaps and losses are consequences.
    """

    enough: bool
    "Whether the sound sufficed to judge; without it the result is inconclusive."

    heard: bool = False
    "Whether any sound came back."

    broken: bool = False
    "Whether the sound is chopped too finely to be followed, though its pitch is recognised: most numbers are None."

    sought: int = 0
    located: int = 0
    "Blocks of 120 ms, every 40 ms, loud enough to be recognised, and how many of them were."

    unrecognised: int = 0
    "Blocks that were not located though no step, gap or end explains it."

    round_trip_ms: RoundTrip | None = None

    jitter_ms: float | None = None
    "Mean absolute difference of the round trips of consecutive blocks; steps of alignment count."

    drift_ppm: float | None = None
    "How much longer the received sound is, loss and insertion left out: above zero the far clock runs slow for us."

    snr_db: float | None = None
    "Signal to noise after alignment and a matching filter of 2 ms a block (`fidelity.quality`); at most 96."

    level_change_db: float | None = None
    "Level of the recognised part against the sent one, in the channels that are alive."

    channels: Channels | None = None
    speed: Speed = NORMAL

    gap_places: tuple[Stretch, ...] = ()
    "Silence of 5 ms or more in place of sound."

    lost_places: tuple[Stretch, ...] = ()
    "Sound that is missing: what follows is closer than it was."

    inserted_places: tuple[Stretch, ...] = ()
    "Something that was put in between: silence, or a piece that is stretched or played twice."

    lost_samples: int = 0
    inserted_samples: int = 0
    "At the rate of the sent recording."

    head_ms: float = 0.0
    tail_ms: float = 0.0
    "Audible sound before the beginning and after the end of what came back."

    @property
    def rate_ratio(self) -> float:
        """Pitch of what came back: 1.0 is right, 0.5 half speed."""
        return self.speed.ratio

    @property
    def gaps(self) -> int:
        return len(self.gap_places)

    @property
    def gap_ms(self) -> float:
        return sum(gap.ms for gap in self.gap_places)

    def faults(self) -> tuple[str, ...]:
        """What is wrong whatever the limits are, in sentences, worst first; noise, level, drift and delay are not."""
        if not self.enough:
            return ()
        if not self.heard:
            return ("nothing came back",)
        if self.broken and self.speed == NORMAL:
            return ("the sound comes back in pieces that are too short to recognise",)
        if not self.located and self.speed == NORMAL:
            return ("what came back is not the sound that was sent",)
        return (
            *self._speed(),
            *self._channels(),
            *self._edges(),
            *self._strange(),
            *self._places(),
            *self._merged(),
        )

    def _speed(self) -> list[str]:
        if self.speed == NORMAL:
            return []
        cause = f"{_khz(self.speed.made)} kHz audio is played as {_khz(self.speed.played)} kHz"
        other = _MIXED_UP.get(self.rate_ratio, "")
        return [f"the sound comes back at {_pace(self.rate_ratio)}: {cause}{other} (pitch {self.rate_ratio:.3f})"]

    def _channels(self) -> list[str]:
        told = {
            Channels.ONE_SIDED: "one of the two channels is lost",
            Channels.SWAPPED: "left and right are swapped",
        }
        return [told[self.channels]] if self.channels in told else []

    def _merged(self) -> list[str]:
        return ["left and right are merged into one"] if self.channels is Channels.MERGED else []

    def _edges(self) -> list[str]:
        ends = [("first", self.head_ms), ("last", self.tail_ms)]
        return [f"the {name} {ms:.0f} ms of the sound did not come back" for name, ms in ends if ms >= EDGE_MS]

    def _strange(self) -> list[str]:
        judged = self.located + self.unrecognised
        if not judged or self.unrecognised <= UNRECOGNISED * judged:
            return []
        return [f"{100 * self.unrecognised / judged:.0f} % of the sound cannot be recognised"]

    def _places(self) -> list[str]:
        kinds = [
            (
                "{ms:.0f} ms of sound are missing at {at:.2f} s",
                "pieces of sound are missing",
                self.lost_places,
            ),
            ("a gap of {ms:.0f} ms at {at:.2f} s", "gaps", self.gap_places),
            ("{ms:.0f} ms were inserted at {at:.2f} s", "pieces were inserted", self.inserted_places),
        ]
        return [sentence for one, many, places in kinds for sentence in _listed(one, many, places)]


_MIXED_UP = {0.5: ", or stereo as mono", 2.0: ", or mono as stereo"}


def _listed(one: str, many: str, places: tuple[Stretch, ...]) -> list[str]:
    """A sentence a place, the longest first; one for all when there are many."""
    if len(places) > FEW:
        total = sum(place.ms for place in places)
        return [f"{len(places)} {many}, {total:.0f} ms in all, the first at {places[0].at:.2f} s"]
    longest_first = sorted(places, key=lambda place: -place.ms)
    return [one.format(ms=place.ms, at=place.at) for place in longest_first]


def _pace(ratio: float) -> str:
    named = {0.5: "half speed", 2.0: "double speed", 3.0: "three times the speed"}
    return named.get(ratio, f"{ratio:.2f} times the speed")


def _khz(rate: int) -> str:
    return f"{rate / 1000:g}"
