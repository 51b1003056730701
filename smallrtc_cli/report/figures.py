"""Figures as people read them on a live view: every number has its unit, and a dash stands where none is known."""

import math
from collections.abc import Sequence

UNKNOWN = "–"
_BARS = "▁▂▃▄▅▆▇█"
_QUIETEST = -60.0
"dBFS: what is not louder has no bar in `level`, and the lowest in `level_history`."


def duration(seconds: float) -> str:
    """`0:54`, `12:03`, `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def figure(value: float | None, unit: str, digits: int = 0) -> str:
    return UNKNOWN if value is None else f"{value:.{digits}f} {unit}"


def level(dbfs: float | None) -> str:
    """A bar and a figure: `▅ -21 dB`; silence is a dot."""
    if dbfs is None:
        return UNKNOWN
    if dbfs <= _QUIETEST:
        return "·"
    return f"{_level_bar(dbfs)} {dbfs:.0f} dB"


def level_history(levels: Sequence[float]) -> str:
    """A bar for each of the levels, in dBFS: `▂▃▅▇▅▃▂`."""
    return "".join(_level_bar(dbfs) for dbfs in levels)


def history(values: Sequence[float]) -> str:
    """A bar for each of the values, the highest of them a full one: `▁▂▂▃█`."""
    top = max((value for value in values if math.isfinite(value)), default=0.0)
    return "".join(_bar(value / top if top > 0 else 0.0) for value in values)


def _level_bar(dbfs: float) -> str:
    return _bar((dbfs - _QUIETEST) / -_QUIETEST)


def _bar(share: float) -> str:
    """One of eight, for 0 to 1; what is no number is the lowest."""
    step = round(share * len(_BARS)) if math.isfinite(share) else 0
    return _BARS[min(max(step, 1), len(_BARS)) - 1]
