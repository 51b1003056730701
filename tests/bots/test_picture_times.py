"""When received pictures belong, by value."""

import random

import pytest

from smallrtc_cli.bots.picture_times import PictureTimes


def test_the_first_picture_is_at_zero_whatever_its_sender_says():
    assert PictureTimes().at(47_000.25, 9.0) == 0.0


def test_the_senders_distances_count_and_not_the_arrivals():
    times, shaky = PictureTimes(), random.Random(1)
    at = [times.at(500 + n / 25, 9 + n / 25 + shaky.uniform(0, 0.2)) for n in range(50)]
    assert at == pytest.approx([n / 25 for n in range(50)])


def test_a_pause_is_a_pause():
    times = PictureTimes()
    times.at(500.0, 9.0)
    assert times.at(507.0, 16.0) == pytest.approx(7.0)


def test_a_new_beginning_goes_on_where_it_arrives():
    times = PictureTimes()
    for n in range(10):
        times.at(500 + n / 10, 9 + n / 10)
    assert times.at(3.0, 12.0) == pytest.approx(3.0)
    assert times.at(3.1, 12.13) == pytest.approx(3.1)


def test_pictures_without_timestamps_are_where_they_arrive():
    times = PictureTimes()
    assert [times.at(None, now) for now in (5.0, 5.5, 6.25)] == pytest.approx([0.0, 0.5, 1.25])


def test_times_grow_also_where_stamps_do_not():
    times = PictureTimes()
    at = [times.at(7.0, 9.0) for _ in range(5)]
    assert at == sorted(set(at))
    assert at[-1] == pytest.approx(0.004)


def test_a_clock_that_differs_is_followed_without_running_away():
    times = PictureTimes()
    for n in range(20_000):
        at = times.at(n / 25 * 1.001, n / 25)
        assert abs(at - n / 25) <= 0.5 + 1e-6
