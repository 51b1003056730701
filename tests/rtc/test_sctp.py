"""Our SCTP on paths that lose, copy and delay by a seed, against itself and against aiortc's, in virtual time."""

import asyncio
import random

import pytest
from aiortc import RTCSctpCapabilities
from aiortc.rtcsctptransport import DataChunk, ForwardTsnChunk, InitChunk, SackChunk, serialize_packet
from sctp_pairs import AIORTCS, OURS, End, Side, Weather, arrived, pair, until
from virtual_time import run_virtually

from smallrtc_cli.rtc.sctp_receiver import IMMEDIATELY

PAIRS = [(OURS, OURS), (OURS, AIORTCS), (AIORTCS, OURS)]
WEATHERS = {
    "fine": {},
    "quick": {"delay": 0.0001},
    "lossy": {"loss": 0.01},
    "disordered": {"late": 0.02},
    "bad": {"loss": 0.05, "copies": 0.05, "late": 0.02},
    "terrible": {"loss": 0.2, "copies": 0.1, "late": 0.01},
}


def messages(seed: int, total: int) -> list[bytes]:
    draws = random.Random(seed)
    made, left = [], total
    while left > 0:
        made.append(draws.randbytes(min(left, draws.choice((1, 20, 400, 1200, 1201, 5000, 60_000, 200_000)))))
        left -= len(made[-1])
    return made


@pytest.mark.parametrize("weather", WEATHERS)
@pytest.mark.parametrize("kinds", PAIRS, ids=lambda kinds: "-".join(k.__name__ for k in kinds))
@pytest.mark.parametrize("seed", range(2))
def test_every_message_arrives_once_in_order_and_unchanged_both_ways(kinds, weather, seed):
    async def exchange() -> None:
        async with pair(Weather(**WEATHERS[weather], seed=seed), *kinds) as sides:
            given = messages(seed, 400_000), messages(seed + 100, 400_000)
            for side, own in zip(sides, given, strict=True):
                for message in own:
                    side.channel.send(message)
            await arrived(*sides)
            assert sides[1].received == given[0]
            assert sides[0].received == given[1]

    run_virtually(exchange(), 3600)


@pytest.mark.parametrize("kinds", PAIRS, ids=lambda kinds: "-".join(k.__name__ for k in kinds))
def test_an_unordered_channel_delivers_each_message_once(kinds):
    async def exchange() -> None:
        async with pair(Weather(loss=0.1, copies=0.1, late=0.02), *kinds, ordered=False) as (one, other):
            given = messages(7, 400_000)
            for message in given:
                one.channel.send(message)
            await arrived(one)
            assert sorted(other.received) == sorted(given)

    run_virtually(exchange())


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("sender", [OURS, AIORTCS])
def test_what_an_unreliable_channel_gives_up_holds_up_nothing(sender, ordered):
    async def exchange() -> None:
        weather = Weather(loss=0.1, late=0.01)
        async with pair(weather, sender, ordered=ordered, maxRetransmits=0) as (one, other):
            given = [f"{number} {'x' * (number % 5 * 1000)}" for number in range(300)]
            for message in given:
                one.channel.send(message)
                await asyncio.sleep(0.002)
            await arrived(one)
            weather.loss = 0.0
            one.channel.send("the end")
            await until(lambda: "the end" in other.received)
            came = [message for message in other.received if message != "the end"]
            assert len(set(came)) == len(came)
            assert 50 < len(came) < 300
            assert one.end.chunks(ForwardTsnChunk)
            if ordered:
                assert came == [message for message in given if message in came]

    run_virtually(exchange())


# Acknowledgements


async def rush(one: Side, *sides: Side) -> None:
    """So many packets that not each is acknowledged any more."""
    one.sctp.window.size = 1 << 20
    one.channel.send(b"x" * one.sctp.chunk * 100)
    await arrived(one)
    for side in (one, *sides):
        side.end.sent.clear()
        side.received.clear()


