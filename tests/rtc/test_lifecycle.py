"""Nothing is left over: sockets, tasks, threads, after success, failure and time-out (P5, P6)."""

import asyncio
import gc
from dataclasses import replace
from pathlib import Path

import pytest
from calls import AUDIO_ONLY, IMPATIENT, SOUND, Mailbox, answering, dialed, holdings, idle_bot, until

from smallrtc_cli.bots.echo import echo
from smallrtc_cli.config import Settings
from smallrtc_cli.errors import SmallRTCError
from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.protocol.signalling import SmallWebRTCRequest
from smallrtc_cli.rtc.dialer import Dialer
from smallrtc_cli.rtc.transport import SmallWebRTCTransport


def resident_kilobytes() -> int:
    """This process's resident set."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def call_briefly(exchange) -> None:
    async with dialed(exchange) as (_, connection):
        transport = SmallWebRTCTransport(connection, SOUND)
        mailbox = Mailbox(transport)
        await transport.send_message({"n": 1})
        assert await mailbox.next() == {"n": 1}


@pytest.mark.timeout(180)
async def test_200_connects_leave_nothing_and_memory_is_flat():
    async with answering(echo) as server:
        before = holdings()
        for _ in range(40):
            await call_briefly(server.supervisor)
            server.arguments.clear()
        gc.collect()
        warm = resident_kilobytes()
        for _ in range(160):
            await call_briefly(server.supervisor)
            server.arguments.clear()
        await until(lambda: holdings() == before)
        assert not server.handler.connections
        grown = resident_kilobytes() - warm
        assert grown / 160 < 88, f"{grown / 160:.0f} kB a call"  # Pipecat's slope


@pytest.mark.timeout(120)
async def test_50_failed_connects_leave_nothing():
    """Clients that make an offer and are never heard of again; offers that are refused; callers that give up."""
    impatient = replace(IMPATIENT, timing=replace(IMPATIENT.timing, connect_timeout=0.3))
    async with answering(idle_bot) as server, dialed(server.supervisor) as (_, connection):
        offer = connection.pc.localDescription.sdp
        deaf = "\r\n".join(line for line in offer.splitlines() if "candidate" not in line) + "\r\n"
    async with answering(idle_bot, settings=impatient) as server:
        before = holdings()
        for _ in range(20):
            connection = await server.supervisor.offer(SmallWebRTCRequest(deaf, "offer"))
            assert connection["pc_id"]
        for _ in range(20):
            with pytest.raises(SmallRTCError):
                await server.supervisor.offer(SmallWebRTCRequest(deaf.replace("a=ice-ufrag", "a=x"), "offer"))
        for _ in range(10):
            dialer = Dialer(server.supervisor, AUDIO_ONLY)
            calling = asyncio.ensure_future(dialer.dial())
            await asyncio.sleep(0.002)
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        await until(lambda: not server.handler.connections)
        await until(lambda: holdings() == before)


async def test_a_call_that_is_given_up_while_connecting_leaves_nothing():
    async with answering(idle_bot) as server:
        before = holdings()
        for delay in (0.0, 0.001, 0.003, 0.01, 0.02):
            calling = asyncio.ensure_future(Dialer(server.supervisor, AUDIO_ONLY).dial())
            await asyncio.sleep(delay)
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        for connection in server.handler.connections:
            await connection.close()
        await until(lambda: holdings() == before)


async def test_a_bot_that_crashes_tells_its_caller_and_ends_the_call(caplog):
    """P5."""

    async def crashing(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection, SOUND)
        async for _ in transport.input():
            raise KeyError("voice")

    async with answering(crashing) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection, SOUND)
        mailbox = Mailbox(transport)
        await transport.output().write(bytes(4800))
        error = await mailbox.next()
        assert (error["type"], error["data"]["error"], error["data"]["fatal"]) == ("error", "KeyError: 'voice'", True)
        assert error["data"]["traceback"].startswith("Traceback")
        await asyncio.wait_for(connection.wait_closed(), 10)
        assert connection.close_reason is CloseReason.PEER_LEFT
        assert server.connection.close_reason is CloseReason.BOT_FAILED
    assert "Traceback" in caplog.text


async def test_a_bot_that_crashes_at_once_tells_its_caller_too():
    async def crashing(runner_args):
        raise RuntimeError("no model")

    async with answering(crashing) as server:
        dialer = Dialer(server.supervisor, AUDIO_ONLY)
        heard = []
        dialer.connection.add_event_handler("app-message", lambda c, message: heard.append(message))
        await dialer.connection.connect()
        connection = await dialer.dial()
        await asyncio.wait_for(connection.wait_closed(), 10)
        await until(lambda: heard)
        assert (heard[0]["data"]["error"], heard[0]["data"]["fatal"]) == ("RuntimeError: no model", True)
        assert connection.close_reason is CloseReason.PEER_LEFT


async def test_closing_the_supervisor_ends_all_calls_with_peer_left_and_its_bots():
    """P4."""
    cancelled = []

    async def stubborn(runner_args):
        await SmallWebRTCTransport(runner_args.webrtc_connection).start()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(runner_args)
            raise

    async with answering(stubborn) as server:
        async with dialed(server.supervisor) as (_, first), dialed(server.supervisor) as (_, second):
            await until(lambda: first.peer.stages.channel and second.peer.stages.channel)
            await server.supervisor.close()
            for connection in (first, second):
                await asyncio.wait_for(connection.wait_closed(), 10)
                assert connection.close_reason is CloseReason.PEER_LEFT
    assert len(cancelled) == 2


async def test_close_is_bounded_when_a_handler_never_returns():
    settings = Settings(timing=replace(Settings().timing, close_timeout=0.1))
    stuck = asyncio.Event()

    async def bot(runner_args):
        connection = runner_args.webrtc_connection

        @connection.event_handler("app-message")
        async def never(connection, message):
            stuck.set()
            await asyncio.sleep(3600)

        await SmallWebRTCTransport(connection).wait_closed()

    async with answering(bot, settings) as server:
        before = holdings()
        async with dialed(server.supervisor) as (_, connection):
            await SmallWebRTCTransport(connection).send_message({"n": 1})
            await asyncio.wait_for(stuck.wait(), 10)
        await until(lambda: holdings() == before)
