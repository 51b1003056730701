"""What a data channel does with what its path carries: sizes, first messages, stuck ones, stalls."""

import asyncio
import random

import pytest
from aiortc import VideoStreamTrack, rtcsctptransport
from av import VideoFrame
from calls import answering, dialed, holdings, idle_bot, until
from narrow_path import NO_LIMIT, NarrowPath, measured, narrow_path, pair

from smallrtc_cli.config import PathMtu, Settings
from smallrtc_cli.protocol.messages import PathReportMessage
from smallrtc_cli.protocol.packet_sizes import LARGEST_CHUNK, Layers
from smallrtc_cli.rtc import aiortc_internals as internals
from smallrtc_cli.rtc import association, channel_path
from smallrtc_cli.rtc.channel_path import SizedBy
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.dialer import DialOptions
from smallrtc_cli.rtc.path import PathReport
from smallrtc_cli.rtc.stats import of_type, stats

pytestmark = pytest.mark.usefixtures("loopback_only")


class Received:
    """The numbers of the messages that a connection receives, in order."""

    def __init__(self, connection: SmallWebRTCConnection) -> None:
        self.numbers: list[int] = []
        connection.add_event_handler("app-message", lambda _, message: self.numbers.append(message["n"]))
        connection._perform(connection._session.join())


def send(connection: SmallWebRTCConnection, number: int, size: int) -> None:
    connection.send_app_message({"n": number, "x": "x" * size})


def events(connection: SmallWebRTCConnection) -> list[tuple[str, ...]]:
    told: list[tuple[str, ...]] = []
    connection.add_event_handler("stalled", lambda _, sentence: told.append(("stalled", sentence)))
    connection.add_event_handler("flowing", lambda _: told.append(("flowing",)))
    return told


# The size


async def test_a_connection_sends_what_its_path_carries_whatever_the_process_has_set(monkeypatch):
    monkeypatch.setattr(rtcsctptransport, "USERDATA_MAX_LENGTH", 777)  # as Pipecat does when it is imported
    with narrow_path(1280):
        async with pair() as ends:
            assert all(end.peer.path.chunk != 777 for end in ends)
            await measured(*ends)
            assert [end.peer.path.chunk for end in ends] == [1184, 1184]
            assert rtcsctptransport.USERDATA_MAX_LENGTH == 777


async def test_each_connection_has_a_size_of_its_own():
    fixed = Settings(path_mtu=PathMtu(sctp_chunk=600))
    async with pair(fixed, Settings()) as (dialed, answered):
        await measured(answered)
        assert (dialed.peer.path.chunk, dialed.peer.path.sized_by) == (600, SizedBy.SETTING)
        assert (answered.peer.path.chunk, answered.peer.path.sized_by) == (LARGEST_CHUNK, SizedBy.PROBE)
        assert dialed.peer.path.report is None
        heard, longest = Received(answered), Layers().ip_packet(600)
        with narrow_path(longest):
            send(dialed, 1, 5000)
            await until(lambda: heard.numbers == [1])


async def test_a_path_on_which_only_short_requests_are_answered_keeps_the_cautious_size(monkeypatch):
    with narrow_path() as path:
        path.drop = lambda data: data[0] < 4 and len(data) > 180
        monkeypatch.setattr(association.Association, "on_heartbeat_ack", lambda self, callback: lambda: None)
        async with pair() as (connection, _):
            told = []
            connection.add_event_handler("path", lambda c, report: told.append(report))
            await until(lambda: told, 20)
            assert connection.peer.path.chunk == Layers().cautious_chunk


# First messages


async def test_a_first_long_message_passes_a_path_too_small_for_the_cautious_size_and_nothing_overtakes_it():
    with narrow_path(900):
        async with pair() as (connection, other):
            heard, told = Received(other), events(connection)
            for number, size in enumerate((10, 200_000, 10, 3000, 10)):
                send(connection, number, size)
            await until(lambda: heard.numbers == [0, 1, 2, 3, 4], 20)
            assert told == []
            assert connection.peer.path.chunk == 804


@pytest.fixture
def endless_probe(monkeypatch) -> list[object]:
    """Probes that find nothing until they are cancelled; each is told when it starts."""
    started: list[object] = []

    async def never(*args, progress, **kwargs) -> PathReport:
        started.append(progress)
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(channel_path, "probe_path", never)
    return started


async def test_a_small_message_waits_for_no_probe_and_a_long_one_for_its_first_finding(endless_probe):
    async with pair(Settings(path_mtu=PathMtu(hold=3600))) as (connection, other):
        heard = Received(other)
        send(connection, 1, 100)
        await until(lambda: heard.numbers == [1])
        send(connection, 2, 5000)
        send(connection, 3, 1)
        assert connection.peer.path.held > 5000
        for proven in endless_probe:
            proven(800)  # less than the cautious size: nothing to send by yet
        assert connection.peer.path.held > 5000
        for proven in endless_probe:
            proven(1304)
        await until(lambda: heard.numbers == [1, 2, 3])
        assert (connection.peer.path.held, connection.peer.path.chunk) == (0, 1304)


async def test_a_long_message_does_not_wait_for_ever(endless_probe):
    async with pair(Settings(path_mtu=PathMtu(hold=0.05))) as (connection, other):
        heard = Received(other)
        send(connection, 1, 5000)
        await until(lambda: heard.numbers == [1])
        assert connection.peer.path.chunk == Layers().cautious_chunk