def test_few_packets_are_acknowledged_each():
    async def exchange() -> None:
        async with pair(Weather()) as (one, other):
            await asyncio.sleep(1)
            one.channel.send(b"x" * one.sctp.chunk * 10)
            await arrived(one)
            assert len(other.end.chunks(SackChunk)) == 10

    run_virtually(exchange())


def test_in_a_rush_every_fourth_is_acknowledged_and_the_last_at_once():
    async def exchange() -> None:
        async with pair(Weather()) as (one, other):
            await rush(one, other)
            one.channel.send(b"x" * one.sctp.chunk * 25)
            await arrived(one)
            numbers = [chunk.cumulative_tsn for chunk in other.end.chunks(SackChunk)]
            first = one.end.chunks(DataChunk)[0].tsn
            assert [(number - first + 1) % 2**32 for number in numbers] == [4, 8, 12, 16, 20, 24, 25]

    run_virtually(exchange())


def test_in_a_rush_too_nothing_waits_for_more_than_a_millisecond():
    async def exchange() -> None:
        async with pair(Weather()) as (one, other):
            await rush(one, other)
            one.sctp._asked = 1e9  # the last is not marked
            before = asyncio.get_running_loop().time()
            one.channel.send("x")
            await arrived(one)
            (sack,) = [sent for sent in other.end.sent if isinstance(sent.chunk, SackChunk)]
            assert sack.at - before == pytest.approx(0.006)

    run_virtually(exchange())


def test_what_the_sender_marks_is_acknowledged_at_once():
    async def exchange() -> None:
        async with pair(Weather()) as (one, other):
            await rush(one, other)
            await asyncio.sleep(0.02)
            before = asyncio.get_running_loop().time()
            one.channel.send("x")
            await arrived(one)
            assert one.end.chunks(DataChunk)[0].flags & IMMEDIATELY
            assert other.end.sent[0].at - before == pytest.approx(0.005)

    run_virtually(exchange())


def test_in_a_rush_too_a_gap_and_what_fills_it_are_acknowledged_at_once():
    async def exchange() -> None:
        async with pair(Weather()) as (one, other):
            await rush(one, other)
            one.sctp._asked = 1e9
            hole, waits = one.sctp._local_tsn, one.end.weather
            waits.eats = lambda chunk: isinstance(chunk, DataChunk) and chunk.tsn == hole
            for message in "abc":
                one.channel.send(message)
            await until(lambda: len(other.end.sent) == 2)
            assert [sent.at - one.end.sent[0].at for sent in other.end.sent] == pytest.approx([0.005, 0.005], abs=1e-5)
            assert [len(sack.gaps) for sack in other.end.chunks(SackChunk)] == [1, 1]
            waits.eats = lambda chunk: False
            await other.sctp._handle_data(packet(one, one.end.chunks(DataChunk)[0]))
            await until(lambda: len(other.end.sent) == 3)
            assert not other.end.sent[2].chunk.gaps
            assert other.received == ["a", "b", "c"]

    run_virtually(exchange())


def packet(side: Side, chunk) -> bytes:
    return serialize_packet(5000, 5000, side.sctp._remote_verification_tag, chunk)


def test_in_a_rush_too_a_copy_is_acknowledged_at_once():
    async def exchange() -> None:
        async with pair(Weather()) as (one, other):
            await rush(one, other)
            one.channel.send("x")
            await arrived(one)
            other.end.sent.clear()
            copy = one.end.chunks(DataChunk)[0]
            copy.flags &= ~IMMEDIATELY
            before = asyncio.get_running_loop().time()
            await other.sctp._handle_data(packet(one, copy))
            await until(lambda: other.end.sent)
            assert other.end.sent[0].at == before
            assert other.end.sent[0].chunk.duplicates == [copy.tsn]
            assert other.received == ["x"]

    run_virtually(exchange())


