"""Whether what was sent is acknowledged, as a value: no clock, no socket.

A path that does not carry long packets connects, and then stalls for good on the first long message, with every state
saying "connected". What shows it: something is outstanding, nothing more is acknowledged, and the other side lives.
"""

from enum import StrEnum
from typing import Final


class Step(StrEnum):
    """What is to be done, or told."""

    RECOVER = "recover"
    "Probe the path again, and send what is stuck in another way."

    STALLED = "stalled"
    FLOWING = "flowing"
    "Something is acknowledged again."


_AGAIN_AFTER: Final = 2.0
"Seconds until the second try to recover; each later pause is twice the one before."


class Progress:
    """Look at it now and then; it says what follows."""

    def __init__(self, resend_after: float, stalled_after: float) -> None:
        self._resend_after, self._stalled_after = resend_after, stalled_after
        self._acknowledged: int | None = None
        self._since: float | None = None
        self._again, self._recover_at = _AGAIN_AFTER, 0.0
        self.stalled = False

    def look(self, now: float, acknowledged: int, outstanding: bool, heard: float) -> list[Step]:
        """`acknowledged` is a number that changes with each acknowledgement, `heard` when the other side last was."""
        if not outstanding or acknowledged != self._acknowledged or self._since is None:
            return self._flows(now, acknowledged, outstanding)
        if now - heard >= self._stalled_after:
            return []  # it is lost, and whoever watches over that says so
        silent, steps = now - self._since, []
        if silent >= self._resend_after and now >= self._recover_at:
            self._recover_at, self._again = now + self._again, 2 * self._again
            steps.append(Step.RECOVER)
        if silent >= self._stalled_after and not self.stalled:
            self.stalled = True
            steps.append(Step.STALLED)
        return steps

    def _flows(self, now: float, acknowledged: int, outstanding: bool) -> list[Step]:
        self._acknowledged, self._since = acknowledged, now if outstanding else None
        self._again, self._recover_at = _AGAIN_AFTER, 0.0
        told, self.stalled = self.stalled, False
        return [Step.FLOWING] if told else []
