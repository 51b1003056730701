"""Sound made shorter or longer is heard as it was: no step, the same level, the same pitch."""

import numpy as np
import pytest
from played import largest_step
from received import rms, tone, voice

from smallrtc_cli.audio.timescale import TimeScale

RATES = [8_000, 16_000, 48_000]


def scaled(sound, rate, piece, *, longer=False, likeness=0.0):
    """Every fifth piece one period shorter, or longer."""
    scale, size = TimeScale(rate), round(piece * rate)
    method = scale.lengthen if longer else scale.shorten
    pieces = np.split(sound, range(size, len(sound), size))
    out = [p if n % 5 else method(p, size, likeness) for n, p in enumerate(pieces)]
    assert sum(map(len, out)) == len(sound) - scale.removed + scale.inserted
    assert (scale.inserted if longer else scale.removed) > 0
    return np.concatenate(out)


def loudest_frequency(sound, rate):
    spectrum = np.abs(np.fft.rfft(sound[:, 0] * np.hanning(len(sound))))
    return np.argmax(spectrum) * rate / len(sound)


@pytest.mark.parametrize("longer", [False, True])
@pytest.mark.parametrize("piece", [0.01, 0.02, 0.06, 0.12])
@pytest.mark.parametrize("hertz", [220, 997])
@pytest.mark.parametrize("rate", RATES)
def test_a_tone_has_no_step_and_keeps_level_and_pitch(rate, hertz, piece, longer):
    sound = tone(2.4, hertz, rate)
    out = scaled(sound, rate, piece, longer=longer)
    assert largest_step(out) <= 1.03 * largest_step(sound) + 2
    assert rms(out) == pytest.approx(rms(sound), rel=0.02)
    assert loudest_frequency(out, rate) == pytest.approx(hertz, rel=0.01)
    envelope = [rms(part) for part in np.array_split(out, len(out) * 100 // rate)]
    assert min(envelope) > 0.8 * rms(sound)


@pytest.mark.parametrize("longer", [False, True])
@pytest.mark.parametrize("hertz", [110, 180])
@pytest.mark.parametrize("rate", RATES)
def test_a_voice_has_no_step_and_keeps_its_level(rate, hertz, longer):
    sound = voice(2, rate, hertz)
    out = scaled(sound, rate, 0.02, longer=longer)
    assert largest_step(out) <= 1.1 * largest_step(sound)
    assert rms(out) == pytest.approx(rms(sound), rel=0.03)


@pytest.mark.parametrize("longer", [False, True])
def test_noise_keeps_its_level_at_the_seams_too(longer):
    noise = np.random.RandomState(5).normal(0, 4_000, (8_000 * 20, 1)).astype(np.int16)
    scale = TimeScale(8_000)
    method = scale.lengthen if longer else scale.shorten
    seams = [method(piece, 160)[-120 if longer else 0 :][:40] for piece in np.split(noise, 1_000)]
    assert rms(np.concatenate(seams)) == pytest.approx(rms(noise), rel=0.06)


def test_both_ends_of_a_piece_stay_what_they_were():
    piece = voice(0.02, 48_000)
    for out in (TimeScale(48_000).shorten(piece, 960), TimeScale(48_000).lengthen(piece, 960)):
        assert abs(int(out[0, 0]) - int(piece[0, 0])) <= 0.01 * 32_768
        assert out[-1] == piece[-1]


def test_no_more_is_left_out_than_was_asked_for():
    for most in range(0, 160, 7):
        scale = TimeScale(8_000)
        assert len(scale.shorten(tone(0.02), most)) >= 160 - most
        assert scale.removed <= most


def test_periods_that_are_not_alike_are_left_alone():
    noise = np.random.RandomState(5).normal(0, 4_000, (160, 1)).astype(np.int16)
    scale = TimeScale(8_000)
    assert scale.shorten(noise, 160, 0.95) is noise
    assert scale.lengthen(noise, 160, 0.95) is noise
    assert scale.removed == scale.inserted == 0


def test_silence_is_cut_as_far_as_asked_for():
    scale = TimeScale(8_000)
    assert len(scale.shorten(np.zeros((160, 1), np.int16), 100, anywhere=True)) == 60
    assert len(scale.shorten(np.zeros((160, 1), np.int16), 160, anywhere=True)) == 40


def test_a_piece_too_short_for_a_period_is_left_alone():
    short = tone(0.007)
    assert TimeScale(8_000).shorten(short, 160) is short


def test_stereo_is_cut_at_one_place():
    left = voice(0.06)
    both = np.concatenate((left, left // 2), axis=1)
    out = TimeScale(8_000).shorten(both, 480)
    assert len(out) < len(both)
    assert np.abs(out[:, 0] // 2 - out[:, 1]).max() <= 1
