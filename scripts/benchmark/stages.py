"""How long each stage of a call takes, from just before the POST to the first sound that came back."""

from dataclasses import asdict

from benchmark.client import NotConnected, Stages, connected
from benchmark.figures import median
from benchmark.packets import material
from benchmark.rows import Figures
from benchmark.server import Server

_CALLS = 10
_SOUND_WITHIN = 5.0  # seconds


async def measure(server: Server) -> Figures:
    """Medians of ten calls, in milliseconds; one before them is not counted: a server loads what it needs."""
    await _call(server)
    calls = [asdict(await _call(server)) for _ in range(_CALLS)]
    return {f"connect.{stage}": 1000 * median([call[stage] for call in calls]) for stage in calls[0]}


async def _call(server: Server) -> Stages:
    async with connected(server.url, material().payloads) as client:
        await client.until(lambda: client.stages.first_sound is not None, "echo", _SOUND_WITHIN)
        if client.stages.ice is None:
            raise NotConnected("ICE was not seen to complete")
        return client.stages
