"""What a script says in a call, and what it waits for."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from smallrtc_cli.commands.connect import outcome
from smallrtc_cli.commands.connect.outcome import Ending
from smallrtc_cli.protocol import rtvi
from smallrtc_cli.protocol.expect import Expectations

BOT_READY = 2.0
"Seconds that a script waits for the bot to say that it listens: not every bot speaks RTVI."


class Script:
    """`--text`, `--message` and `--expect`; without any of them it is over at once."""

    def __init__(
        self, messages: Sequence[dict[str, Any]] = (), expects: Sequence[dict[str, Any]] = (), timeout: float = 10.0
    ) -> None:
        """`timeout` is how long to wait for what is expected, in seconds, once everything was said."""
        self._messages, self._timeout = messages, timeout
        self._expectations = Expectations(expects)
        self.expects = bool(expects)
        self._bot_ready, self._all_heard = asyncio.Event(), asyncio.Event()

    def heard(self, message: dict[str, Any]) -> list[Any]:
        """A message of the bot's came; returns what it met of that which is expected."""
        met = self._expectations.heard(message)
        if not self._expectations.unmet:
            self._all_heard.set()
        if rtvi.is_rtvi(message) and message.get("type") == "bot-ready":
            self._bot_ready.set()
        return met

    async def say(self, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """Send the messages as soon as the bot listens."""
        if self._messages or self._expectations.unmet:
            await within(BOT_READY, self._bot_ready.wait())
        for message in self._messages:
            await send(message)

    async def wait(self) -> Ending:
        """Until all that is expected was heard, or the time for that is over."""
        if await within(self._timeout, self._all_heard.wait()):
            return outcome.ALL_HEARD
        unmet = self._expectations.unmet
        return outcome.not_heard(unmet, json.dumps(unmet[0], ensure_ascii=False), self._timeout)

    async def all_heard(self) -> None:
        """Wait for that without a limit, if anything is expected."""
        if self.expects:
            await self._all_heard.wait()


async def within(seconds: float, awaitable: Coroutine[Any, Any, Any]) -> bool:
    """Whether it came about in time."""
    try:
        async with asyncio.timeout(seconds):
            await awaitable
    except TimeoutError:
        return False
    return True


def new_id() -> str:
    """Of an RTVI message: eight characters, as Pipecat's clients make them."""
    return uuid.uuid4().hex[:8]
