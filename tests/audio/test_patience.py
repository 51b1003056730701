"""How long a missing packet is waited for, by what became of others."""

import pytest

from smallrtc_cli.audio.patience import Patience
from smallrtc_cli.config import Playout

SETTINGS = Playout()


@pytest.fixture
def patience():
    return Patience(SETTINGS)


def lose(patience, count, first=1_000):
    for sequence in range(first, first + count):
        patience.given_up(range(sequence, sequence + 1), 0.0)


def test_a_cold_start_waits_for_one_packet_more(patience):
    assert patience.wait == SETTINGS.first_wait


def test_a_path_that_keeps_the_order_is_not_waited_for(patience):
    for _ in range(SETTINGS.warm):
        patience.in_order()
    assert patience.wait == 0


def test_a_path_that_only_loses_is_not_waited_for(patience):
    lose(patience, 1)
    assert patience.wait == 0


def test_a_packet_that_came_too_late_is_waited_for_next_time(patience):
    patience.given_up(range(7, 8), noticed=1.0)
    assert patience.came(7, now=1.03)
    assert patience.wait == pytest.approx(0.03 + SETTINGS.margin)


def test_the_wait_covers_the_latest_of_those_that_came(patience):
    for sequence in range(20):
        patience.filled(sequence, 0.001 * sequence)
    assert patience.wait == pytest.approx(0.019 + SETTINGS.margin)


def test_one_outlier_is_not_worth_a_long_wait_for_all(patience):
    for sequence in range(20):
        patience.filled(sequence, 0.01)
    patience.filled(20, 0.19)
    lose(patience, 1)
    assert patience.wait == pytest.approx(0.01 + SETTINGS.margin)


def test_much_loss_makes_a_wait_for_few_not_worth_it(patience):
    lose(patience, 40)
    patience.filled(0, 0.05)
    assert patience.wait == 0
    for sequence in range(1, 20):
        patience.filled(sequence, 0.05)
    assert patience.wait == pytest.approx(0.05 + SETTINGS.margin)


def test_what_is_too_long_ago_counts_no_more(patience):
    patience.filled(0, 0.05)
    lose(patience, SETTINGS.memory)
    assert patience.wait == 0


def test_no_wait_is_longer_than_the_longest(patience):
    for sequence in range(9):
        patience.filled(sequence, SETTINGS.longest_wait)
    assert patience.wait == SETTINGS.longest_wait
    for sequence in range(10, 90):
        patience.filled(sequence, 3.0)
    assert patience.wait == 0


def test_a_late_packet_is_known_once_and_a_stranger_never(patience):
    patience.given_up(range(5, 6), noticed=0.0)
    assert not patience.came(4, now=0.1)
    assert patience.came(5, now=0.1)
    assert not patience.came(5, now=0.1)


def test_a_long_loss_takes_no_more_memory_than_a_short_one(patience):
    patience.given_up(range(3_000), noticed=0.0)
    assert not patience.came(3_000 - SETTINGS.memory - 1, now=0.1)
    assert patience.came(3_000 - SETTINGS.memory, now=0.1)
