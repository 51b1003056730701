"""Received packets in the order in which they were sent, by value."""

import pytest

from smallrtc_cli.audio.order import Order, Packet
from smallrtc_cli.config import Playout

SETTINGS = Playout()


@pytest.fixture
def order():
    return Order(SETTINGS)


def take(order, *sequences, now=0.0):
    """What left: sequence numbers, which are the timestamps here, and how many were missing before."""
    left = [packet for sequence in sequences for packet in order.accept(sequence, Packet(sequence, b"x", now))]
    return [(packet.timestamp, packet.missing) for packet in left]


def left(packets):
    return [(packet.timestamp, packet.missing) for packet in packets]


def test_packets_in_order_leave_at_once(order):
    assert take(order, 5, 6, 7) == [(5, None), (6, 0), (7, 0)]
    assert order.deadline is None


def test_numbers_wrap_around(order):
    assert take(order, 65_534, 65_535, 0, 1) == [(65_534, None), (65_535, 0), (0, 0), (1, 0)]


def test_a_hole_over_the_wrap_around_is_filled(order):
    assert take(order, 65_534, 0, 1, 65_535) == [(65_534, None), (65_535, 0), (0, 0), (1, 0)]


def test_what_follows_a_hole_waits_for_what_fills_it(order):
    assert take(order, 1, 3, 4) == [(1, None)]
    assert take(order, 2) == [(2, 0), (3, 0), (4, 0)]
    assert order.deadline is None


def test_a_hole_is_given_up_at_its_deadline_and_not_before(order):
    take(order, 1)
    take(order, 4, now=1.0)
    take(order, 5, now=1.01)
    assert order.deadline == 1.0 + SETTINGS.first_wait
    assert order.release(order.deadline - 1e-6) == []
    assert left(order.release(order.deadline)) == [(4, 2), (5, 0)]
    assert order.deadline is None


def test_a_packet_after_the_deadline_that_nobody_noticed_is_still_in_time(order):
    take(order, 1, 3)
    assert take(order, 2, now=5.0) == [(2, 0), (3, 0)]
    assert order.discarded == 0


def test_the_second_hole_has_a_deadline_of_its_own(order):
    take(order, 1)
    take(order, 3, now=1.0)
    take(order, 5, now=1.01)
    assert take(order, 2, now=1.015) == [(2, 0), (3, 0)]
    assert order.deadline == 1.01 + order.wait
    assert left(order.release(order.deadline)) == [(5, 1)]


def test_late_packets_are_discarded_and_others_duplicates(order):
    take(order, 1, 3)
    order.release(1.0)
    assert take(order, 2, now=1.1) == []
    assert (order.discarded, order.duplicates) == (1, 0)
    assert take(order, 2, 3, 1, now=1.1) == []
    assert (order.discarded, order.duplicates) == (1, 3)


def test_a_packet_twice_behind_a_hole_is_a_duplicate(order):
    take(order, 1, 3, 3)
    assert order.duplicates == 1
    assert take(order, 2) == [(2, 0), (3, 0)]


def test_what_was_sent_before_the_first_that_came_is_discarded(order):
    assert take(order, 5, 4, 6) == [(5, None), (6, 0)]
    assert order.discarded == 1


def test_no_more_wait_than_there_is_room(order):
    take(order, 0)
    assert take(order, *range(2, 2 + SETTINGS.capacity)) == []
    given = take(order, 2 + SETTINGS.capacity)
    assert given[0] == (2, 1)
    assert len(given) == SETTINGS.capacity + 1


def test_one_packet_from_nowhere_is_ignored(order):
    assert take(order, 1, 30_000, 2) == [(1, None), (2, 0)]
    assert order.discarded == 1


@pytest.mark.parametrize("elsewhere", [30_000, 4_000, 64_000])
def test_two_in_a_row_from_elsewhere_are_a_new_start(order, elsewhere):
    take(order, 1, 3)
    assert take(order, elsewhere, elsewhere + 1, elsewhere + 2) == [
        (3, 1),
        (elsewhere + 1, None),
        (elsewhere + 2, 0),
    ]


def test_a_restart_lets_go_what_waits_and_begins_anew(order):
    take(order, 1, 3)
    assert left(order.restart()) == [(3, 1)]
    assert order.deadline is None
    assert take(order, 2, 3) == [(2, None), (3, 0)]


def test_reordering_teaches_to_wait_as_long_as_it_takes(order):
    for number in range(0, 40, 2):
        take(order, number, now=number / 10)
        take(order, number + 2, now=number / 10 + 0.1)
        take(order, number + 1, now=number / 10 + 0.13)
    assert order.wait == pytest.approx(0.03 + SETTINGS.margin)
