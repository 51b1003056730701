"""A canary for each private name of aiortc that `aiortc_dtls` touches, and what may come instead of a message."""

import asyncio
import contextlib
import logging
import random

import pytest
from aiortc.rtcsctptransport import Chunk, HeartbeatChunk, serialize_packet
from calls import until
from peer_connections import call

from smallrtc_cli.protocol.dtls import application_records
from smallrtc_cli.rtc import aiortc_internals as internals
from smallrtc_cli.rtc.aiortc_dtls import at_once, take

pytestmark = pytest.mark.usefixtures("loopback_only")

ALERT, HANDSHAKE = 21, 22


class Watched:
    """What arrives at a peer connection, and what of it waits for aiortc's task."""

    def __init__(self, pc):
        self.dtls, self.agent = internals.dtls_transport(pc), internals.ice_agent(pc)
        self.taken, self.left = [], []
        self._take, self.agent.take_data = self.agent.take_data, self._see

    def _see(self, datagram):
        took = self._take(datagram)
        (self.taken if took else self.left).append(datagram)
        return took


@contextlib.asynccontextmanager
async def chat():
    """A channel from one to the other, and what has arrived at the end of it."""
    async with call() as (one, other):
        received = []
        other.on("datachannel", lambda channel: channel.on("message", received.append))
        line = one.createDataChannel("more")
        await until(lambda: line.readyState == "open" and not internals.unacknowledged(one.sctp))
        yield one, other, line, received


def record(pc, data):
    """A datagram as this side would send it."""
    ssl = internals.dtls_transport(pc)._ssl
    ssl.send(data)
    return ssl.bio_read(65_536)


def packet(pc, chunk):
    return serialize_packet(5000, 5000, pc.sctp._remote_verification_tag, chunk)


def figures(pc):
    found = internals.transport_stats(internals.dtls_transport(pc))
    return found.packetsReceived, found.bytesReceived


async def works(line, received, text="still"):
    line.send(text)
    await until(lambda: received and received[-1] == text)


# Coroutines that wait for nothing


def test_what_waits_for_nothing_is_done_at_once():
    done = []

    async def inner():
        done.append(1)

    async def outer():
        await inner()

    at_once(outer())
    assert done == [1]


async def test_what_waits_is_an_error_and_is_ended():
    ended = []

    async def waits():
        try:
            await asyncio.sleep(1)
        finally:
            ended.append(1)

    with pytest.raises(RuntimeError, match="waits for something"):
        at_once(waits())
    assert ended == [1]


def test_an_error_comes_out():
    async def fails():
        raise KeyError("x")

    with pytest.raises(KeyError):
        at_once(fails())


async def test_aiortcs_sctp_still_waits_for_nothing_from_its_init_to_its_abort(caplog):
    async with chat() as (one, other, line, received):
        watched = Watched(other), Watched(one)
        await works(line, received, "x" * 10_000)
        heard = []
        stop = one.association.on_heartbeat_ack(heard.append)
        internals.ice_agent(other).data_received(one.association.probe(b"12345678", 500), 1)
        await until(lambda: heard)
        stop()
        assert await one.association.ask_for_sack()
        short = one.createDataChannel("short", maxRetransmits=0)
        await until(lambda: short.readyState == "open")
        short.send("x")
        short.close()
        await until(lambda: short.readyState == "closed")
        await one.sctp.stop()
        await until(lambda: other.sctp.state == "closed")
    assert all(len(side.taken) > 3 for side in watched)
    assert not [entry for entry in caplog.records if entry.levelno >= logging.ERROR]


# The short way in


async def test_aiortc_still_has_its_state_its_data_receiver_and_its_ssl_where_application_data_is_taken():
    async with chat() as (_, other, line, received):
        watched = Watched(other)
        await works(line, received)
        await until(lambda: watched.taken)
        assert [*map(application_records, watched.taken)] == [1] * len(watched.taken)
        assert watched.left == []


async def test_a_message_is_there_as_soon_as_its_datagram_and_is_counted():
    async with chat() as (_, other, line, received):
        arrived = []
        internals.ice_agent(other).take_data = lambda datagram: not arrived.append(datagram)
        line.send("hello")
        await until(lambda: arrived)
        packets, size = figures(other)
        assert take(internals.dtls_transport(other), arrived[0])
        assert received == ["hello"]
        assert figures(other) == (packets + 1, size + len(arrived[0]))


async def test_what_comes_before_the_connection_is_up_is_left_to_aiortc():
    async with chat() as (one, other, _, _):
        datagram = record(one, b"x")
        dtls = internals.dtls_transport(other)
        receiver, dtls._data_receiver = dtls._data_receiver, None
        assert not take(dtls, datagram)
        dtls._data_receiver, state = receiver, dtls._state
        dtls._state = type(state).CONNECTING
        assert not take(dtls, datagram)
        dtls._state = state
        assert take(dtls, datagram)


