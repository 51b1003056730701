"""What is made in a thread, one item ahead."""

import asyncio
import threading
from contextlib import aclosing

import pytest

from smallrtc_cli.audio.ahead import one_ahead


def counted(made, closed):
    try:
        for n in range(5):
            made.append((n, threading.current_thread()))
            yield n
    finally:
        closed.append(True)


async def test_all_items_come_in_order_and_are_made_elsewhere():
    made, closed = [], []
    assert [item async for item in one_ahead(counted(made, closed))] == [0, 1, 2, 3, 4]
    assert threading.main_thread() not in {thread for _, thread in made}
    assert closed


async def test_only_one_item_is_made_ahead():
    made, closed = [], []
    async with aclosing(one_ahead(counted(made, closed))) as items:
        assert await anext(items) == 0
        assert await anext(items) == 1
        assert len(made) <= 3
    assert closed


async def test_an_error_comes_behind_the_items_before_it():
    def broken():
        yield 1
        raise ValueError("no more")

    items = one_ahead(broken())
    assert await anext(items) == 1
    with pytest.raises(ValueError, match="no more"):
        await anext(items)


async def test_a_reader_that_is_cancelled_closes_the_source_when_its_item_is_made():
    go, closed = threading.Event(), []

    def slow():
        try:
            yield 1
            go.wait(10)
            yield 2
        finally:
            closed.append(True)

    async def read():
        async with aclosing(one_ahead(slow())) as items:
            async for _ in items:
                pass

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.05)
    reading.cancel()
    go.set()
    await asyncio.wait({reading}, timeout=10)
    assert reading.cancelled()
    assert closed
