"""What tasks wait for that are told fifty times a second, and that wait no longer than until a certain moment."""

import asyncio


class Bell:
    """Rings for those who wait just then; a ring that nobody waits for is lost.

    `asyncio.Event` and `asyncio.timeout` do the same in three times as many steps: they set a timer for each wait. Here
    one that was set for a wait that is over stays, and sees when it comes that it is too early for the next one.
    """

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[bool], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def ring(self) -> None:
        """Wake all who wait."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(True)

    async def wait(self, until: float) -> bool:
        """Whether it rang; False when it has not until then, a time of the loop's."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiting[waiter] = until
        self._set(loop, until)
        try:
            return await waiter
        finally:
            del self._waiting[waiter]

    def _set(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = loop.call_at(due, self._look, loop, due)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._timer = None
        later = []
        for waiter, until in self._waiting.items():
            if waiter.done():
                continue
            if until <= due:
                waiter.set_result(False)
            else:
                later.append(until)
        if later:
            self._set(loop, min(later))
