"""One timer that follows a deadline."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Rings once for the deadline that was set last; what is to ring is given each time, so that it holds nobody."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def set(self, deadline: float | None, ring: Callable[[], None]) -> None:
        """Ring at a loop time, and not at the one before; None: not at all."""
        if self._timer is not None:
            if deadline == self._timer.when():
                return
            self.cancel()
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._ring, ring)

    def cancel(self) -> None:
        """Do not ring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self, ring: Callable[[], None]) -> None:
        self._timer = None
        ring()
