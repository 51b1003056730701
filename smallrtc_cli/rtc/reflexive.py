"""What STUN servers say of us. All are asked from one socket, so that their answers can be compared.

A NAT that gives that socket another address for each destination (RFC 4787: address-dependent mapping, "symmetric")
makes what one server sees useless for everybody else.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from aioice import stun

from smallrtc_cli.rtc.addresses import bind_udp, parsed
from smallrtc_cli.rtc.refusals import Refusal, refusal
from smallrtc_cli.rtc.route import route
from smallrtc_cli.rtc.servers import StunServer, resolve
from smallrtc_cli.rtc.sockets import Address
from smallrtc_cli.rtc.udp import binding_request, unless_refused


@dataclass(frozen=True, slots=True)
class Reflection:
    """How one server sees us, or why it said nothing; `seconds` is how long that took."""

    server: StunServer
    seconds: float
    mapped: Mapping[Address, Address]
    "Our address, by the address of the server that was asked: a second one where it has two (RFC 5780)."

    source: str | None = None
    "Our own address on the way there; the same as the mapped one where there is no NAT."

    refusal: Refusal | None = None


async def reflections(servers: Sequence[StunServer], bound: float, source: str | None = None) -> list[Reflection]:
    """Ask all servers at once, from an own address if one is named; nobody gets more than `bound` seconds."""
    async with contextlib.AsyncExitStack() as stack:
        sockets: dict[int, _Socket] = {}
        for version, own in ((4, "0.0.0.0"), (6, "::")):
            if any(_version(server.host) == version for server in servers):
                sockets[version] = await stack.enter_async_context(_opened(source or own))
        return await asyncio.gather(*(_reflection(server, sockets[_version(server.host)], bound) for server in servers))


def _version(host: str) -> int:
    """Of IP; names are looked up as IPv4, as the ICE agent does."""
    address = parsed(host)
    return 4 if address is None else address.version


class _Socket(asyncio.DatagramProtocol):
    """Asks any number of servers."""

    def __init__(self) -> None:
        self._asked: dict[bytes, stun.Transaction] = {}
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with contextlib.suppress(ValueError):  # it is not STUN
            message = stun.parse_message(data)
            if message.transaction_id in self._asked:
                self._asked[message.transaction_id].response_received(message, (addr[0], addr[1]))

    def send_stun(self, message: stun.Message, addr: Address) -> None:
        """For aioice's transaction, which asks again when there is no answer."""
        if self.transport is not None:
            self.transport.sendto(bytes(message), addr)

    async def ask(self, address: Address) -> stun.Message:
        """A server's answer; raises `stun.TransactionError`."""
        request = binding_request()
        transaction = self._asked[request.transaction_id] = stun.Transaction(request, address, self)
        try:
            answer, _ = await transaction.run()
        finally:
            del self._asked[request.transaction_id]
        return answer


@contextlib.asynccontextmanager
async def _opened(source: str) -> AsyncIterator[_Socket]:
    loop = asyncio.get_running_loop()
    transport, opened = await loop.create_datagram_endpoint(_Socket, sock=bind_udp(source))
    try:
        yield opened
    finally:
        transport.close()


async def _reflection(server: StunServer, socket: _Socket, bound: float) -> Reflection:
    loop = asyncio.get_running_loop()
    began, mapped = loop.time(), dict[Address, Address]()
    address, why, seconds = None, None, 0.0
    try:
        async with asyncio.timeout(bound):
            address = await resolve(server.host, server.port)
            answer = await unless_refused(address, socket.ask(address))
            seconds = loop.time() - began
            mapped[address] = _seen(answer)
            if (other := answer.attributes.get("OTHER-ADDRESS")) is not None:
                mapped[other] = _seen(await socket.ask(other))
    except (OSError, UnicodeError, stun.TransactionError) as error:
        if not mapped:  # a second address that says nothing takes nothing from the first one's answer
            why, seconds = refusal(error), loop.time() - began
    way = None if address is None else route(*address)
    return Reflection(server, seconds, mapped, None if way is None else way.source, why)


def _seen(answer: stun.Message) -> Address:
    found = answer.attributes.get("XOR-MAPPED-ADDRESS") or answer.attributes.get("MAPPED-ADDRESS")
    if found is None:
        raise ConnectionError("the answer has no address in it")
    return str(found[0]), int(found[1])
