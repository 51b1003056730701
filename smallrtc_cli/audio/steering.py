"""How long the delay should be, and how sound is played faster or slower to bring it there. Pure arithmetic."""

from smallrtc_cli.config import Elastic

_DAMPING = 4.0
"Makes the controller's two poles equal: it reaches its target without passing it."

_LINEAR = 0.5
"The share of `fastest` up to which the clocks' difference is learnt; beyond, it is a jump and not the clocks."


class Steering:
    """A proportional-integral controller; the integral is what the two clocks differ by."""

    def __init__(self, settings: Elastic) -> None:
        self._settings = settings
        self._drift = 0.0
        self.target = settings.first_target
        "Seconds of delay that are aimed at."
        self.error = 0.0
        "Seconds by which the delay was longer than that, last time."
        self.correction = 0.0
        "The fraction by which sound is to be played faster than it comes."

    def aim(self, needed: float, since: float) -> None:
        """The jitter asks for a delay of `needed`, `since` seconds of sound after the last time."""
        wanted = min(max(needed + self._settings.margin, self._settings.least), self._settings.most)
        self.target = max(wanted, self.target - self._settings.fall * since)

    def rise(self) -> None:
        """An underrun has shown that the target is too low."""
        self.target = min(self.target + self._settings.rise, self._settings.most)

    def steer(self, delay: float, since: float) -> None:
        """The delay is so much, `since` seconds of sound after the last time."""
        settle, fastest, tolerance = self._settings.settle, self._settings.fastest, self._settings.tolerance
        self.error = delay - self.target
        pull = (self.error - _within(tolerance, self.error)) / settle
        if abs(pull) < _LINEAR * fastest:
            self._drift = _within(fastest, self._drift + pull * since / (_DAMPING * settle))
        self.correction = _within(fastest, pull + self._drift)

    def rest(self) -> None:
        """Nothing is playing: what comes is kept as it is, and the clocks' difference is remembered."""
        self.error, self.correction = 0.0, self._drift


def _within(limit: float, value: float) -> float:
    return min(max(value, -limit), limit)
