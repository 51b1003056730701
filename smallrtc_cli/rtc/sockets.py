"""The UDP sockets of an ICE agent, which count what checks on them have shown: answers, refusals, round trips."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from aioice import Connection, stun
from aioice.ice import StunProtocol
from aioice.stun import RETRY_RTO

Address = tuple[str, int]

_LAST_OF_STUN = 3
"First byte of a STUN message (RFC 7983)."

COMPONENT = 1
"RTP and RTCP share one component (RFC 8834 section 4.5)."


@dataclass(slots=True)
class Path:
    """What checks between one of our sockets and one remote address have shown."""

    requests_sent: int = 0
    responses_received: int = 0
    requests_received: int = 0
    "Checks of the other side, with the right password."
    round_trip: float | None = None
    "Seconds, of the last check that was answered before it was repeated."
    total_round_trip: float = 0.0
    measured: int = 0

    def answered(self, seconds: float) -> None:
        """A check was answered that long after it was first sent."""
        self.responses_received += 1
        if seconds < RETRY_RTO:  # after that nobody knows which of the copies was answered
            self.round_trip = seconds
            self.total_round_trip += seconds
            self.measured += 1


class CheckSocket(StunProtocol):
    """One local candidate's socket, or the allocation behind a relayed one."""

    def __init__(self, agent: Connection) -> None:
        super().__init__(agent)
        self.paths: dict[Address, Path] = {}
        self.error: str | None = None
        "Why the system would not send, such as `Network is unreachable`."

    def path(self, address: Address) -> Path:
        """What is known of the way to a remote address."""
        return self.paths.setdefault(address, Path())

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """As aioice's; what is no STUN by its first byte (RFC 7983) is not looked at as if it were."""
        if not data:  # aiortc would end the connection
            return
        if cast(bytes, data)[0] > _LAST_OF_STUN:
            self.receiver.data_received(cast(bytes, data), COMPONENT)
        else:
            super().datagram_received(data, addr)

    async def request(
        self,
        request: stun.Message,
        addr: Address,
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, Address]:
        """As aioice's; a request with a key is a check or asks for consent, one without asks a STUN server."""
        if integrity_key is None:
            return await super().request(request, addr, None, retransmissions)
        path, loop = self.path(addr), asyncio.get_running_loop()
        path.requests_sent += 1
        began = loop.time()
        try:
            answer = await super().request(request, addr, integrity_key, retransmissions)
        except stun.TransactionFailed:
            path.responses_received += 1
            raise
        path.answered(loop.time() - began)
        return answer

    def error_received(self, exc: Exception) -> None:
        self.error = getattr(exc, "strerror", None) or str(exc)
        super().error_received(exc)


BUFFER_SIZES = (1 << 22, 1 << 21, 1 << 20, 1 << 18)
"""Bytes to ask for, the first that the system grants: Linux gives what `rmem_max` allows, macOS refuses what is more.

The last is aioice's. What an event loop is too busy to read is lost when it is full: a window of the data channel.
"""


def enlarge_buffers(bound: socket.socket) -> None:
    """Let the system hold as much as it will, both ways."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        for size in BUFFER_SIZES:
            with contextlib.suppress(OSError):
                bound.setsockopt(socket.SOL_SOCKET, option, size)
                break


async def open_socket(make: Callable[[], CheckSocket], bound: socket.socket) -> CheckSocket:
    """Let a bound socket serve an agent."""
    try:
        enlarge_buffers(bound)
        _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(make, sock=bound)
    except BaseException:
        bound.close()
        raise
    return protocol
