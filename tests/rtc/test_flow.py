"""Whether a data channel gets things through, and how fast."""

import pytest
from aiortc import RTCSctpTransport
from calls import answering, idle_bot, until
from narrow_path import measured, narrow_path, pair

from smallrtc_cli.errors import ConnectionEnded
from smallrtc_cli.rtc import aiortc_internals as internals
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.flow import Throughput, holdup, throughput
from smallrtc_cli.rtc.sctp_receiver import SctpReceiver

pytestmark = pytest.mark.usefixtures("loopback_only")

SIZE = 131_072


async def test_all_that_is_sent_gets_there_and_no_bot_hears_of_it():
    async with pair() as (connection, other):
        await measured(connection, other)
        heard = []
        other.add_event_handler("app-message", lambda _, message: heard.append(message))
        other._perform(other._session.join())
        used = connection.peer.path.chunk
        for chunk in (1432, 600):
            found = await throughput(connection, chunk, size=SIZE, time_limit=20)
            assert (found.chunk, found.acknowledged >= SIZE, found.bytes_per_second > 0) == (chunk, True, True)
        assert connection.peer.path.chunk == used
        assert heard == []
        assert other.counters["messagesRejected"] == 0


async def test_chunks_that_are_too_long_for_the_path_get_nowhere():
    with narrow_path(1280):
        async with pair() as (connection, other):
            await measured(connection, other)
            passing = await throughput(connection, 1184, size=SIZE, time_limit=20)
            stuck = await throughput(connection, 1188, size=SIZE, time_limit=0.3)
            assert passing.acknowledged >= SIZE
            assert stuck.acknowledged == 0


def test_a_rate_is_of_what_was_acknowledged():
    assert Throughput(1184, 50_000, 0.5).bytes_per_second == 100_000


async def test_a_channel_that_flows_is_not_held_up():
    async with pair() as (connection, _):
        assert await holdup(connection, 20) is None


async def test_another_side_that_acknowledges_nothing_holds_it_up(monkeypatch):
    async with pair() as (connection, other):
        await measured(connection, other)
        await until(lambda: not internals.unacknowledged(connection.pc.sctp))

        monkeypatch.setattr(SctpReceiver, "acknowledgement", lambda self, room: None)
        connection.send_load(500)
        found = await holdup(connection, 0.3)
        assert found is not None
        assert 500 < found.longest < 700
        assert found.window is None


async def test_another_side_that_has_no_room_left_says_so(monkeypatch):
    async with pair() as (connection, other):
        await measured(connection, other)
        await until(lambda: not internals.unacknowledged(connection.pc.sctp))
        told = RTCSctpTransport._send_sack

        async def full(self: RTCSctpTransport) -> None:
            self._advertised_rwnd, self._last_received_tsn = 0, before
            await told(self)

        before = other.pc.sctp._last_received_tsn
        monkeypatch.setattr(other.pc.sctp, "_send_sack", full.__get__(other.pc.sctp))
        connection.send_load(500)
        found = await holdup(connection, 0.3)
        assert found is not None
        assert found.window == 0


async def test_without_a_data_channel_there_is_nothing_to_measure():
    async with answering(idle_bot):
        connection = SmallWebRTCConnection()
        with pytest.raises(ConnectionEnded):
            await throughput(connection, 1184)
        await connection.close()
