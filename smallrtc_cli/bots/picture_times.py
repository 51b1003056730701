"""When a received picture belongs, in the time of a recording. Pure.

Timestamps are even where arrivals are not, but they begin anywhere, and anew with each peer connection. So they give
the distance from picture to picture, and arrival the place, wherever the two are too far apart.
"""

_APART = 0.5
"Seconds by which timestamps and arrivals may differ: more is no jitter."

_STEP = 0.001
"Seconds: a container wants times that grow."


class PictureTimes:
    """Seconds since the first picture, growing."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._offset = 0.0
        self._last = -_STEP

    def at(self, stamp: float | None, now: float) -> float:
        """The time of a picture that came `now`, whose sender says `stamp` seconds, or nothing."""
        if self._began is None:
            self._began = now
        arrived = now - self._began
        at = arrived if stamp is None else stamp + self._offset
        if abs(at - arrived) > _APART or self._last < 0:
            at = arrived
            self._offset = arrived - (stamp or 0.0)
        self._last = max(at, self._last + _STEP)
        return self._last
