"""What a call held goes with it: nothing of ours, aiortc's or aioice's waits for the garbage collector."""

import asyncio
import contextlib
import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from calls import AUDIO_ONLY, SOUND, Mailbox, answering, dialed, until
from OpenSSL import SSL

from smallrtc_cli.audio.opus import OpusDecoder, OpusEncoder
from smallrtc_cli.bots.echo import echo
from smallrtc_cli.protocol.sdp import sections
from smallrtc_cli.protocol.signalling import SmallWebRTCRequest
from smallrtc_cli.rtc.aiortc_internals import PeerConnection
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.dialer import Dialer
from smallrtc_cli.rtc.peer import MediaOptions
from smallrtc_cli.rtc.transport import SmallWebRTCTransport

pytestmark = pytest.mark.usefixtures("loopback_only")

WITH_VIDEO = replace(AUDIO_ONLY, media=MediaOptions())
ROOMS = ("smallrtc_cli.rtc.", "smallrtc_cli.audio.", "smallrtc_cli.protocol.", "aiortc.", "aioice.", "OpenSSL.")


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def present() -> Counter[str]:
    """The objects of calls by class, garbage too; and what there is once in a process."""
    sections.cache_clear()
    kinds = Counter(type(each) for each in gc.get_objects())
    return Counter({str(kind): number for kind, number in kinds.items() if f"{kind.__module__}.".startswith(ROOMS)})


def living(*kinds: type) -> int:
    return sum(type(each) in kinds for each in gc.get_objects())


async def calls(bot=echo, number: int = 1, options=AUDIO_ONLY, *, restart: bool = False) -> None:
    """One after the other, to a server of their own."""
    async with answering(bot) as server:
        for _ in range(number):
            await talk(server.supervisor, options, restart=restart)


async def talk(exchange, options, *, restart: bool) -> None:
    """Sound and messages both ways."""
    async with dialed(exchange, options) as (dialer, connection):
        transport = SmallWebRTCTransport(connection, SOUND)
        mailbox = Mailbox(transport)
        sound = transport.input()
        await transport.output().write(bytes(9600))
        assert len((await asyncio.wait_for(anext(sound), 20)).audio) > 0
        await transport.send_message({"n": 1})
        assert await mailbox.next(20) == {"n": 1}
        if restart:
            first = connection.peer
            dialer.restart()
            await until(lambda: connection.peer is not first and connection.peer.stages.channel, 20)


async def idle() -> Counter[str]:
    """What is present with no call, after one that made what is made once."""
    before = living(PeerConnection, SmallWebRTCConnection)
    await calls()
    await until(lambda: living(PeerConnection, SmallWebRTCConnection) <= before, 20)
    return present()


async def nothing_but(before: Counter[str]) -> None:
    """Comes true by itself, or not at all."""
    with contextlib.suppress(TimeoutError):
        await until(lambda: present() <= before)
    assert present() - before == Counter()


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("options", [AUDIO_ONLY, WITH_VIDEO])
async def test_a_call_leaves_no_object_on_either_side(options, restart):
    before = await idle()
    await calls(number=3, options=options, restart=restart)
    await nothing_but(before)


async def test_a_call_that_is_given_up_before_there_is_an_answer_leaves_no_object():
    class Silent:
        async def offer(self, request: SmallWebRTCRequest):
            asked.set()
            await asyncio.Event().wait()

    before, asked = await idle(), asyncio.Event()
    calling = asyncio.ensure_future(Dialer(Silent(), AUDIO_ONLY).dial())
    await asyncio.wait_for(asked.wait(), 20)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    del calling
    await nothing_but(before)


async def offer_of_nobody() -> str:
    """Of a call that is over: no check comes, whatever is answered."""
    async with answering(echo) as server, dialed(server.supervisor) as (_, connection):
        return connection.pc.localDescription.sdp


async def test_a_caller_who_is_never_heard_of_again_leaves_no_object():
    async def never_up(offer: str) -> None:
        async with answering(echo) as server:
            await server.supervisor.offer(SmallWebRTCRequest(offer, "offer"))
            await until(lambda: server.arguments)
            await server.connection.close()

    offer, before = await offer_of_nobody(), await idle()
    await never_up(offer)
    await nothing_but(before)


async def test_a_bot_that_keeps_its_call_in_a_cycle_keeps_neither_keys_nor_codecs():
    """They are most of what a call takes, and the collector may come late."""

    async def knotted(runner_args):
        connection = runner_args.webrtc_connection
        connection.itself = connection
        await echo(runner_args)

    heavy, calls_before = living(SSL.Connection, OpusEncoder, OpusDecoder), living(SmallWebRTCConnection)
    await calls(knotted)
    await until(lambda: living(SSL.Connection, OpusEncoder, OpusDecoder) <= heavy, 20)
    assert living(SmallWebRTCConnection) == calls_before + 1
