"""Messages from chunks that arrive in any order, or never."""

import itertools
import random

import pytest
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    SCTP_TSN_MODULO,
    DataChunk,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from smallrtc_cli.rtc.sctp_piece import fragments
from smallrtc_cli.rtc.sctp_receiver import Reassembly

NEARLY_OVER = SCTP_TSN_MODULO - 5
"Numbers begin anew soon after."


def chunks(messages: list[bytes], size: int = 2, flags: int = 0, first: int = NEARLY_OVER) -> list[DataChunk]:
    numbers = itertools.count(first)
    made = []
    for number, message in enumerate(messages):
        for payload, place in fragments(message, size):
            chunk = DataChunk(flags=place | flags)
            chunk.tsn, chunk.stream_seq = next(numbers) % SCTP_TSN_MODULO, number
            chunk.user_data = payload
            made.append(chunk)
    return made


def received(stream: Reassembly, arriving: list[DataChunk]) -> list[bytes]:
    found = []
    for chunk in arriving:
        stream.add_chunk(chunk)
        found += [payload for _, _, payload in stream.received()]
    return found


def test_fragments_are_the_payload_in_order_and_marked_at_both_ends():
    first, last = SCTP_DATA_FIRST_FRAG, SCTP_DATA_LAST_FRAG
    assert [*fragments(b"abcde", 2)] == [(b"ab", first), (b"cd", 0), (b"e", last)]
    assert [*fragments(b"ab", 2)] == [(b"ab", first | last)]
    assert [*fragments(b"abc", 2, first=False)] == [(b"ab", 0), (b"c", last)]


@settings(deadline=None, derandomize=True)
@given(st.lists(st.binary(min_size=1, max_size=9), max_size=8), st.randoms(use_true_random=False))
def test_whatever_the_order_of_arrival_each_message_comes_once_and_in_order(messages, draws):
    arriving = chunks(messages)
    draws.shuffle(arriving)
    stream = Reassembly()
    assert received(stream, arriving) == messages
    assert stream.reassembly == []


@settings(deadline=None, derandomize=True)
@given(st.lists(st.binary(min_size=1, max_size=9), max_size=8), st.randoms(use_true_random=False))
def test_unordered_messages_come_once_as_soon_as_they_are_whole(messages, draws):
    arriving = chunks(messages, flags=SCTP_DATA_UNORDERED)
    draws.shuffle(arriving)
    assert sorted(received(Reassembly(), arriving)) == sorted(messages)


def test_a_message_is_looked_for_only_where_a_chunk_may_have_completed_one(monkeypatch):
    looks: list[int] = []
    look = Reassembly.pop_messages
    monkeypatch.setattr(Reassembly, "pop_messages", lambda self: looks.append(1) or look(self))
    assert len(received(Reassembly(), chunks([b"x" * 200, b"y" * 200]))) == 2
    assert len(looks) == 2


def test_a_whole_message_behind_a_part_of_one_that_was_given_up_is_kept():
    one, two, three = b"abcd", b"efgh", b"ijkl"
    arriving = chunks([one, two, three])
    stream = Reassembly()
    assert received(stream, [arriving[0], *arriving[2:4], arriving[4]]) == []
    assert stream.give_up(arriving[1].tsn) == 2
    stream.sequence_number = 1
    assert [payload for _, _, payload in stream.pop_messages()] == [two]
    assert received(stream, arriving[5:]) == [three]


def test_a_message_that_goes_on_behind_what_was_given_up_is_kept():
    arriving = chunks([b"ab", b"cdefgh"])
    stream = Reassembly()
    assert received(stream, arriving[1:3]) == []
    assert stream.give_up(arriving[2].tsn) == 0
    stream.sequence_number = 1
    assert received(stream, arriving[3:]) == [b"cdefgh"]


@pytest.mark.parametrize("seed", range(20))
def test_giving_up_costs_what_was_in_part_and_nothing_else(seed):
    draws = random.Random(seed)
    messages = [draws.randbytes(draws.randint(1, 9)) for _ in range(20)]
    arriving = chunks(messages, first=1)
    lost = {draws.randrange(len(arriving)) for _ in range(6)}
    stream = Reassembly()
    found = received(stream, [chunk for number, chunk in enumerate(arriving) if number not in lost])
    damaged = {arriving[number].stream_seq for number in lost}
    stream.give_up(max(chunk.tsn for chunk in arriving if chunk.stream_seq == max(damaged)))
    stream.sequence_number = max(damaged) + 1
    found += [payload for _, _, payload in stream.pop_messages()]
    assert found == [message for number, message in enumerate(messages) if number not in damaged]
    assert stream.reassembly == []
