"""A bot in one process, its caller in another, HTTP and UDP between them."""

import asyncio
import signal
import sys

import pytest
from calls import AUDIO_ONLY, dialed

from smallrtc_cli.audio.analysis import analyse
from smallrtc_cli.audio.signals import measuring_signal
from smallrtc_cli.bots.caller import PARAMS, call
from smallrtc_cli.errors import OfferRefused, ServerUnreachable
from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.rtc.dialer import Dialer
from smallrtc_cli.rtc.transport import SmallWebRTCTransport
from smallrtc_cli.web.client import HttpExchange

SERVER = """
import asyncio, signal
from smallrtc_cli.bots.echo import echo
from smallrtc_cli.bots.supervisor import Supervisor
from smallrtc_cli.rtc.request_handler import SmallWebRTCRequestHandler
from smallrtc_cli.web.server import SignallingServer

async def main():
    supervisor = Supervisor(lambda: echo, SmallWebRTCRequestHandler())
    server = SignallingServer(supervisor)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(await server.start(), flush=True)
    await stop.wait()
    await supervisor.close()
    await server.close()

asyncio.run(main())
"""


@pytest.fixture
async def echo_process():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
        yield process, url
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_sound_and_messages_cross_from_process_to_process(echo_process):
    _, url = echo_process
    async with HttpExchange(url) as exchange, dialed(exchange) as (_, connection):
        made = await call(SmallWebRTCTransport(connection, PARAMS), measuring_signal(1.5))
    audio = analyse(made.sent, made.received)
    assert not audio.faults()
    assert audio.snr_db > 15
    assert (made.messages.sent, made.messages.lost, made.messages.reordered) == (200, 0, 0)


async def test_a_server_that_is_told_to_stop_says_peer_left_and_ends_cleanly(echo_process):
    process, url = echo_process
    async with HttpExchange(url) as exchange, dialed(exchange) as (_, connection):
        await connection.wait_for(lambda: connection.peer.stages.channel is not None)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(connection.wait_closed(), 10)
        assert connection.close_reason is CloseReason.PEER_LEFT
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert await process.stderr.read() == b""
        with pytest.raises(ServerUnreachable):
            await Dialer(exchange, AUDIO_ONLY).dial()


async def test_an_offer_over_http_that_is_none_is_refused_with_the_servers_sentence(echo_process):
    _, url = echo_process
    async with HttpExchange(url) as exchange:
        from smallrtc_cli.protocol.signalling import SmallWebRTCRequest

        with pytest.raises(OfferRefused) as caught:
            await exchange.offer(SmallWebRTCRequest("v=0", "offer"))
    assert caught.value.status == 400
