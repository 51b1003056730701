"""One timer that follows a deadline: it rings once, for the last deadline only."""

import asyncio

import pytest

from smallrtc_cli.rtc.alarm import Alarm


class Bell:
    """Counts how often it was rung."""

    def __init__(self) -> None:
        self.rung = 0
        self.heard = asyncio.Event()

    def ring(self) -> None:
        self.rung += 1
        self.heard.set()


@pytest.fixture
async def bell() -> Bell:
    return Bell()


async def passed(deadline: float) -> None:
    """Timers that were due by then have run."""
    later = asyncio.Event()
    asyncio.get_running_loop().call_at(deadline + 0.001, later.set)
    await asyncio.wait_for(later.wait(), 20)


def soon() -> float:
    return asyncio.get_running_loop().time() + 0.01


async def test_it_rings_once_for_its_deadline(bell):
    deadline = soon()
    Alarm().set(deadline, bell.ring)
    await asyncio.wait_for(bell.heard.wait(), 20)
    assert asyncio.get_running_loop().time() >= deadline
    await passed(deadline)
    assert bell.rung == 1


async def test_another_deadline_takes_the_place_of_the_one_before(bell):
    alarm, first = Alarm(), soon()
    alarm.set(first, bell.ring)
    alarm.set(first + 3600, bell.ring)
    await passed(first)
    assert bell.rung == 0
    alarm.set(soon(), bell.ring)
    await asyncio.wait_for(bell.heard.wait(), 20)
    assert bell.rung == 1


@pytest.mark.parametrize("stop", [lambda alarm, bell: alarm.set(None, bell.ring), lambda alarm, bell: alarm.cancel()])
async def test_without_a_deadline_it_does_not_ring(bell, stop):
    alarm, deadline = Alarm(), soon()
    alarm.set(deadline, bell.ring)
    stop(alarm, bell)
    await passed(deadline)
    assert bell.rung == 0


async def test_what_it_rings_may_set_it_again_for_the_same_deadline(bell):
    alarm, deadline, rounds = Alarm(), soon(), []

    def again() -> None:
        rounds.append(1)
        alarm.set(deadline, again if len(rounds) < 3 else bell.ring)

    alarm.set(deadline, again)
    await asyncio.wait_for(bell.heard.wait(), 20)
    assert (len(rounds), bell.rung) == (3, 1)
