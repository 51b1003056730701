"""Two voices on one time line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.audio.stereo import SEAM, StereoTimeline

RATE = 1000
LEFT, RIGHT = 0, 1


def piece(value, count=20):
    return np.full(count, value, np.int16)


@pytest.fixture
def line():
    return StereoTimeline(RATE)


def test_nobody_spoke_is_silence_of_the_right_length(line):
    assert line.take(0.5).shape == (500, 2)
    assert not line.take(1.0).any()
    assert line.take(1.0).shape == (0, 2)


def test_each_side_is_where_it_was_heard(line):
    line.add(LEFT, piece(1), 0.2)
    line.add(RIGHT, piece(2), 0.5)
    sound = line.take(1.0)
    assert np.flatnonzero(sound[:, LEFT]).tolist() == list(range(200, 220))
    assert np.flatnonzero(sound[:, RIGHT]).tolist() == list(range(500, 520))


@pytest.mark.parametrize("jitter", [-0.09, -0.02, 0.0, 0.03, 0.09])
def test_pieces_that_jitter_follow_each_other_without_a_seam(line, jitter):
    for number in range(10):
        line.add(LEFT, piece(number + 1), 0.5 + number * 0.02 + (jitter if number % 2 else 0.0))
    sound = line.take(1.0)[:, LEFT]
    assert sound[500:700].tolist() == [number + 1 for number in range(10) for _ in range(20)]
    assert not sound[700:].any()


def test_a_pause_is_a_pause(line):
    line.add(LEFT, piece(1), 0.0)
    line.add(LEFT, piece(2), 0.02 + SEAM + 0.05)
    sound = line.take(1.0)[:, LEFT]
    assert not sound[20:170].any()
    assert sound[170:190].tolist() == [2] * 20


def test_a_burst_after_a_stall_is_kept_whole(line):
    line.add(LEFT, piece(1), 0.0)
    for number in range(20):  # 400 ms that all arrive at once
        line.add(LEFT, piece(number + 2), 0.42)
    assert np.count_nonzero(line.take(2.0)[:, LEFT]) == 21 * 20


def test_a_piece_that_reaches_beyond_the_moment_is_cut_and_its_rest_comes_later(line):
    line.add(RIGHT, piece(3, 200), 0.0)
    first, second = line.take(0.15), line.take(0.3)
    assert (np.count_nonzero(first), np.count_nonzero(second)) == (150, 50)
    assert np.flatnonzero(second[:, RIGHT]).tolist() == list(range(50))


def test_what_comes_too_late_for_its_place_is_not_lost(line):
    line.take(1.0)
    line.add(LEFT, piece(1), 0.5)
    assert np.flatnonzero(line.take(2.0)[:, LEFT]).tolist() == list(range(20))


def test_nothing_is_kept_of_what_was_taken(line):
    for number in range(100):
        line.add(LEFT, piece(1), number * 0.02)
        line.take(number * 0.02)
    assert len(line._pieces) <= 2


sides = st.tuples(st.integers(0, 1), st.integers(1, 300), st.floats(0, 0.4))
steps = st.lists(st.one_of(sides, st.floats(0, 0.5)), max_size=30)


@given(steps)
def test_whatever_comes_every_sample_is_there_once_and_in_order(steps):
    line, now, said, taken = StereoTimeline(RATE), 0.0, [0, 0], []
    for step in steps:
        if isinstance(step, float):
            taken.append(line.take(now))
            now += step
        else:
            side, count, later = step
            now += later
            line.add(side, np.arange(said[side] + 1, said[side] + count + 1, dtype=np.int16), now)
            said[side] += count
    taken.append(line.take(now + 100))
    sound = np.concatenate(taken)
    assert len(sound) == round((now + 100) * RATE)
    for side in (LEFT, RIGHT):
        assert sound[:, side][sound[:, side] != 0].tolist() == list(range(1, said[side] + 1))
