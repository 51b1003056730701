import asyncio

import pytest
from ice_services import LOOPBACK, free_port

from smallrtc_cli.rtc.udp import passes, unless_refused


async def test_a_packet_to_oneself_arrives():
    assert await asyncio.wait_for(passes(LOOPBACK), 10)


async def test_work_at_an_open_port_has_its_result(silent_service):
    async def work():
        await asyncio.sleep(0)
        return 5

    assert await asyncio.wait_for(unless_refused((LOOPBACK, silent_service.port), work()), 10) == 5


async def test_work_that_fails_fails_as_it_does(silent_service):
    async def work():
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await asyncio.wait_for(unless_refused((LOOPBACK, silent_service.port), work()), 10)


async def test_a_closed_port_ends_work_that_would_wait_for_ever():
    ended = asyncio.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(ConnectionRefusedError):
        await asyncio.wait_for(unless_refused((LOOPBACK, free_port()), work()), 20)
    assert ended.is_set()
