"""One ordered inbox: handlers hear what happened in the order in which it happened, one at a time.

Pipecat runs each handler as a task of its own, so that two messages can overtake each other. Here one task per
inbox awaits handler after handler. What waits is bounded: state changes always fit, messages beyond the bound are
dropped and counted.
"""

import asyncio
import contextvars
import inspect
import logging
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, TypeVar

from smallrtc_cli.config import Limits

logger = logging.getLogger(__name__)

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)


class Inbox:
    """Named events, their handlers, and the task that calls them."""

    def __init__(self, sender: object, names: frozenset[str], limits: Limits | None = None) -> None:
        """`sender` is what every handler gets first."""
        self._sender, self._names = sender, names
        self._limits = limits or Limits()
        self._handlers: dict[str, list[Handler]] = defaultdict(list)
        self._waiting: deque[tuple[str, tuple[Any, ...], int]] = deque()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._giving_up = self._closed = False
        self.dropped = 0
        self.context: contextvars.Context | None = None
        "In which the handlers run; None: in that of whatever makes the event happen."

    def add(self, name: str, handler: Handler) -> None:
        """Call `handler(sender, *args)`, plain function or coroutine function, for each event of that name."""
        if name not in self._names:
            logger.warning("there is no event `%s`; known are %s", name, ", ".join(sorted(self._names)))
            return
        if not self._closed:
            self._handlers[name].append(handler)

    def decorator(self, name: str) -> Callable[[H], H]:
        """`add` as a decorator."""

        def register(handler: H) -> H:
            self.add(name, handler)
            return handler

        return register

    def remove(self, name: str, handler: Handler) -> None:
        """Call a handler no more."""
        if handler in self._handlers[name]:
            self._handlers[name].remove(handler)

    def put(self, name: str, *args: Any, size: int = 0) -> None:
        """Have the handlers of an event called, after those of all earlier ones. `size` counts against the bound."""
        if not self._handlers[name]:
            return
        if size and not self._fits(size):
            self.dropped += 1
            return
        self._waiting.append((name, args, size))
        self._bytes += size
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), context=self.context)

    async def deliver(self, name: str, *args: Any) -> None:
        """Call the handlers of an event here and now, one after the other."""
        for handler in tuple(self._handlers[name]):
            await self._call(name, handler, args)

    def _fits(self, size: int) -> bool:
        return len(self._waiting) < self._limits.inbox and self._bytes + size <= self._limits.inbox_bytes

    async def _run(self) -> None:
        """Until nothing waits. A handler that is cancelled is given up; what waits behind it still comes."""
        while self._waiting:
            name, args, size = self._waiting.popleft()
            self._bytes -= size
            await self.deliver(name, *args)

    async def _call(self, name: str, handler: Handler, args: tuple[Any, ...]) -> None:
        try:
            result = handler(self._sender, *args)
            if inspect.isawaitable(result):
                await result
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                if not self._giving_up:
                    raise
                task.uncancel()
            logger.warning("a handler of `%s` was cancelled", name)
        except Exception:
            logger.exception("a handler of `%s` failed", name)

    def close(self) -> None:
        """Call nobody any more, and hold neither the handlers nor the sender: both may hold this."""
        self._closed, self._sender = True, None
        self._handlers.clear()

    async def finish(self, timeout: float) -> None:
        """Let the handlers of what has happened end. One that takes longer than `timeout` seconds is given up, and
        those behind it get as long once more.
        """
        task = self._task
        if task is None or task is asyncio.current_task():
            return
        await asyncio.wait({task}, timeout=timeout)
        if task.done():
            return
        logger.warning("a handler of %s did not end within %s s", self._sender, timeout)
        self._giving_up = True
        task.cancel()
        await asyncio.wait({task}, timeout=timeout)
        self._giving_up = False
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=timeout)
