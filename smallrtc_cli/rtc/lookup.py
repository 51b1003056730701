"""Names to addresses, by a resolver that may hang: asked on a thread that neither the loop nor the end waits for."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def look_up(host: str) -> tuple[str, ...]:
    """All addresses of a name, in the system's order; raises `OSError` or `UnicodeError`."""
    found = await on_thread(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM), f"look up {host}")
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


async def on_thread(call: Callable[[], T], name: str) -> T:
    """The result of a call that may never return; whoever waits for it does so with a bound.

    asyncio's own threads are no place for that: `asyncio.run` waits for them at its end.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        settle: Callable[[], object]
        try:
            settle = partial(found.set_result, call())
        except Exception as error:  # noqa: BLE001 -- it belongs to whoever waits
            settle = partial(found.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: found.done() or settle())

    threading.Thread(target=run, name=name, daemon=True).start()
    return await found
