"""Things that happen at the same time: an end and a restart, messages and a restart, a close and an offer."""

import asyncio
import socket
from collections.abc import Iterator

import numpy as np
import pytest
from calls import AUDIO_ONLY, SOUND, Mailbox, answering, dialed, holdings, idle_bot, until

from smallrtc_cli.audio.pcm import level_dbfs
from smallrtc_cli.bots.echo import echo
from smallrtc_cli.config import Ice, Settings
from smallrtc_cli.errors import ConnectionEnded, ServerClosing
from smallrtc_cli.protocol.session import CloseReason, State
from smallrtc_cli.protocol.signalling import SmallWebRTCRequest
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.dialer import Dialer
from smallrtc_cli.rtc.peer import Peer
from smallrtc_cli.rtc.request_handler import SmallWebRTCRequestHandler
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams

SLOW_TO_ANSWER = Settings(ice=Ice(gather_timeout=0.3))


@pytest.fixture
def silent_stun() -> Iterator[str]:
    """A STUN server that never answers: with it an answer takes as long as the settings allow."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"stun:127.0.0.1:{deaf.getsockname()[1]}"


async def an_offer() -> str:
    """A session description of a dialer that has hung up since."""
    async with answering(idle_bot) as server, dialed(server.supervisor) as (_, connection):
        return str(connection.pc.localDescription.sdp)


async def test_a_restart_that_meets_the_end_is_refused_and_leaves_nothing(silent_stun):
    sdp = await an_offer()
    before = holdings()
    connection = SmallWebRTCConnection([silent_stun], settings=SLOW_TO_ANSWER)
    await connection.initialize(sdp, "offer")
    again = asyncio.ensure_future(connection.renegotiate(sdp, "offer", restart_pc=True))
    await asyncio.sleep(0.05)
    await connection.close()
    with pytest.raises(ConnectionEnded):
        await again
    assert connection.state is State.CLOSED
    await until(lambda: holdings() == before)


async def test_an_offer_that_is_under_way_when_the_handler_closes_starts_nothing(silent_stun):
    sdp = await an_offer()
    before, started = holdings(), []
    handler = SmallWebRTCRequestHandler([silent_stun], settings=SLOW_TO_ANSWER)
    offering = asyncio.ensure_future(handler.handle_web_request(SmallWebRTCRequest(sdp, "offer"), started.append))
    await asyncio.sleep(0.05)
    await handler.close()
    with pytest.raises(ServerClosing):
        await offering
    assert not started
    await until(lambda: holdings() == before)


async def test_a_bot_that_sends_more_than_may_wait_is_held_back_and_loses_nothing():
    async def eager(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection)
        for n in range(300):
            await transport.send_message({"n": n})
        await transport.wait_closed()

    async with answering(eager) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection)
        mailbox = Mailbox(transport)
        await transport.start()
        assert [(await mailbox.next())["n"] for _ in range(300)] == list(range(300))


async def test_a_bot_that_sends_without_end_leaves_the_loop_to_others():
    async def flooding(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection)
        while runner_args.webrtc_connection.close_reason is None:
            await transport.send_message({"n": 1})

    async with answering(flooding) as server, dialed(server.supervisor):
        async with answering(echo) as other, dialed(other.supervisor) as (_, connection):
            transport = SmallWebRTCTransport(connection)
            mailbox = Mailbox(transport)
            await transport.send_message({"still": "served"})
            assert await mailbox.next() == {"still": "served"}


async def test_no_message_is_lost_or_overtaken_in_a_restart_of_a_healthy_connection():
    heard = []

    async def counting(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection)
        transport.add_event_handler("on_app_message", lambda t, message, sender: heard.append(message["n"]))
        await transport.wait_closed()

    async with answering(counting) as server, dialed(server.supervisor) as (dialer, connection):
        transport = SmallWebRTCTransport(connection)
        await until(lambda: connection.peer.stages.channel)
        for n in range(400):
            await transport.send_message({"n": n})
            if n == 100:
                dialer.restart()
            await asyncio.sleep(0.001)
        await until(lambda: len(heard) >= 400)
        assert heard == list(range(400))


async def test_last_words_of_a_caller_who_hangs_up_at_once_arrive():
    heard = []

    async def listening(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection)
        transport.add_event_handler("on_app_message", lambda t, message, sender: heard.append(message))
        await transport.wait_closed()

    async with answering(listening) as server:
        connection = await Dialer(server.supervisor, AUDIO_ONLY).dial()
        await SmallWebRTCTransport(connection).send_message({"last": "words"})
        await connection.disconnect()
        await until(lambda: heard)
    assert heard == [{"last": "words"}]


async def test_dial_returns_when_the_peer_is_connected_whatever_the_channel_does(monkeypatch):
    monkeypatch.setattr(Peer, "_channel_opened", lambda self, channel: None)
    async with answering(idle_bot) as server:
        dialer = Dialer(server.supervisor, AUDIO_ONLY)
        connection = await asyncio.wait_for(dialer.dial(), 5)
        assert connection.state is State.CONNECTED
        await connection.disconnect()


async def test_a_call_that_is_given_up_while_dialing_says_so(silent_stun):
    async with answering(idle_bot, SLOW_TO_ANSWER, ice_servers=[silent_stun]) as server:
        dialer = Dialer(server.supervisor, AUDIO_ONLY)
        calling = asyncio.ensure_future(dialer.dial())
        await asyncio.sleep(0.05)
        await dialer.connection.disconnect()
        with pytest.raises(ConnectionEnded, match="given up"):
            await calling


async def test_a_redial_that_fails_in_an_unforeseen_way_ends_the_call():
    class Broken:
        def __init__(self, inner):
            self.inner, self.calls = inner, 0

        async def offer(self, request):
            self.calls += 1
            if self.calls > 1:
                raise KeyError("unforeseen")
            return await self.inner.offer(request)

    async with answering(idle_bot) as server, dialed(Broken(server.supervisor)) as (_, connection):
        for protocol in connection.peer.agent.host_protocols():
            protocol.transport.abort()
        await asyncio.wait_for(connection.wait_closed(), 10)
        assert connection.close_reason is CloseReason.REDIAL_FAILED


async def test_names_that_must_be_looked_up_are_waited_for_though_the_offer_says_that_it_is_complete():
    sdp = await an_offer()
    lines = [line for line in sdp.splitlines() if not line.startswith("a=candidate") and line != "a=end-of-candidates"]
    at = next(n for n, line in enumerate(lines) if line.startswith("a=ice-ufrag"))
    hidden = "a=candidate:1 1 udp 2130706431 00000000-0000-4000-8000-000000000000.local 9 typ host"
    lines[at:at] = [hidden, "a=end-of-candidates"]
    connection = SmallWebRTCConnection()
    await connection.initialize("\r\n".join(lines) + "\r\n", "offer")
    await asyncio.sleep(0.2)  # aioice looks for a second; without a candidate to come it fails within 20 ms
    assert connection.state is State.CONNECTING
    await connection.close()


async def test_what_was_drained_has_really_been_sent():
    """A bot that drains and ends: its last 60 ms are heard."""
    tail = (8000 * np.sin(np.arange(1440) * 2 * np.pi * 1000 / 24_000)).astype("<i2").tobytes()

    async def brief(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection, SOUND)
        connected = asyncio.Event()
        transport.add_event_handler("on_client_connected", lambda t, c: connected.set())
        await transport.start()
        await connected.wait()
        await asyncio.sleep(0.2)
        await transport.output().write(tail)
        await transport.output().drain()

    loud = 0
    params = TransportParams(audio_in_enabled=True, audio_in_sample_rate=48_000)
    async with answering(brief) as server, dialed(server.supervisor) as (_, connection):
        async for frame in SmallWebRTCTransport(connection, params).input():
            samples = np.frombuffer(frame.audio, "<i2").reshape(-1, 240)
            loud += sum(level_dbfs(piece) > -30 for piece in samples)
    assert loud >= 11, f"{loud * 5} of 60 ms were heard"


async def test_what_a_handler_of_the_end_does_is_waited_for_when_the_server_closes():
    saved = []

    async def saving(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection)

        @transport.event_handler("on_client_closed")
        async def save(transport, connection):
            await asyncio.sleep(0.1)
            saved.append(connection.close_reason)

        await transport.wait_closed()

    async with answering(saving) as server, dialed(server.supervisor):
        await until(lambda: server.arguments and server.connection.is_connected())
        await server.supervisor.close()
        assert saved == [CloseReason.SERVER_SHUTDOWN]
