"""How many of our packets the other side is going to lose, by what it has reported. Pure.

Error correction makes sound dearer and, where nothing is lost, worse. So it begins with the first loss that is
reported, and ends when there has been none for a while: 20 reports after the least that can be told, 50 after 5 %.
"""

from dataclasses import replace

from smallrtc_cli.config import Opus

_DECAY = 0.9
"From one report to the next, which RTCP sends once a second."

_FORGOTTEN = 1 / 256 / 8
"An eighth of the least that a report can tell."


class ExpectedLoss:
    """Follows the reports on one stream."""

    def __init__(self) -> None:
        self._fraction = 0.0

    def reported(self, fraction: float) -> None:
        """A report says that so much was lost since the one before."""
        self._fraction = max(fraction, self._fraction * _DECAY)
        if self._fraction < _FORGOTTEN:
            self._fraction = 0.0

    def applied(self, settings: Opus) -> Opus:
        """The settings, with error correction where that helps: for no less than the loss that they name."""
        if not self._fraction:
            return replace(settings, fec=False, loss=0)
        return replace(settings, loss=min(max(settings.loss, round(100 * self._fraction)), 100))
