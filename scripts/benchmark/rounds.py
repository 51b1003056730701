"""Who is measured when: in every round each server is started, measured and ended, in an order that turns."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import aiohttp
from aiortc import InvalidStateError

from benchmark import channel, churn, delay, endurance, load, stages, startup
from benchmark.client import NotConnected
from benchmark.contestants import Contestant
from benchmark.results import Results
from benchmark.rows import Figures
from benchmark.server import DidNotStart, Server

Say = Callable[[str], None]
"Where progress is told."

_EXPECTED = (NotConnected, TimeoutError, OSError, ValueError, aiohttp.ClientError, InvalidStateError)
"What a server that is broken, overwhelmed or gone does to a measurement."


@dataclass(frozen=True, slots=True)
class Measurement:
    """One kind of figures; `seconds` bounds it."""

    name: str
    measure: Callable[[Server], Awaitable[Figures]]
    seconds: float
    about: str
    once: bool = False
    "Before the rounds, unless it is all there is to measure: it takes long, and its figures vary little."

    usual: bool = True
    "Measured without being named."


MEASUREMENTS = (
    Measurement("startup", startup.measure, 60, "start to open port, --help"),
    Measurement("connect", stages.measure, 60, "the stages of a call"),
    Measurement("latency", delay.measure, 60, "echo latency on three networks"),
    Measurement("channel", channel.measure, 120, "the data channel's round trip and throughput"),
    Measurement("load", load.measure, 120, "CPU, memory and threads of 1, 10 and 50 sessions", once=True),
    Measurement("churn", churn.measure, 120, "what 100 calls leave behind", once=True),
    Measurement(
        "capacity", load.capacity, 400, "sessions on one process; minutes, so only when named", once=True, usual=False
    ),
    Measurement(
        "endurance",
        endurance.measure,
        120,
        "latency and memory of half an hour, only when named",
        once=True,
        usual=False,
    ),
)


def plan(only: Sequence[str], call_minutes: float = endurance.CALL_MINUTES) -> list[Measurement]:
    """Those that are named, or the usual ones; endurance takes two calls of `call_minutes`."""
    chosen = [each for each in MEASUREMENTS if (each.name in only if only else each.usual)]
    return [_lasting(each, call_minutes) if each.name == "endurance" else each for each in chosen]


def _lasting(measurement: Measurement, minutes: float) -> Measurement:
    measure = partial(endurance.measure, minutes=minutes)
    return replace(measurement, measure=measure, seconds=measurement.seconds + 60 * minutes)


def parted(chosen: Sequence[Measurement]) -> tuple[list[Measurement], list[Measurement]]:
    """What is measured once, before the rounds, and what in each of them; where all is long, it is the rounds."""
    once, repeated = ([each for each in chosen if each.once is is_once] for is_once in (True, False))
    return (once, repeated) if repeated else ([], once)


def order(servers: Sequence[Contestant], number: int) -> list[Contestant]:
    """Of a round: each is the first in turn, so that none always follows the same."""
    shift = number % len(servers)
    return [*servers[shift:], *servers[:shift]]


async def run(
    results: Results,
    servers: Sequence[Contestant],
    chosen: Sequence[Measurement],
    rounds: int,
    seconds: float,
    say: Say,
) -> None:
    """Measure everything; what fails is a sentence in the results, and the next is measured.

    A round after the first is begun only if it will end within `seconds`, by the pace of the one before.
    """
    began = time.monotonic()
    once, repeated = parted(chosen)
    for each in once:  # with servers of its own: what load has taken, the calls of churn would give back
        await _round(results, servers, [each], 0, say)
    last = 0.0
    for number in range(rounds):
        start = time.monotonic()
        if number and start - began + last > seconds:
            say(f"no time for round {number + 1}")
            return
        say(f"round {number + 1} of {rounds}")
        await _round(results, servers, repeated, number, say)
        results.rounds, last = number + 1, time.monotonic() - start


async def _round(
    results: Results, servers: Sequence[Contestant], due: Sequence[Measurement], number: int, say: Say
) -> None:
    for contestant in order(servers, number) if due else ():
        say(f"{contestant.name}: {', '.join(each.name for each in due)}")
        await _pass(results, contestant, due)


async def _pass(results: Results, contestant: Contestant, due: Sequence[Measurement]) -> None:
    try:
        async with Server(contestant) as server:
            for measurement in due:
                await _measure(results, server, measurement)
    except (DidNotStart, OSError) as error:
        results.failures.append(f"{contestant.name}: {error}")


async def _measure(results: Results, server: Server, measurement: Measurement) -> None:
    try:
        async with asyncio.timeout(measurement.seconds):
            results.add(server.contestant.name, await measurement.measure(server))
    except _EXPECTED as error:
        what = str(error) or f"not done within {measurement.seconds:.0f} s"
        results.failures.append(f"{server.contestant.name}: {measurement.name}: {what}")
