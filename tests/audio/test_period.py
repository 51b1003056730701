"""Pitch periods and seams, by value."""

import numpy as np
import pytest
from received import RATE, rms, tone, voice

from smallrtc_cli.audio.period import cross_faded, period

SHORTEST, LONGEST = round(0.0025 * RATE), round(0.015 * RATE)


@pytest.mark.parametrize("hertz", [80, 125, 160, 250])
def test_the_period_of_a_tone_is_found(hertz):
    lag, likeness = period(tone(0.04, hertz), SHORTEST, LONGEST)
    assert likeness > 0.999
    assert min(lag % (RATE / hertz), -lag % (RATE / hertz)) < 1


def test_the_period_of_a_voice_is_found():
    lag, likeness = period(voice(0.04, hertz=120), SHORTEST, LONGEST)
    assert likeness > 0.9
    assert lag == pytest.approx(RATE / 130, rel=0.02)  # 120 Hz, and what it wavers by at the beginning


def test_silence_has_none():
    assert period(np.zeros((320, 1), np.int16), SHORTEST, LONGEST)[1] == 0


def test_opposite_channels_are_no_reason_to_fail():
    sound = np.concatenate((tone(0.04), -tone(0.04)), axis=1)
    assert 0 <= period(sound, SHORTEST, LONGEST)[1] <= 1


@pytest.mark.parametrize("likeness", [0.0, 1.0])
def test_a_cross_fade_keeps_the_level_of_what_is_as_much_alike(likeness):
    random = np.random.RandomState(3)
    leaving, other = (random.normal(0, 4_000, (50_000, 1)).astype(np.int16) for _ in range(2))
    faded = cross_faded(leaving, leaving if likeness else other, likeness)
    for part in np.split(faded, 5):
        assert rms(part) == pytest.approx(4_000, rel=0.03)


def test_a_cross_fade_does_not_wrap_around_at_full_scale():
    loud = np.full((80, 1), 32_767, np.int16)
    assert cross_faded(loud, loud, 0.0).min() == 32_767
