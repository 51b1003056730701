"""Waiting for a condition without polling: those who wait look again whenever something has changed."""

import asyncio
from collections.abc import Callable


class Changes:
    """What a condition depends on; whoever changes any of it tells so."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Have all who wait look again."""
        changed, self._next = self._next, asyncio.Event()
        changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds."""
        while not condition():
            await self._next.wait()
