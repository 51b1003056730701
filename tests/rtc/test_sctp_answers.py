"""What our SCTP spends on a conversation of short messages: packets, and timers."""

import asyncio

import pytest
from aiortc import RTCSctpCapabilities
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_TSN_MODULO,
    DataChunk,
    SackChunk,
    serialize_packet,
)
from sctp_pairs import AIORTCS, OURS, End, Side, Weather, arrived, pair, until
from virtual_time import run_virtually

from smallrtc_cli.protocol.packet_sizes import floor4
from smallrtc_cli.rtc.sctp_sender import CAUTIOUS_CHUNK


def answering(side: Side, text: bytes | str, *, later: bool = False) -> None:
    """Say that for each message, in the moment in which it comes or in a task that is started then."""
    loop = asyncio.get_running_loop()
    side.channel.on("message", lambda _: (loop.call_soon if later else apply)(side.channel.send, text))


def apply(function, argument) -> None:
    function(argument)


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("asking", [OURS, AIORTCS])
def test_an_answer_takes_the_acknowledgement_along_in_one_packet(asking, later):
    async def exchange() -> None:
        async with pair(Weather(), asking) as (one, other):
            answering(other, "answer", later=later)
            for number in range(5):
                one.channel.send("question")
                await until(lambda so_far=number: len(one.received) > so_far)
                await arrived(one, other)
            assert [type(chunk) for chunk in other.end.packets[0]] == [SackChunk, DataChunk]
            assert [len(packet) for packet in other.end.packets] == [2] * 5
            assert not one.sctp._sent_queue

    run_virtually(exchange())


def test_an_answer_that_fills_its_packet_leaves_the_acknowledgement_behind():
    async def exchange() -> None:
        async with pair(Weather()) as (one, other):
            for size, packets in ((other.sctp.chunk - 16, 1), (other.sctp.chunk - 15, 2)):
                other.channel.remove_all_listeners("message")
                answering(other, b"x" * size)
                other.end.packets.clear()
                one.channel.send("question")
                await arrived(one)
                await arrived(other)
                assert len(other.end.packets) == packets
                assert sum(isinstance(chunk, SackChunk) for packet in other.end.packets for chunk in packet) == 1

    run_virtually(exchange())


def test_without_an_answer_the_acknowledgement_leaves_in_the_same_moment():
    async def exchange() -> None:
        async with pair(Weather()) as (one, other):
            before = asyncio.get_running_loop().time()
            one.channel.send("x")
            await arrived(one)
            assert [sent.at - before for sent in other.end.sent] == pytest.approx([0.005])

    run_virtually(exchange())


def test_what_is_missing_is_told_with_an_answer_too():
    async def exchange() -> None:
        async with pair(Weather()) as (one, other):
            hole = one.sctp._local_tsn + 1
            one.end.weather.eats = lambda chunk: getattr(chunk, "tsn", None) == hole
            for text in "abcd":
                one.channel.send(text)
            await until(lambda: len(other.sctp._sack_misordered) == 2)
            other.end.packets.clear()
            other.sctp._acknowledging.waiting = 1
            other.channel.send("answer")
            sack, data = other.end.packets[0]
            assert (sack.gaps, data.user_data) == ([(2, 3)], b"answer")
            one.end.weather.eats = lambda chunk: False
            await arrived(one, other)
            assert other.received == [*"abcd"]

    run_virtually(exchange())


def test_messages_that_are_acknowledged_in_time_share_one_timer():
    async def exchange() -> None:
        async with pair(Weather(delay=0.0001)) as (one, _):
            one.channel.send("first")
            timer = one.sctp._t3_handle
            for _ in range(20):
                one.channel.send("x")
                await arrived(one)
                assert one.sctp._t3_handle is timer
            await asyncio.sleep(5)
            assert one.sctp._t3_handle is None
            assert len(one.end.chunks(DataChunk)) == 21

    run_virtually(exchange())


