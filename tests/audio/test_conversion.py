"""A whole piece of sound in another format: as long, as loud, as high, and nothing rings."""

import numpy as np
import pytest
from coded import pitch
from received import tone

from smallrtc_cli.audio.conversion import at_rate, converted, with_channels
from smallrtc_cli.audio.opus import RATES


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("to_rate", RATES)
def test_every_sample_is_that_of_the_same_sound_at_the_other_rate(rate, to_rate):
    found = at_rate(tone(0.1, 1000, rate), rate, to_rate)
    wanted = tone(0.1, 1000, to_rate)
    assert found.shape == wanted.shape
    middle = slice(len(wanted) // 10, -len(wanted) // 10)
    assert np.abs(found[middle].astype(int) - wanted[middle]).max() < 0.01 * 8_000


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("to_rate", RATES)
def test_a_piece_that_begins_and_ends_in_the_middle_of_sound_does_not_ring(rate, to_rate):
    steady = at_rate(np.full((rate // 100, 1), 10_000, np.int16), rate, to_rate)
    assert np.abs(steady - 10_000).max() <= 1


def test_what_the_lower_rate_cannot_hold_is_left_out():
    assert np.abs(at_rate(tone(0.1, 10_000, 48_000), 48_000, 16_000)[160:-160]).max() < 80


@pytest.mark.parametrize(("count", "left"), [(0, 0), (1, 1), (2, 2), (3, 2), (961, 641)])
def test_any_number_of_samples_has_as_many_as_last_as_long(count, left):
    assert len(at_rate(np.ones((count, 2), np.int16), 24_000, 16_000)) == left


def test_both_sides_are_mixed_at_half_their_level_and_one_is_doubled():
    both = np.array([[1000, 3000], [-2000, 0], [32_767, 32_767], [-32_768, -32_768]], np.int16)
    assert with_channels(both, 1).tolist() == [[2000], [-1000], [32_766], [-32_768]]
    assert with_channels(both[:, :1], 2).tolist() == [[each, each] for each in both[:, 0].tolist()]
    assert with_channels(both, 2) is both


def test_rate_and_channels_change_together():
    found = converted(tone(0.2, 440, 24_000), 24_000, 48_000, 2)
    assert found.shape == (9600, 2)
    assert pitch(found, 48_000) == pytest.approx(440, abs=2)
