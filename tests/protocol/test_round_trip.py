import pytest

from smallrtc_cli.protocol.round_trip import RoundTrip


def after(*measured: float) -> RoundTrip:
    found = RoundTrip()
    for seconds in measured:
        found.measured(seconds)
    return found


def test_before_anything_is_measured_the_timeout_is_a_second_and_there_is_no_probe():
    assert after().timeout == 1.0
    assert after().probe_after is None


def test_on_a_short_path_the_timeout_is_little_more_than_a_held_back_acknowledgement():
    assert 0.22 < after(0.001).timeout < 0.23


def test_an_acknowledgement_that_is_held_back_as_long_as_allowed_is_no_timeout():
    assert after(*[0.001] * 50).timeout > 0.2 + 0.001


def test_on_a_path_that_varies_the_timeout_leaves_room():
    assert after(*[0.1, 0.5] * 20).timeout > 0.7


def test_on_a_steady_path_the_round_trip_is_what_was_measured():
    found = after(*[0.3] * 100)
    assert (found.smoothed, found.shortest) == (pytest.approx(0.3), 0.3)
    assert found.timeout == pytest.approx(0.52)


def test_each_expiry_doubles_the_timeout_up_to_three_seconds_until_something_is_measured():
    found = after(0.03)
    once = found.timeout
    for factor in (2, 4, 8):
        found.expired()
        assert found.timeout == pytest.approx(once * factor)
    for _ in range(2000):
        found.expired()
    assert found.timeout == 3.0
    found.measured(0.03)
    assert found.timeout <= once


def test_a_probe_comes_after_two_round_trips_and_only_before_a_timeout():
    found = after(0.01)
    assert found.probe_after == pytest.approx(0.045)
    assert after(1.0).probe_after is not None
    assert after(4.0).probe_after is None
    found.expired()
    assert found.probe_after is None
