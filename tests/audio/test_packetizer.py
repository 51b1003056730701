"""Whatever pieces sound comes in: packets have one length, every sample is in one, and in its place."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.audio.packetizer import Packetizer


def numbered(start: int, count: int, channels: int = 1) -> np.ndarray:
    """Sound in which every sample says where it is."""
    return np.repeat(np.arange(start, start + count, dtype=np.int16)[:, None], channels, axis=1)


def test_a_piece_that_is_a_packet_leaves_as_it_is():
    piece = numbered(0, 960, 2)
    ((packet, position),) = Packetizer(960, 2).add(piece, 4800)
    assert packet.base is piece
    assert position == 4800


def test_a_packet_leaves_when_it_is_full():
    packetizer = Packetizer(480, 1)
    assert packetizer.add(numbered(0, 300), 0) == []
    ((packet, position),) = packetizer.add(numbered(300, 300), 300)
    assert np.array_equal(packet, numbered(0, 480))
    assert position == 0
    ((packet, position),) = packetizer.add(numbered(600, 360), 600)
    assert np.array_equal(packet, numbered(480, 480))
    assert position == 480


def test_a_long_gap_ends_a_packet_in_silence_and_the_next_begins_behind_it():
    packetizer = Packetizer(480, 1)
    packetizer.add(numbered(1, 100), 1)
    first, second = packetizer.add(numbered(9000, 480), 9000)
    assert np.array_equal(first[0][:100], numbered(1, 100))
    assert not first[0][100:].any()
    assert (first[1], second[1]) == (1, 9000)
    assert np.array_equal(second[0], numbered(9000, 480))


def test_a_short_gap_is_silence_within_a_packet():
    packetizer = Packetizer(480, 1)
    packetizer.add(numbered(1, 100), 1)
    ((packet, position),) = packetizer.add(numbered(151, 330), 151)
    assert position == 1
    assert not packet[100:150].any()
    assert np.array_equal(packet[150:], numbered(151, 330))


def test_packets_of_another_length_begin_with_what_waits():
    packetizer = Packetizer(480, 1)
    packetizer.add(numbered(1, 400), 1)
    packetizer.packet = 100
    packets = packetizer.add(numbered(901, 50), 901)  # behind a gap
    assert [start for _, start in packets] == [1, 101, 201, 301]
    assert np.array_equal(np.concatenate([samples for samples, _ in packets]), numbered(1, 400))
    assert (packetizer.start, packetizer.missing) == (901, 50)


@given(
    packet=st.integers(1, 50),
    pieces=st.lists(st.tuples(st.integers(0, 3) | st.integers(0, 120), st.integers(1, 120)), max_size=30),
)
def test_every_sample_is_in_its_place_and_positions_only_grow(packet, pieces):
    packetizer, position, given_sound, end = Packetizer(packet, 1), 1, {}, 0
    for gap, length in pieces:
        position += gap
        given_sound |= {n: n for n in range(position, position + length)}
        for samples, start in packetizer.add(numbered(position, length), position):
            assert len(samples) == packet
            assert start >= end
            end = start + packet
            for n, sample in enumerate(samples[:, 0].tolist(), start):
                assert sample == given_sound.pop(n, 0)
        position += length
    assert len(given_sound) < packet
