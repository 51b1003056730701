"""How long a step may take, and what became of it in that time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from smallrtc_cli.errors import SmallRTCError
from smallrtc_cli.report.stages import Stage

STEP: Final = 2.0
"Seconds for one step: whoever is well answers in a fraction of that, and nobody waits for the rest."

CONNECT: Final = 10.0
"Seconds for a call to come up: a bot may have to be started for it, and pairs of candidates be tried."

T = TypeVar("T")

Tell = Callable[[Stage], None]
"Takes the stages of an examination, in their order."


@dataclass(frozen=True, slots=True)
class Tried(Generic[T]):
    """A result, or what went wrong, and the seconds that it took."""

    value: T | None
    error: Exception | None
    seconds: float


async def tried(work: Awaitable[T], bound: float = STEP) -> Tried[T]:
    """Do it within the bound; `error` is a `TimeoutError` when that is over. Our own defects are raised."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(bound):
            value = await work
    except (OSError, UnicodeError, SmallRTCError) as error:
        return Tried(None, error, loop.time() - began)
    return Tried(value, None, loop.time() - began)
