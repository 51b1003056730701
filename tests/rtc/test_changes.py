"""Waiting for a condition: those who wait look again when something changed, and only then go on."""

import asyncio

from smallrtc_cli.rtc.changes import Changes


async def settle() -> None:
    """Whoever can go on has."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_holds_already_is_not_waited_for():
    await asyncio.wait_for(Changes().until(lambda: True), 20)


async def test_all_who_wait_go_on_when_their_own_condition_holds():
    changes, seen = Changes(), []
    waiting = [asyncio.create_task(changes.until(lambda n=n: len(seen) >= n)) for n in (1, 2, 2)]
    await settle()
    for number, done in ((1, [True, False, False]), (2, [True, True, True])):
        seen.append(number)
        changes.tell()
        await settle()
        assert [task.done() for task in waiting] == done


async def test_nobody_looks_before_there_is_a_change():
    changes, looks = Changes(), []
    waiting = asyncio.create_task(changes.until(lambda: looks.append(1) or len(looks) > 1))
    await settle()
    assert (len(looks), waiting.done()) == (1, False)
    changes.tell()
    await asyncio.wait_for(waiting, 20)
    assert len(looks) == 2
