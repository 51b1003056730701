"""The tasks of an owner: they end with it, and are held no longer than they last."""

import asyncio
import gc
import weakref

import pytest

from smallrtc_cli.rtc.tasks import Tasks


async def test_what_is_under_way_is_cancelled_with_its_owner():
    tasks = Tasks()
    started = [tasks.start(asyncio.Event().wait()) for _ in range(3)]
    tasks.cancel()
    await asyncio.wait_for(asyncio.wait(started), 20)
    assert all(task.cancelled() for task in started)


async def test_a_task_gives_its_result_to_whoever_wants_it():
    tasks = Tasks()
    assert await asyncio.wait_for(tasks.start(asyncio.sleep(0, "done")), 20) == "done"


async def test_a_task_that_nobody_else_holds_goes_on():
    tasks, go, gone = Tasks(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go.wait()
        gone.set()

    tasks.start(work())
    await asyncio.sleep(0)
    gc.collect()
    go.set()
    await asyncio.wait_for(gone.wait(), 20)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_task_that_is_done_is_held_no_more(cancelled):
    tasks = Tasks()
    task = tasks.start(asyncio.sleep(0))
    if cancelled:
        tasks.cancel()
    await asyncio.wait_for(asyncio.wait([task]), 20)
    await asyncio.sleep(0)
    held = weakref.ref(task)
    del task
    gc.collect()
    assert held() is None
