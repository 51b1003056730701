"""A level by value."""

import pytest

from smallrtc_cli.audio.meter import SILENCE, Meter


def test_nothing_is_silent():
    assert Meter().level(0.0) == SILENCE


def test_a_steady_level_is_that_level():
    meter = Meter()
    for n in range(10):
        meter.note(-20.0, n * 0.02)
    assert meter.level(0.2) == pytest.approx(-20.0)


def test_powers_are_averaged_over_the_last_three_pieces():
    meter = Meter()
    for dbfs in (0.0, -20.0, SILENCE, SILENCE):
        meter.note(dbfs, 0.0)
    assert meter.level(0.0) == pytest.approx(-24.77, abs=0.01)
    meter.note(SILENCE, 0.0)
    assert meter.level(0.0) == SILENCE


def test_what_is_long_past_is_silent():
    meter = Meter()
    meter.note(-20.0, 1.0)
    assert meter.level(1.5) == pytest.approx(-20.0)
    assert meter.level(1.51) == SILENCE
