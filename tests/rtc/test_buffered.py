"""What was sent and not acknowledged: how much it is, and who waits for it; the sockets' buffers below."""

import asyncio
import socket

import pytest
from calls import until
from narrow_path import measured, narrow_path, pair

from smallrtc_cli.config import Limits, Settings
from smallrtc_cli.protocol.session import State
from smallrtc_cli.rtc.aiortc_dtls import at_once
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.peer_messages import PeerMessages
from smallrtc_cli.rtc.sockets import BUFFER_SIZES, enlarge_buffers
from smallrtc_cli.rtc.stats import of_type, stats

pytestmark = pytest.mark.usefixtures("loopback_only")


def is_dtls(data: bytes) -> bool:
    return 19 < data[0] < 64  # RFC 7983


LIMITED = Settings(limits=Limits(buffered=20_000))


async def test_what_is_not_acknowledged_is_told_and_waited_for():
    with narrow_path() as path:
        async with pair(LIMITED) as (connection, other):
            await measured(connection, other)
            peer = connection.peer
            assert await peer.drain(10)
            path.drop = is_dtls
            for _ in range(10):
                peer.send("x" * 3000)
            await until(lambda: peer.buffered == 30_000)
            (entry,) = of_type(await stats(connection), "data-channel")
            assert entry["bufferedAmount"] == 30_000
            waiting = asyncio.ensure_future(peer.wait_writable())
            assert not await peer.drain(0.05)
            assert not waiting.done()
            path.drop = lambda data: False
            await asyncio.wait_for(waiting, 20)
            assert peer.buffered <= 10_000
            assert await peer.drain(20)
            assert peer.buffered == 0
            await peer.wait_writable()


async def test_whoever_waits_is_released_when_the_connection_ends():
    with narrow_path() as path:
        async with pair(LIMITED) as (connection, other):
            await measured(connection, other)
            path.drop = is_dtls
            connection.peer.send("x" * 30_000)
            waiting = asyncio.ensure_future(connection.peer.wait_writable())
            await asyncio.sleep(0)
            assert not waiting.done()
            await connection.peer.close()
            await asyncio.wait_for(waiting, 10)


async def test_a_message_over_an_idle_channel_waits_for_nothing():
    async with pair() as (connection, other):
        await measured(connection, other)
        assert await connection.peer.drain(20)
        at_once(connection.wait_writable())


async def passes(connection, count: int) -> int:
    """So many messages are sent without a look at anything else; returns how often others had the loop meanwhile."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    running = asyncio.ensure_future(others())
    for number in range(count):
        await connection.wait_writable()
        connection.send_app_message({"n": number})
    running.cancel()
    return turns


async def test_whoever_sends_without_end_shares_the_loop_before_the_channel_is_open_and_after_the_end_too():
    connection = SmallWebRTCConnection()
    assert await passes(connection, 50) >= 40
    await connection.close()
    async with pair() as (connection, other):
        await measured(connection, other)
        assert await passes(connection, 50) >= 40
    assert await passes(connection, 50) >= 40


async def test_whoever_sends_without_end_shares_the_loop_while_the_conversation_ends_over_an_idle_channel(monkeypatch):
    async with pair() as (connection, other):
        await measured(connection, other)
        peer, released = connection.peer, asyncio.Event()

        async def long_drain(*_: float) -> bool:
            return await released.wait()

        monkeypatch.setattr(peer, "drain", long_drain)
        ending = asyncio.ensure_future(connection.close())
        await until(lambda: connection.state is State.CLOSED and peer.messages.is_idle)
        assert await passes(connection, 50) >= 40
        released.set()
        await ending


def sizes(of: socket.socket) -> list[int]:
    return [of.getsockopt(socket.SOL_SOCKET, option) for option in (socket.SO_RCVBUF, socket.SO_SNDBUF)]


def test_a_socket_gets_larger_buffers_than_the_system_gives_by_itself():
    with socket.socket(type=socket.SOCK_DGRAM) as bound:
        before = sizes(bound)
        enlarge_buffers(bound)
        assert all(after > less for less, after in zip(before, sizes(bound), strict=True))


@pytest.mark.parametrize("most", [*BUFFER_SIZES, 0])
def test_where_a_system_refuses_a_size_it_is_asked_for_less_and_no_error(most):
    class Strict:
        granted: dict[int, int]

        def setsockopt(self, level: int, option: int, size: int) -> None:
            if size > most:
                raise OSError("No buffer space available")
            self.granted[option] = size

    bound = Strict()
    bound.granted = {}
    enlarge_buffers(bound)
    assert bound.granted == ({socket.SO_RCVBUF: most, socket.SO_SNDBUF: most} if most else {})


@pytest.mark.parametrize(("longest", "drained"), [(20, True), (0, False)])
async def test_a_drain_goes_on_while_something_is_acknowledged(monkeypatch, longest, drained):
    left = [30_000, 20_000, 10_000, 0]

    async def one_is_acknowledged(messages, most):
        left.pop(0)
        if left[0] > most:
            await asyncio.Event().wait()

    async with pair(LIMITED) as (connection, _):
        peer = connection.peer
        monkeypatch.setattr(PeerMessages, "buffered", property(lambda messages: left[0]))
        monkeypatch.setattr(PeerMessages, "_until_buffered", one_is_acknowledged)
        assert await peer.drain(0.05, longest) is drained
        monkeypatch.undo()
