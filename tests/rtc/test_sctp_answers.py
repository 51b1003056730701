"""What our SCTP spends on a conversation of short messages: packets, and timers."""

import asyncio

import pytest
from aiortc.rtcsctptransport import DataChunk, SackChunk
from sctp_pairs import AIORTCS, OURS, Side, Weather, arrived, pair, until
from virtual_time import run_virtually


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
