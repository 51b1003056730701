"""When the dialing side tries again, and when it stops."""

from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.config import Redial
from smallrtc_cli.protocol.reconnect import Reconnect


def _series(reconnect, most=100):
    delays = []
    while (delay := reconnect.next_delay()) is not None and len(delays) < most:
        delays.append(delay)
    return delays


def test_the_first_try_goes_out_at_once_and_later_ones_wait_longer():
    assert _series(Reconnect()) == [0, 1, 3]


def test_the_delays_of_a_long_series_grow_up_to_a_bound():
    assert _series(Reconnect(Redial(attempts=8))) == [0, 1, 3, 9, 10, 10, 10, 10]


def test_a_series_that_was_used_up_stays_used_up():
    reconnect = Reconnect()
    _series(reconnect)
    assert [reconnect.next_delay() for _ in range(3)] == [None] * 3


def test_a_connection_that_came_up_begins_a_new_series():
    reconnect = Reconnect()
    reconnect.next_delay(), reconnect.next_delay()
    reconnect.succeeded()
    assert _series(reconnect) == [0, 1, 3]


def test_a_clear_no_ends_the_series():
    reconnect = Reconnect()
    reconnect.next_delay()
    reconnect.give_up()
    assert reconnect.next_delay() is None


def test_a_side_that_is_not_to_dial_again_never_does():
    assert Reconnect(Redial(attempts=0)).next_delay() is None


def test_what_somebody_asks_for_is_tried_once_even_so():
    reconnect = Reconnect(Redial(attempts=0))
    reconnect.wanted()
    assert _series(reconnect) == [0]
    reconnect.succeeded()
    assert reconnect.next_delay() is None
    usual = Reconnect()
    usual.wanted()
    assert _series(usual) == [0, 1, 3]


@given(attempts=st.integers(1, 30), first=st.floats(0.01, 60), growth=st.floats(1, 4))
def test_a_series_has_its_length_and_never_gets_more_hasty(attempts, first, growth):
    delays = _series(Reconnect(Redial(attempts, first, growth)))
    assert len(delays) == attempts
    assert delays == sorted(delays)
    assert delays[:2] == [0, first][:attempts]