def test_a_late_timer_of_earlier_messages_repeats_nothing_too_early():
    async def exchange() -> None:
        loop = asyncio.get_running_loop()
        async with pair(Weather()) as (one, other):
            one.channel.send("first")
            await arrived(one)
            await asyncio.sleep(0.03)
            one.end.weather.loss, before = 1.0, loop.time()
            one.channel.send("lost")
            await until(lambda: len(one.end.chunks(DataChunk)) == 3)
            assert one.end.sent[-1].at - before > 2 * 0.01 + 0.02
            one.end.weather.loss = 0.0
            await until(lambda: other.received == ["first", "lost"])

    run_virtually(exchange())


def numbers(side: Side, *places: int) -> set[int]:
    return {(side.sctp._last_received_tsn + place) % SCTP_TSN_MODULO for place in places}


def test_an_acknowledgement_of_many_gaps_and_copies_fits_a_packet_that_passes_everywhere_and_tells_the_first():
    async def exchange() -> None:
        async with pair(Weather()) as (_, other):
            other.sctp._sack_misordered = numbers(other, *range(3, 2000, 2))
            other.sctp._sack_duplicates = [*numbers(other, *range(-500, 0))]
            other.sctp._sack_needed = True
            other.sctp._acknowledge()
            ((sack,),) = other.end.packets
            assert sack.gaps == [(place, place) for place in range(3, 3 + 2 * len(sack.gaps), 2)]
            assert len(bytes(sack)) == len(bytes(DataChunk())) + floor4(CAUTIOUS_CHUNK)

            other.sctp._sack_misordered = numbers(other, 3)
            other.sctp._sack_duplicates = [*numbers(other, *range(-500, 0))]
            other.sctp._sack_needed = True
            other.sctp._acknowledge()
            assert len(bytes(other.end.packets[1][0])) == len(bytes(sack))

    run_virtually(exchange())


def test_what_has_come_too_far_ahead_to_be_told_is_not_and_costs_nothing_else():
    async def exchange() -> None:
        async with pair(Weather()) as (_, other):
            other.sctp._sack_misordered = numbers(other, 2, 65_535, 65_536, 70_000)
            other.sctp._sack_needed = True
            other.sctp._acknowledge()
            ((sack,),) = other.end.packets
            assert sack.gaps == [(2, 2), (65_535, 65_535)]

    run_virtually(exchange())


def test_a_message_whose_reader_fails_costs_none_of_those_that_waited_with_it_and_no_room(caplog):
    async def exchange() -> None:
        async with pair(Weather()) as (one, other):

            def fails(text: str) -> None:
                if text == "b":
                    raise KeyError(text)

            other.channel.on("message", fails)
            room, hole = other.sctp._advertised_rwnd, one.sctp._local_tsn
            one.end.weather.eats = lambda chunk: getattr(chunk, "tsn", None) == hole
            for text in "abcd":
                one.channel.send(text)
            await until(lambda: len(other.sctp._sack_misordered) == 3)
            one.end.weather.eats = lambda chunk: False
            await arrived(one)
            assert other.received == [*"abcd"]
            assert other.sctp._advertised_rwnd == room

    run_virtually(exchange())
    assert [entry.exc_info[0] for entry in caplog.records if entry.exc_info] == [KeyError]


def test_user_data_before_an_init_is_discarded_and_the_end_is_no_error(caplog):
    async def exchange() -> None:
        end = End("client", Weather())
        end.other = End("server", Weather())
        sctp = OURS(end)
        await sctp.start(RTCSctpCapabilities(262_144), 5000)
        early = DataChunk(flags=SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG)
        early.user_data = b"x"
        await sctp._handle_data(serialize_packet(5000, 5000, sctp._local_verification_tag, early))
        await sctp.stop()
        assert not end.chunks(SackChunk)

    run_virtually(exchange())
    assert not caplog.records