def test_what_has_come_is_acknowledged_before_the_end():
    async def exchange() -> None:
        async with pair(Weather()) as (one, other):
            await rush(one, other)
            one.sctp._asked = 1e9
            one.channel.send("good-bye")
            await until(lambda: other.received)
            await other.sctp.stop()
            assert [type(sent.chunk).__name__ for sent in other.end.sent] == ["SackChunk", "AbortChunk"]

    run_virtually(exchange())


def test_the_window_of_aiortcs_sender_opens_as_fast_as_against_aiortcs_receiver():
    async def seconds(receiver) -> float:
        loop = asyncio.get_running_loop()
        async with pair(Weather(delay=0.05), AIORTCS, receiver) as (one, other):
            before = loop.time()
            one.channel.send(b"x" * 200_000)
            await until(lambda: other.received)
            return loop.time() - before

    assert run_virtually(seconds(OURS)) == pytest.approx(run_virtually(seconds(AIORTCS)), rel=0.05)


# Losses


def eaten(count: int, which: int):
    """Let a chunk, counted from the first that is seen, disappear that often."""
    seen: list[int] = []
    left = [count]

    def eats(chunk) -> bool:
        if not isinstance(chunk, DataChunk):
            return False
        if chunk.tsn not in seen:
            seen.append(chunk.tsn)
        if len(seen) > which and chunk.tsn == seen[which] and left[0]:
            left[0] -= 1
            return True
        return False

    return eats


async def time_without(which: int, times: int, kinds=(OURS, OURS), count: int = 20) -> float:
    """Virtual seconds until so many chunks have arrived, one of which was lost so many times."""
    loop = asyncio.get_running_loop()
    async with pair(Weather(), *kinds) as (one, other):
        one.channel.send("warm")
        await arrived(one)
        await asyncio.sleep(1)
        one.end.weather.eats = eaten(times, which)
        before, size = loop.time(), getattr(one.sctp, "chunk", 1160)
        one.channel.send(b"x" * size * count)
        await until(lambda: len(other.received) == 2)
        return loop.time() - before


def test_a_lost_last_chunk_is_back_long_before_the_timeout():
    assert run_virtually(time_without(19, 1)) < 0.1
    assert run_virtually(time_without(19, 1, (AIORTCS, OURS))) > 0.9


def test_a_lost_chunk_is_back_after_a_round_trip():
    assert run_virtually(time_without(5, 1)) < 0.05
    assert run_virtually(time_without(2, 1, count=8)) < 0.02


def test_what_was_sent_a_round_trip_later_shows_by_itself_that_a_message_is_lost():
    async def exchange() -> None:
        loop = asyncio.get_running_loop()
        async with pair(Weather()) as (one, other):
            one.channel.send("warm")
            await arrived(one)
            one.end.weather.eats, before = eaten(1, 0), loop.time()
            one.channel.send("lost")
            await asyncio.sleep(0.015)
            one.channel.send("later")
            await until(lambda: len(other.received) == 3)
            assert loop.time() - before < 0.035
            assert other.received == ["warm", "lost", "later"]

    run_virtually(exchange())


def test_what_the_other_side_had_and_gave_up_is_sent_again():
    async def exchange() -> None:
        async with pair(Weather()) as (one, other):
            hole, way = one.sctp._local_tsn, one.end.weather
            way.eats = lambda chunk: getattr(chunk, "tsn", None) == hole
            one.channel.send(b"x" * 5000)
            await until(lambda: any(chunk._acked for chunk in one.sctp._sent_queue))
            other.sctp._sack_misordered.clear()
            other.sctp._inbound_streams[one.channel.id].reassembly.clear()
            await asyncio.sleep(2)
            way.eats = lambda chunk: False
            await until(lambda: other.received == [b"x" * 5000])

    run_virtually(exchange())


def test_a_copy_that_is_lost_too_does_not_wait_for_long():
    assert run_virtually(time_without(3, 2)) < 0.1


