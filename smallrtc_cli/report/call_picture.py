"""What there is to see of a call at one moment: values only, drawn by `call_drawing`, shown by `call_view`.

None, or an empty sequence, stands where nothing is known yet and is drawn as a dash. Text may come from the other
side: what would steer the terminal is escaped when it is drawn, not here.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Voice:
    """One side's sound."""

    name: str
    "The device or file: `MacBook Microphone`, `talk.wav`."

    levels: Sequence[float] = ()
    "dBFS, the oldest first; the last ten are drawn."

    dbfs: float | None = None
    "The level now."

    note: str = ""
    "What else is to say: `unmuted`, `answered in 640 ms`."


@dataclass(frozen=True, slots=True)
class Line:
    """Something said or an event; events are `quiet`."""

    who: str
    text: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class CallPicture:
    """All of it. Only as many of the last `lines` are drawn as the terminal has room for."""

    place: str
    state: str
    me: Voice
    bot: Voice
    seconds: float | None = None
    path: str = ""
    "`host udp`."

    round_trip_ms: float | None = None
    jitter_ms: float | None = None
    loss_percent: float | None = None
    buffer_ms: float | None = None
    kbit_per_s: Sequence[float] = ()
    "The oldest first; the last is the figure, the last five are drawn."

    lines: Sequence[Line] = ()
    typing: tuple[str, int] | None = None
    "The text that is being typed and the cursor's place in it, in characters."

    statistics: Sequence[tuple[str, str]] | None = None
    "Names and values, unit included; None while they are folded away."

    keys: bool = False
    "Whether the table of keys is open."

    notice: str = ""
    "One sentence that needs attention: a lost device, a reconnect."
