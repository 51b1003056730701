"""UDP itself: whether it passes at all on this machine, and whether a port far away is closed."""

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from aioice import stun

from smallrtc_cli.rtc.addresses import bind_udp
from smallrtc_cli.rtc.sockets import Address

T = TypeVar("T")

_TOKEN: Final = 16  # bytes: nobody else sends these


def binding_request() -> stun.Message:
    """The question of STUN: as whom do you see me (RFC 8489 section 2)?"""
    return stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)


class _Knock(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.refused: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def error_received(self, exc: Exception) -> None:
        if not self.refused.done():
            self.refused.set_result(exc)


async def unless_refused(address: Address, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work; raises `ConnectionRefusedError` as soon as the host says that its UDP port is closed.

    Only a connected socket is told so (ICMP port unreachable), and ICE's sockets are not connected: a closed port
    looks to them like a server that is silent.
    """
    task = asyncio.ensure_future(work)
    transport = None
    try:
        loop = asyncio.get_running_loop()
        transport, knock = await loop.create_datagram_endpoint(_Knock, remote_addr=address)
        transport.sendto(bytes(binding_request()))
        waiting: set[asyncio.Future[Any]] = {task, knock.refused}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise knock.refused.result()
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if transport is not None:
            transport.close()


async def passes(address: str) -> bool:
    """Whether a packet from an own address to itself arrives; waits for it without end."""
    loop, token = asyncio.get_running_loop(), os.urandom(_TOKEN)
    with bind_udp(address) as bound:
        await loop.sock_sendto(bound, token, bound.getsockname())
        while await loop.sock_recv(bound, len(token)) != token:
            continue
    return True
