"""Echo latency: on a clean network, with 1 % loss, and with 0-30 ms of jitter there and 0.5 % loss both ways."""

import asyncio

from benchmark.client import NotConnected, connected
from benchmark.figures import percentile
from benchmark.impairment import CLEAN, JITTERY, LOSSY, Network
from benchmark.packets import material
from benchmark.rows import Figures
from benchmark.server import Server
from benchmark.timeline import Record, latencies

_SETTLES = 1.0
"Seconds at the beginning that do not count."

_CLEAN_SECONDS, _BAD_SECONDS = 3.0, 7.0
"A bad network needs time for losses to come; both are shorter than the material."

SEED = 232
"Loses the first packet before `_SETTLES` is over, and 2 or 3 of 350 in each direction."


async def measure(server: Server) -> Figures:
    """p50 and p95 in milliseconds; the two bad networks are measured beside each other."""
    clean = await _listen(server, CLEAN, _CLEAN_SECONDS)
    lossy, jittery = await asyncio.gather(*(_listen(server, bad, _BAD_SECONDS) for bad in (LOSSY, JITTERY)))
    return _figures("clean", clean) | _figures("loss", lossy) | _figures("jitter", jittery)


async def _listen(server: Server, network: Network, seconds: float) -> Record:
    async with connected(server.url, material().payloads, network=network, seed=SEED) as client:
        await asyncio.sleep(seconds)
        return client.record


def _figures(name: str, record: Record) -> Figures:
    found = latencies(record, material().sound, _SETTLES)
    if not found:
        raise NotConnected(f"no chirp came back ({name}): {len(record.sent)} sent, {len(record.received)} received")
    return {f"latency.{name}.p50": percentile(found, 50), f"latency.{name}.p95": percentile(found, 95)}
