"""A bell that tasks wait for, and no longer than they say; in virtual time."""

import asyncio

from virtual_time import run_virtually

from smallrtc_cli.rtc.bell import Bell


async def waited(bell: Bell, until: float) -> tuple[bool, float]:
    rung = await bell.wait(until)
    return rung, round(asyncio.get_running_loop().time(), 6)


def test_who_waits_is_woken_and_who_waits_longer_than_he_wants_is_told():
    async def work():
        bell = Bell()
        asyncio.get_running_loop().call_at(0.5, bell.ring)
        return await asyncio.gather(waited(bell, 1.0), waited(bell, 0.2), waited(bell, 2.0))

    assert run_virtually(work()) == [(True, 0.5), (False, 0.2), (True, 0.5)]


def test_a_ring_that_nobody_waits_for_is_lost():
    async def work():
        bell = Bell()
        bell.ring()
        return await waited(bell, 0.3)

    assert run_virtually(work()) == (False, 0.3)


def test_a_wait_that_is_over_leaves_a_timer_that_ends_no_later_wait():
    async def work():
        bell, loop = Bell(), asyncio.get_running_loop()
        found = []
        for number in range(1, 6):
            loop.call_at(0.02 * number, bell.ring)
            found.append(await waited(bell, 0.02 * number + 0.06))
        found.append(await waited(bell, 0.5))
        return found

    assert run_virtually(work()) == [(True, round(0.02 * n, 6)) for n in range(1, 6)] + [(False, 0.5)]


def test_an_earlier_end_than_the_timer_that_is_set_is_kept_and_so_is_one_that_is_past():
    async def work():
        bell = Bell()
        late = asyncio.ensure_future(waited(bell, 5.0))
        await asyncio.sleep(1)
        return await waited(bell, 1.5), await waited(bell, 0.1), await late

    assert run_virtually(work()) == ((False, 1.5), (False, 1.5), (False, 5.0))


def test_a_wait_that_is_given_up_is_forgotten():
    async def work():
        bell = Bell()
        waiting = asyncio.ensure_future(waited(bell, 1.0))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.wait([waiting])
        bell.ring()
        return bell._waiting, await waited(bell, 2.0)

    assert run_virtually(work()) == ({}, (False, 2.0))
