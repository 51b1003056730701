"""Free UDP ports in a row, and a 1:1 NAT, for tests."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator

LOOPBACK = "127.0.0.1"


def free_range(length: int) -> range:
    """Ports that nobody on 127.0.0.1 has, below those that Linux gives out by itself (32768)."""
    while True:
        first = random.randrange(20_000, 32_000)
        ports = range(first, first + length)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in ports:
                stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)).bind((LOOPBACK, port))
            return ports


class Nat(asyncio.DatagramProtocol):
    """Forwards one port of a public address to the same port of a host, and back, as a cloud's 1:1 NAT does.

    The host sees another port of the public address for each who comes in, for want of the true one's.
    """

    def __init__(self, public: str, host: tuple[str, int]) -> None:
        self.public, self.host = public, host
        self.inside: dict[tuple[str, int], socket.socket] = {}
        self.forwarded = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr not in self.inside:
            bound = socket.socket(type=socket.SOCK_DGRAM)
            bound.setblocking(False)
            bound.bind((self.public, 0))
            bound.connect(self.host)
            self.inside[addr] = bound
            asyncio.get_running_loop().add_reader(bound, self._back, bound, addr)
        self.forwarded += 1
        self.inside[addr].send(data)

    def _back(self, bound: socket.socket, addr: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):
            self.transport.sendto(bound.recv(65536), addr)

    def close(self) -> None:
        for bound in self.inside.values():
            asyncio.get_running_loop().remove_reader(bound)
            bound.close()
        self.transport.close()


@contextlib.asynccontextmanager
async def nat(public: str, host: tuple[str, int]) -> AsyncIterator[Nat]:
    loop = asyncio.get_running_loop()
    _, forwarder = await loop.create_datagram_endpoint(lambda: Nat(public, host), local_addr=(public, host[1]))
    try:
        yield forwarder
    finally:
        forwarder.close()
