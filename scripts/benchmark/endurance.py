"""Two calls of many minutes beside each other, by a clock too fast and one too slow, with 2 % loss: what grows?

What a call has sent and received is handed over minute by minute, to a process of its own that locates the chirps: so
neither the client's memory nor its lateness grows with the call.
"""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

from benchmark.client import Client, NotConnected, connected
from benchmark.figures import percentile, slope
from benchmark.impairment import Network
from benchmark.packets import material
from benchmark.rows import Figures
from benchmark.server import Server, Usage
from benchmark.timeline import Record, delivered, latencies

CALL_MINUTES = 30.0

_DRIFTS = {"fast": 200e-6, "slow": -200e-6}
_LOSSY = Network(loss=0.02)
_SETTLES = 1.0
"Seconds at the beginning that do not count."

_FEWEST = 3
"A call of less than so many minutes is cut in as many parts: memory needs two after the first for a slope."


@dataclass(frozen=True, slots=True)
class Minute:
    """Of one call."""

    latency: float
    "Milliseconds, p50."

    delivered: float


@dataclass(frozen=True, slots=True)
class Look:
    """At the server, `at` seconds by the monotonic clock."""

    at: float
    usage: Usage


class _Call:
    """One of the two, and its minutes so far."""

    def __init__(self, client: Client, listener: Executor) -> None:
        self._client, self._listener = client, listener
        self._minutes: list[Future[Minute]] = []

    def begin(self) -> None:
        """Forget what was before."""
        self._client.record.clear()

    def end_minute(self) -> None:
        """Hand over what there is of it."""
        self._client.lateness.clear()
        self._minutes.append(self._listener.submit(listen, self._client.record.cut()))

    async def minutes(self) -> list[Minute]:
        """All that have ended; raises `NotConnected` for one without any sound."""
        return [await asyncio.wrap_future(each) for each in self._minutes]


async def measure(server: Server, minutes: float = CALL_MINUTES) -> Figures:
    """Latency and what was delivered of each call, memory and processor of the server that carries both."""
    parts = max(_FEWEST, round(minutes))
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listener())
        calls = {
            name: _Call(await stack.enter_async_context(_connected(server, seed, drift)), listener)
            for seed, (name, drift) in enumerate(_DRIFTS.items())
        }
        await asyncio.sleep(_SETTLES)
        looks = await _watch(server, list(calls.values()), parts, 60 * minutes / parts)
        heard = {name: await call.minutes() for name, call in calls.items()}
    return figures(heard, looks)


def _connected(server: Server, seed: int, drift: float) -> AbstractAsyncContextManager[Client]:
    return connected(server.url, material().payloads, network=_LOSSY, seed=seed, drift=drift)


def _listener() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_stand_back)


def _stand_back() -> None:
    """Leave the processor to those who are measured, and the end of an interrupted bench to the bench."""
    os.nice(10)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


async def _watch(server: Server, calls: Sequence[_Call], parts: int, seconds: float) -> list[Look]:
    """A look before the first minute and after each."""
    for call in calls:
        call.begin()
    looks = [Look(time.monotonic(), server.usage())]
    for part in range(1, parts + 1):
        await asyncio.sleep(max(0.0, looks[0].at + part * seconds - time.monotonic()))
        looks.append(Look(time.monotonic(), server.usage()))
        for call in calls:
            call.end_minute()
    return looks


def listen(record: Record) -> Minute:
    """Find the chirps of a minute; those on the wire at its end are not looked for in the next."""
    found = latencies(record, material().sound)
    if not found:
        raise NotConnected(f"a minute without sound: {len(record.sent)} sent, {len(record.received)} received")
    return Minute(percentile(found, 50), delivered(record))


def figures(calls: dict[str, list[Minute]], looks: Sequence[Look]) -> Figures:
    """Rows of every call's minutes, and of the server: its memory from the end of the first minute on, in MB and KB."""
    found: Figures = {}
    for name, minutes in calls.items():
        found |= {f"endurance.{name}.{row}": value for row, value in _of_call(minutes).items()}
    first, *later = looks[1:]
    seconds = looks[-1].at - looks[0].at
    return found | {
        "endurance.memory.first": first.usage.memory / 1e6,
        "endurance.memory.last": later[-1].usage.memory / 1e6,
        "endurance.memory.slope": slope([(look.at / 60, look.usage.memory / 1000) for look in (first, *later)]),
        "endurance.cpu": 100 * (looks[-1].usage.cpu - looks[0].usage.cpu) / seconds / len(calls),
    }


def _of_call(minutes: Sequence[Minute]) -> Figures:
    latency = [minute.latency for minute in minutes]
    return {
        "first": latency[0],
        "last": latency[-1],
        "change": latency[-1] - latency[0],
        "worst": max(latency),
        "delivered": 100 * sum(minute.delivered for minute in minutes) / len(minutes),
    }
