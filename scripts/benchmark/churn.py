"""A hundred calls, one after the other, each until sound came back: what they leave behind."""

import asyncio

from benchmark.client import connected
from benchmark.figures import slope
from benchmark.packets import material
from benchmark.rows import Figures
from benchmark.server import Server, Usage

_CALLS = 100
_WARM = _CALLS // 3
"Calls after which caches and thread pools are what they will be."

_SOUND_WITHIN = 5.0
_SETTLES = 3.0
_LOOKS_EVERY = 0.1  # seconds


async def measure(server: Server) -> Figures:
    """Memory of a call (the slope over the last two thirds), and what is left over of all of them."""
    idle = server.usage()
    await _calls(server, 1)
    before = await _settled(server, idle)
    await _calls(server, _WARM)
    memory = await _calls(server, _CALLS - _WARM)
    after = await _settled(server, before)
    return {
        "churn.memory": slope([(at, usage.memory / 1000) for at, usage in enumerate(memory)]),
        "churn.threads": max(0, after.threads - before.threads),
        "churn.sockets": max(0, after.sockets - before.sockets),
    }


async def _calls(server: Server, number: int) -> list[Usage]:
    usages = []
    for _ in range(number):
        async with connected(server.url, material().payloads) as client:
            await client.until(lambda: client.stages.first_sound is not None, "echo", _SOUND_WITHIN)
        usages.append(server.usage())
    return usages


async def _settled(server: Server, before: Usage) -> Usage:
    """What is held when nothing more than before is, or after some seconds all the same."""
    for _ in range(round(_SETTLES / _LOOKS_EVERY)):
        await asyncio.sleep(_LOOKS_EVERY)
        usage = server.usage()
        if usage.threads <= before.threads and usage.sockets <= before.sockets:
            break
    return server.usage()