def test_the_timeout_doubles_up_to_three_seconds_and_ends_when_the_path_is_back():
    async def exchange() -> None:
        loop = asyncio.get_running_loop()
        async with pair(Weather()) as (one, other):
            one.channel.send("warm")
            await arrived(one)
            one.end.sent.clear()
            one.end.weather.loss = 1.0
            one.channel.send("x")
            await asyncio.sleep(20)
            times = [sent.at for sent in one.end.sent]
            pauses = [later - sooner for sooner, later in zip(times[1:], times[2:], strict=False)]
            assert pauses[:4] == pytest.approx([pauses[0] * factor for factor in (1, 2, 4, 8)], rel=0.01)
            assert 0.2 < pauses[0] < 0.3
            assert max(pauses) == pytest.approx(3)
            one.end.weather.loss, before = 0.0, loop.time()
            await until(lambda: other.received == ["warm", "x"])
            assert loop.time() - before < 3.1

    run_virtually(exchange())


def test_an_init_that_is_lost_is_sent_again_after_a_second():
    async def exchange() -> float:
        weather = Weather(loss=1.0)
        asyncio.get_running_loop().call_later(0.5, setattr, weather, "loss", 0.0)
        async with pair(weather):
            return asyncio.get_running_loop().time()

    assert run_virtually(exchange()) < 1.2


def test_the_start_is_repeated_after_growing_pauses():
    async def exchange() -> list[float]:
        end = End("client", Weather(loss=1.0))
        sctp = OURS(end)
        await sctp.start(RTCSctpCapabilities(262_144), 5000)
        await asyncio.sleep(8)
        await sctp.stop()
        return [sent.at for sent in end.sent if isinstance(sent.chunk, InitChunk)]

    assert run_virtually(exchange()) == pytest.approx([0, 1, 3, 6], abs=0.01)


# The window


def test_the_window_does_not_outgrow_the_socket_of_the_other_side():
    async def exchange() -> None:
        weather = Weather(delay=0.004, room=200)
        async with pair(weather) as (one, other):
            for _ in range(20):
                one.channel.send(b"x" * 200_000)
            await arrived(one)
            assert len(other.received) == 20
            assert not weather.crowded_out

    run_virtually(exchange())


def test_a_small_message_counts_for_what_the_system_books_for_it():
    async def exchange() -> None:
        weather = Weather(delay=0.004, room=400)
        async with pair(weather) as (one, other):
            for number in range(3000):
                one.channel.send(str(number))
            await arrived(one)
            assert other.received == [str(number) for number in range(3000)]
            assert not weather.crowded_out

    run_virtually(exchange())


def test_over_a_long_way_more_may_be_under_way():
    async def exchange() -> None:
        async with pair(Weather(delay=0.1)) as (one, _):
            for _ in range(40):
                one.channel.send(b"x" * 200_000)
            await arrived(one)
            assert 500_000 < one.sctp.window.size <= 1 << 20

    run_virtually(exchange())


def test_a_side_that_has_no_room_gets_one_chunk_at_a_time():
    async def exchange() -> None:
        async with pair(Weather()) as (one, other):
            other.sctp._advertised_rwnd = 0
            one.channel.send("x")
            await arrived(one)
            one.channel.send(b"x" * 5000)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(one.sctp._sent_queue) == 1
            await arrived(one)
            assert len(other.received) == 2

    run_virtually(exchange())


def test_what_is_outstanding_is_what_is_not_acknowledged():
    async def exchange() -> None:
        async with pair(Weather()) as (one, _):
            one.channel.send(b"x" * 100_000)
            await asyncio.sleep(0.001)
            assert one.sctp.outstanding == 100_000
            left = [one.sctp.outstanding]
            one.sctp.acknowledged.append(lambda: left.append(one.sctp.outstanding))
            await arrived(one)
            assert left == sorted(left, reverse=True)
            assert left[-1] == 0

    run_virtually(exchange())