async def test_a_message_that_waits_goes_out_before_the_connection_ends(endless_probe):
    async with pair(Settings(path_mtu=PathMtu(hold=3600))) as (connection, other):
        heard = Received(other)
        send(connection, 1, 5000)
        await connection.disconnect()
        await until(lambda: heard.numbers == [1])


async def test_a_connection_that_ends_while_its_path_is_probed_leaves_nothing(endless_probe):
    before = holdings()
    async with pair(Settings(path_mtu=PathMtu(hold=3600))) as ends:
        assert len(endless_probe) == 2
    del ends
    endless_probe.clear()
    await until(lambda: holdings() == before, 20)


# A path that changes


async def shrink(path: NarrowPath, connection: SmallWebRTCConnection, other: SmallWebRTCConnection) -> None:
    await measured(connection, other)
    await until(lambda: not internals.unacknowledged(connection.pc.sctp))
    path.mtu = 1200


@pytest.mark.parametrize("sizes", [(200_000, 20), (2000, 20, 20), (20, 1300, 20, 1300, 20), (4000, 4000, 4000)])
async def test_after_the_path_shrinks_every_message_arrives_once(sizes):
    with narrow_path(1500) as path:
        async with pair() as (connection, other):
            heard = Received(other)
            await shrink(path, connection, other)
            for number, size in enumerate(sizes):
                send(connection, number, size)
            await until(lambda: len(heard.numbers) >= len(sizes), 20)
            await until(lambda: not internals.unacknowledged(connection.pc.sctp), 20)
            assert sorted(heard.numbers) == list(range(len(sizes)))
            assert connection.peer.path.chunk == 1104
            assert connection.peer.path.resent >= 1


@pytest.mark.parametrize("seed", range(4))
async def test_a_stream_of_messages_survives_a_path_that_shrinks_in_the_middle(seed):
    draws = random.Random(seed)
    with narrow_path(1500) as path:
        async with pair() as (connection, other):
            heard = Received(other)
            await measured(connection, other)
            for number in range(120):
                send(connection, number, draws.choice((5, 50, 300, 1200, 2500, 9000)))
                await asyncio.sleep(0)
                if number == 30 + seed:
                    path.mtu = 1200
            await until(lambda: not internals.unacknowledged(connection.pc.sctp), 30)
            await until(lambda: len(heard.numbers) >= 120, 10)
            assert sorted(heard.numbers) == list(range(120))


async def test_what_cannot_get_through_is_told_with_its_cause_and_so_is_that_it_flows_again():
    fixed = Settings(path_mtu=PathMtu(sctp_chunk=1404))
    with narrow_path(1280) as path:
        async with pair(fixed) as (connection, _):
            told = events(connection)
            send(connection, 1, 5000)
            await until(lambda: told, 20)
            (entry,) = of_type(await stats(connection), "data-channel")
            assert entry["stalled"]
            path.mtu = NO_LIMIT
            await until(lambda: len(told) > 1, 20)
            assert told == [
                (
                    "stalled",
                    "packets of 1497 bytes do not pass, 1277 do (a black hole: nothing comes back)",
                ),
                ("flowing",),
            ]
            assert not connection.peer.path.stalled
            assert connection.peer.path.chunk == 1404


async def test_a_channel_that_flows_never_tells_of_a_stall():
    async with pair(Settings(path_mtu=PathMtu(resend_after=1.5, stalled_after=3))) as (connection, other):
        heard, told = Received(other), events(connection)
        for number in range(20):
            send(connection, number, 20_000)
        await until(lambda: len(heard.numbers) == 20, 20)
        assert told == []
        assert heard.numbers == list(range(20))


# The other direction


async def test_the_other_side_tells_what_its_direction_carries():
    with narrow_path(1280):
        async with pair() as (connection, _):
            assert await connection.far_path() == PathReportMessage(1184, 1277, 1281, "black-hole", False)


async def test_another_side_that_does_not_know_the_question_costs_a_bounded_wait(monkeypatch):
    settings = Settings(path_mtu=PathMtu(far_side_timeout=0.1))
    async with pair(settings) as (connection, other):
        monkeypatch.setattr(other, "_answer_path", lambda: None)
        assert await connection.far_path() is None


async def test_two_that_ask_the_other_side_at_once_have_the_same_answer():
    async with pair() as (connection, _):
        one, other = await asyncio.gather(connection.far_path(), connection.far_path())
        assert one is other
        assert one.chunk == LARGEST_CHUNK


# Pictures


class Noise(VideoStreamTrack):
    """Pictures that fill many packets."""

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        made = VideoFrame(320, 240, "yuv420p")
        for plane in made.planes:
            plane.update(random.Random(pts).randbytes(plane.buffer_size))
        made.pts, made.time_base = pts, time_base
        return made


async def test_pictures_leave_in_packets_that_fit_the_path_from_the_first_one_on():
    with narrow_path(1280) as path:
        async with (
            answering(idle_bot) as server,
            dialed(server.supervisor, DialOptions(connect_timeout=20)) as (_, end),
        ):
            end.replace_video_track(Noise())
            await until(lambda: len(path.lengths) > 200, 20)
            assert 1100 < max(path.lengths) <= 1280


# What is shown


async def test_statistics_say_how_large_chunks_are_and_why():
    with narrow_path(1280):
        async with pair() as (connection, other):
            await measured(connection, other)
            (entry,) = of_type(await stats(connection), "data-channel")
            assert (entry["chunkSize"], entry["chunkSizedBy"]) == (1184, "probe")
            assert (entry["pathMtu"], entry["pathLimit"], entry["stalled"]) == (1280, "black-hole", False)
            assert entry["pathProbesSent"] > 20
            assert entry["timesResent"] == 0
