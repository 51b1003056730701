"""From the start of the process to an open port, and how long the help takes."""

import asyncio
import time

from benchmark.figures import median
from benchmark.rows import Figures
from benchmark.server import Server, environment

_TIMES = 3
_WITHIN = 30.0  # seconds


async def measure(server: Server) -> Figures:
    """Seconds; the start is that of the server at hand."""
    found = {"startup.port": server.started_after}
    if server.contestant.help:
        found["startup.help"] = median([await _help(server.contestant.help) for _ in range(_TIMES)])
    return found


async def _help(command: tuple[str, ...]) -> float:
    began = time.monotonic()
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet, env=environment())
    try:
        await asyncio.wait_for(process.wait(), _WITHIN)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return time.monotonic() - began