async def test_a_packet_longer_than_an_ethernet_frame_comes_whole():
    async with chat() as (one, other, _, _):
        seen, handle = [], other.sctp._handle_data

        async def noted(data):
            seen.append(data)
            await handle(data)

        other.sctp._handle_data = noted
        take(internals.dtls_transport(other), record(one, b"x" * 4000))
        assert seen == [b"x" * 4000]


async def test_messages_whose_records_share_a_datagram_all_come_and_so_does_the_next_in_time(monkeypatch):
    async with chat() as (one, other, line, received):
        agent, sent = internals.ice_agent(other), []

        async def keep(datagram):
            sent.append(datagram)

        def arrive(*texts):
            with monkeypatch.context() as held:
                held.setattr(internals.dtls_transport(one).transport, "_send", keep)
                for text in texts:
                    line.send(text)
            agent.data_received(b"".join(sent), 1)
            sent.clear()

        packets, _ = figures(other)
        arrive("a" * 300, "b", "c" * 500)
        assert received == ["a" * 300, "b", "c" * 500]
        arrive("next")
        assert received[-1] == "next"
        assert figures(other)[0] == packets + 2


# What is no message


async def test_what_is_forged_damaged_or_repeated_is_passed_over_and_what_follows_is_not():
    draws = random.Random(1)
    async with chat() as (one, other, line, received):
        agent, dtls = internals.ice_agent(other), internals.dtls_transport(other)
        good = record(one, packet(one, HeartbeatChunk()))
        forged = [good[:13] + draws.randbytes(len(good) - 13) for _ in range(20)]
        damaged = [good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :] for place in range(len(good))]
        noise = [bytes([draws.choice((20, 21, 22, 23, 63))]) + draws.randbytes(draws.randrange(60)) for _ in range(99)]
        for datagram in [*forged, *damaged, good, good, *noise]:
            agent.data_received(datagram, 1)
        await works(line, received)
        assert dtls.state == "connected"


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"x" * 100,
        pytest.param(None, id="a chunk that is cut off"),
    ],
)
async def test_a_packet_that_is_no_sctp_or_malformed_ends_nothing(data, caplog):
    async with chat() as (one, other, line, received):
        short = Chunk(body=b"abc")
        short.type = 0
        for _ in range(2):
            take(internals.dtls_transport(other), record(one, data or packet(one, short)))
        await works(line, received)
        assert internals.dtls_transport(other).state == "connected"
    assert bool(caplog.records) == (data is None)


async def test_a_reader_that_fails_ends_nothing_and_is_told(caplog):
    async with chat() as (_, other, line, received):
        (channel,) = [c for c in other.sctp._data_channels.values() if c.label == "more"]

        def fails(text):
            if text == "bad":
                raise KeyError(text)

        channel.on("message", fails)
        for text in ("good", "bad", "good"):
            line.send(text)
        await works(line, received, "last")
        assert received == ["good", "bad", "good", "last"]
    assert [entry.exc_info[0] for entry in caplog.records if entry.exc_info] == [KeyError]


async def test_a_handshake_that_is_repeated_later_is_left_to_aiortc_and_changes_nothing():
    seen = []
    async with chat() as (one, other, line, received):
        watched = Watched(other)
        flight = bytes([HANDSHAKE]) + b"\xfe\xfd" + bytes(7) + b"\1" + b"\0\4" + bytes(4)
        watched.agent.data_received(flight, 1)
        await works(line, received)
        seen += watched.left
        assert watched.dtls.state == one.sctp.transport.state == "connected"
    assert flight in seen


async def test_the_end_is_told_by_an_alert_that_is_left_to_aiortc():
    async with chat() as (one, other, line, received):
        watched = Watched(other)
        await works(line, received)
        await internals.dtls_transport(one).stop()
        await until(lambda: watched.dtls.state == "closed")
        assert [datagram[0] for datagram in watched.left] == [ALERT]
        assert not watched._take(watched.taken[0])


# The way out


async def test_a_message_leaves_when_it_is_sent_and_makes_no_task():
    async with chat() as (one, _, line, received):
        dtls, tasks = internals.dtls_transport(one), asyncio.all_tasks()
        before = internals.transport_stats(dtls).packetsSent
        line.send("now")
        assert internals.transport_stats(dtls).packetsSent == before + 1
        assert asyncio.all_tasks() == tasks
        await until(lambda: received == ["now"])


async def test_after_the_end_of_dtls_sending_is_no_error_of_the_sender():
    async with chat() as (one, _, line, _):
        internals.dtls_transport(one)._ssl.shutdown()
        line.send("too late")
        assert internals.unacknowledged(one.sctp)
        with pytest.raises(ConnectionError):
            await one.sctp._send_chunk(HeartbeatChunk())
