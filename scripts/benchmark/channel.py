"""The data channel: round trip of a small message, and throughput of 60 KB messages into the server and there and back.

A message labelled as RTVI's is swallowed by every echo bot. The channel is ordered, so the echo of a small message that
follows a burst says that the server has read the burst.
"""

import time
from typing import Any

from benchmark.client import Client, connected
from benchmark.figures import median, percentile
from benchmark.packets import material
from benchmark.rows import Figures
from benchmark.server import Server

_TRIPS = 300
_SIZE = 60_000
_BURST = 4_000_000 // _SIZE
_BURSTS = 3
_ECHOED = 16
_WITHIN = 20.0
"Seconds for a burst: a server that stalls is seen as slow, one that lost it as not working."


async def measure(server: Server) -> Figures:
    """Milliseconds, and megabytes a second."""
    if not server.contestant.echoes_messages:
        return {}
    async with connected(server.url, material().payloads) as client:
        channel = _Channel(client)
        trips = [1000 * await channel.trip() for _ in range(_TRIPS)]
        inbound = [_BURST * _SIZE / 1e6 / await channel.swallowed() for _ in range(_BURSTS)]
        echoed = [_ECHOED * _SIZE / 1e6 / await channel.echoed() for _ in range(_BURSTS)]
    return {
        "channel.trip.p50": percentile(trips, 50),
        "channel.trip.p99": percentile(trips, 99),
        "channel.in": median(inbound),
        "channel.echo": median(echoed),
    }


class _Channel:
    """Numbers messages, and knows which came back."""

    def __init__(self, client: Client) -> None:
        self._client, self._sent, self._back = client, 0, 0
        client.on_message = self._heard

    def _heard(self, message: Any) -> None:
        if isinstance(message, dict) and "bench" in message:
            self._back = int(message["bench"])

    async def trip(self) -> float:
        """Seconds until a small message is back."""
        began = time.monotonic()
        self._send("")
        return await self._seconds_since(began)

    async def swallowed(self) -> float:
        """Seconds until the server has read a burst that it does not answer."""
        began = time.monotonic()
        for _ in range(_BURST):
            swallow = {"t": "swallow", "d": "x" * _SIZE}
            self._client.send({"label": "rtvi-ai", "type": "client-message", "id": "0", "data": swallow})
        self._send("")
        return await self._seconds_since(began)

    async def echoed(self) -> float:
        """Seconds until a burst is back."""
        began = time.monotonic()
        for _ in range(_ECHOED):
            self._send("x" * _SIZE)
        return await self._seconds_since(began)

    def _send(self, content: str) -> None:
        self._sent += 1
        self._client.send({"type": "bench", "bench": self._sent, "content": content})

    async def _seconds_since(self, began: float) -> float:
        await self._client.until(lambda: self._back == self._sent, "echo of a message", _WITHIN)
        return time.monotonic() - began
