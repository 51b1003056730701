"""When a stream goes over from low delay to a way of coding that withstands loss, and back. Pure.

    low delay   --loss is reported; a pause, or 1 s at the latest-->     protected
    protected   --nothing was lost for 30 s; a pause-->                  low delay

A pause is not needed for the ear (see `encoding`), but costs nothing, and protection can wait for it a little.
Times are seconds of the stream's sound, and only grow.
"""

from typing import Final

QUIET: Final = -50.0
"dBFS below which a packet is a pause."

_PATIENCE: Final = 1.0
"Seconds: by then the next report comes, and a second more of loss unprotected is what everybody hears."

_FORGIVEN: Final = 30.0
"Seconds: paths that lose packets do so in bouts, and going to and fro would help nobody."


class Changeover:
    """Follows the reports on one stream."""

    def __init__(self) -> None:
        self._first: float | None = None
        "When loss was first reported, since low delay began."
        self._last = 0.0

    def reported(self, lost: float, now: float) -> None:
        """A report says that this fraction was lost since the one before."""
        if lost:
            self._last = now
            self._first = now if self._first is None else self._first

    def to_protection(self, level: float, now: float) -> bool:
        """Whether it is time, as what is said just now has that level in dBFS."""
        return level < QUIET or self._first is None or now - self._first >= _PATIENCE

    def to_low_delay(self, level: float, now: float) -> bool:
        """Whether it is time to go back."""
        due = level < QUIET and now - self._last >= _FORGIVEN
        if due:
            self._first = None
        return due
