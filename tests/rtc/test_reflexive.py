import asyncio
import contextlib

from aioice import stun
from calls import holdings, until
from ice_services import LOOPBACK, MAPPED, StunService, free_port
from ice_services import stun_service as running

from smallrtc_cli.rtc.reflexive import reflections
from smallrtc_cli.rtc.refusals import Reason
from smallrtc_cli.rtc.servers import StunServer

PATIENT = 20.0
ELSEWHERE = ("203.0.113.7", 5151)


class WithAnother(StunService):
    """A server with a second address (RFC 5780), and one that speaks the old attribute."""

    other: tuple[str, int] | None = None

    def datagram_received(self, data, addr):
        request = stun.parse_message(data)
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id)
        if self.mapped is not None:
            answer.attributes["MAPPED-ADDRESS"] = self.mapped
        if self.other is not None:
            answer.attributes["OTHER-ADDRESS"] = self.other
        self.transport.sendto(b"no STUN", addr)
        self.transport.sendto(bytes(answer), addr)


class Noted(StunService):
    """Notes who asks."""

    def __init__(self, mapped):
        super().__init__(mapped)
        self.askers = set()

    def datagram_received(self, data, addr):
        self.askers.add(addr)
        super().datagram_received(data, addr)


@contextlib.asynccontextmanager
async def serving(service):
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: service, local_addr=(LOOPBACK, 0))
    try:
        yield service
    finally:
        service.transport.close()


def with_another(mapped, other):
    service = WithAnother(mapped)
    service.other = other
    return serving(service)


async def test_a_server_tells_as_whom_it_sees_us_and_we_know_who_we_are(stun_service):
    (found,) = await reflections([stun_service.server], PATIENT)
    assert found.mapped == {(LOOPBACK, stun_service.port): MAPPED}
    assert (found.source, found.refusal) == (LOOPBACK, None)


async def test_all_servers_are_asked_from_one_socket():
    """Beside it each has a connected socket of its own, which is told of a closed port."""
    async with serving(Noted(MAPPED)) as one, serving(Noted(MAPPED)) as other:
        await reflections([one.server, other.server], PATIENT)
        assert len(one.askers & other.askers) == 1


async def test_a_second_address_of_the_server_is_asked_too():
    async with running(ELSEWHERE) as second, with_another(MAPPED, (LOOPBACK, second.port)) as first:
        (found,) = await reflections([first.server], PATIENT)
    assert found.mapped == {(LOOPBACK, first.port): MAPPED, (LOOPBACK, second.port): ELSEWHERE}
    assert found.refusal is None


async def test_a_second_address_that_says_nothing_takes_nothing_away(silent_service):
    async with with_another(MAPPED, (LOOPBACK, silent_service.port)) as first:
        (found,) = await reflections([first.server], 1.0)
    assert found.mapped == {(LOOPBACK, first.port): MAPPED}
    assert found.refusal is None


async def test_silence_a_closed_port_and_a_useless_answer_are_told_apart(silent_service):
    closed = StunServer("stun:closed", LOOPBACK, free_port())
    async with with_another(None, None) as empty:
        found = await reflections([silent_service.server, closed, empty.server], 3.0)
    assert [each.refusal.reason for each in found] == [Reason.SILENT, Reason.REFUSED, Reason.BROKEN]


async def test_nobody_to_ask_is_nothing_to_say():
    assert await reflections([], PATIENT) == []


async def test_ipv6_has_a_socket_of_its_own():
    (found,) = await reflections([StunServer("stun:[::1]", "::1", free_port())], PATIENT)
    assert found.refusal is not None
    assert found.refusal.reason in {Reason.REFUSED, Reason.BROKEN}  # the latter where there is no IPv6


async def test_nothing_is_left_behind(silent_service):
    before = holdings()
    await reflections([silent_service.server], 0.2)
    await until(lambda: holdings() == before)
