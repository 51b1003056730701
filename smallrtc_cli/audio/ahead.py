"""What takes a while to make, made in a thread, one item ahead of its reader: the loop never decodes."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import TypeVar

T = TypeVar("T")


async def one_ahead(items: Generator[T]) -> AsyncGenerator[T]:
    """All items in order; the generator is closed at the end, when the item that is being made is complete."""
    coming = _make(items)
    try:
        while (item := await asyncio.shield(coming)) is not None:
            coming = _make(items)
            yield item
    finally:
        await asyncio.gather(coming, return_exceptions=True)  # a generator that runs cannot be closed
        items.close()


def _make(items: Generator[T]) -> "asyncio.Task[T | None]":
    return asyncio.ensure_future(asyncio.to_thread(next, items, None))
