"""What sessions cost a server: processor, memory, threads; and how many one process carries."""

import asyncio
import contextlib
import math
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

from benchmark.client import Client, NotConnected, connected
from benchmark.figures import percentile, slope
from benchmark.packets import material
from benchmark.rows import Figures
from benchmark.server import Server, Usage
from benchmark.timeline import delivered, gaps

_STEPS = (1, 10, 50)
_SETTLES = 1.0  # seconds
_WINDOW = 3.0  # seconds
_STEP_WITHIN = 30.0  # seconds, for all to connect and the window
_CARRIED, _KEEPS_UP = 0.99, 0.9  # of what was sent
_LONGEST_GAP = 40.0  # ms
_CROWDS = (*range(6, 20, 2), *range(20, 161, 5))
"Numbers of sessions that are tried, one after the other."

_OUR_LATENESS = 10.0
"ms, p99: when the client itself sends later than this, the figure says nothing about the server."


@dataclass(frozen=True, slots=True)
class Window:
    """A few seconds with a number of sessions."""

    sessions: int
    usage: Usage
    cpu: float
    "Share of a core that the server took, for each session."

    gap: float
    "Milliseconds between packets, p99 over all sessions."

    delivered: float
    lateness: float
    "Milliseconds by which the client sent late, p99."

    @property
    def keeps_up(self) -> bool:
        """Else what it uses is that of fewer sessions, and what it holds is what it did not get done."""
        return self.delivered >= _KEEPS_UP

    @property
    def is_carried(self) -> bool:
        return self.gap <= _LONGEST_GAP and self.delivered >= _CARRIED


class Crowd:
    """Sessions that come and stay, until the end of the context."""

    def __init__(self, server: Server) -> None:
        self._server, self._stack = server, AsyncExitStack()
        self._clients: list[Client] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """All at once: one after the other would take as long as the figures."""
        await asyncio.gather(*(client.close() for client in self._clients))
        await self._stack.aclose()

    async def window(self, sessions: int) -> Window:
        """Grow to so many sessions, let it settle, and look."""
        while len(self._clients) < sessions:
            joining = connected(self._server.url, material().payloads)
            self._clients.append(await self._stack.enter_async_context(joining))
        await asyncio.sleep(_SETTLES)
        return await self._look()

    async def _look(self) -> Window:
        for client in self._clients:
            client.record.clear()
            client.lateness.clear()
        began, before = time.monotonic(), self._server.usage()
        await asyncio.sleep(_WINDOW)
        after, seconds = self._server.usage(), time.monotonic() - began
        records = [client.record for client in self._clients]
        return Window(
            sessions=len(records),
            usage=after,
            cpu=(after.cpu - before.cpu) / seconds / len(records),
            gap=percentile([gap for record in records for gap in gaps(record)], 99),
            delivered=sum(delivered(record) for record in records) / len(records),
            lateness=percentile([1000 * late for client in self._clients for late in client.lateness], 99),
        )


async def measure(server: Server) -> Figures:
    """Processor per session at 1, 10 and 50; memory and threads per session, where the server keeps up."""
    windows: list[Window] = []
    async with Crowd(server) as crowd:
        with contextlib.suppress(NotConnected, TimeoutError):  # overwhelmed: seen in what it delivered
            for sessions in _STEPS:
                async with asyncio.timeout(_STEP_WITHIN):
                    windows.append(await crowd.window(sessions))
    return costs(windows)


def costs(windows: list[Window]) -> Figures:
    """The figures of windows with more and more sessions; those in which the server fell behind tell no cost.

    Where the last window is missing, not all of its sessions came up in time: nothing was delivered.
    """
    found = {f"load.cpu.{each.sessions}": 100 * each.cpu if each.keeps_up else math.nan for each in windows}
    kept_up = [window for window in windows if window.keeps_up]
    found["load.memory"] = slope([(window.sessions, window.usage.memory / 1e6) for window in kept_up])
    threads = slope([(window.sessions, window.usage.threads) for window in kept_up])
    found["load.threads"] = threads if math.isnan(threads) else round(threads, 1)  # a pool's few are no session's
    most = windows[-1] if windows and windows[-1].sessions == _STEPS[-1] else None
    found["load.gap.50"] = most.gap if most else math.nan
    found["load.delivered.50"] = 100 * most.delivered if most else 0.0
    return found


async def capacity(server: Server) -> Figures:
    """The most sessions with which no packet is late or missing, more or less; a second failure ends the search."""
    carried, failures = 0, 0
    async with Crowd(server) as crowd:
        for sessions in _CROWDS:
            window = await crowd.window(sessions)
            if window.lateness > _OUR_LATENESS:
                break
            carried, failures = (sessions, 0) if window.is_carried else (carried, failures + 1)
            if failures == 2:
                break
    return {"capacity.sessions": carried}
