"""Twice to six times as many samples: the same sound, in whatever pieces it comes."""

from pathlib import Path

import numpy as np
import pytest
from coded import pitch

from smallrtc_cli.audio.pcm import Converter, level_dbfs, to_av_frame, to_bytes
from smallrtc_cli.audio.signals import tone
from smallrtc_cli.audio.upsampling import REACH, Upsampler


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("rate", "factor"), [(24_000, 2), (16_000, 3), (12_000, 4), (8_000, 6)])
def test_a_tone_keeps_pitch_level_and_length(rate, factor, channels):
    sound = tone(1000, 1.0, rate=rate, channels=channels)
    raised = Upsampler(factor, channels).resample(sound)
    assert raised.shape == (len(sound) * factor, channels)
    assert pitch(raised, rate * factor) == pytest.approx(1000, abs=0.5)
    steady = raised[rate // 10 : -rate // 10]
    assert level_dbfs(steady) == pytest.approx(level_dbfs(sound[rate // 10 : -rate // 10]), abs=0.1)


@pytest.mark.parametrize("factor", [2, 3, 6])
def test_the_old_samples_are_among_the_new_ones(factor):
    sound = np.random.default_rng(1).integers(-20_000, 20_000, (1000, 1)).astype(np.int16)
    raised = Upsampler(factor, 1).resample(sound)
    assert np.array_equal(raised[REACH * factor :: factor], sound[:-REACH])


def test_pieces_join_without_a_seam():
    sound = tone(440, 0.5, rate=24_000, channels=2)
    whole, upsampler = Upsampler(2, 2).resample(sound), Upsampler(2, 2)
    cuts = np.split(sound, [1, 2, 500, 501, 7000])
    assert np.array_equal(np.concatenate([upsampler.resample(piece) for piece in cuts]), whole)


def test_nothing_is_heard_where_there_was_nothing():
    raised = Upsampler(2, 1).resample(tone(1000, 1.0, rate=24_000, channels=1))[:, 0].astype(float)
    spectrum = 20 * np.log10(np.abs(np.fft.rfft(raised[4800:-4800] * np.blackman(len(raised) - 9600))) + 1e-9)
    image = 23_000 * (len(raised) - 9600) // 48_000
    assert spectrum[image - 100 : image + 100].max() < spectrum.max() - 65


def test_the_loudest_sound_does_not_turn_over():
    square = np.repeat(np.array([32_767, -32_768] * 20, np.int16), 25)[:, None]
    raised = Upsampler(2, 1).resample(square)
    assert np.array_equal(np.sign(raised[2 * REACH :: 2]), np.sign(square[:-REACH]))


def threads():
    """Of the system: libav's have no Python in them."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


@pytest.mark.parametrize(("rate", "channels", "to"), [(24_000, 1, 1), (16_000, 1, 2), (8_000, 2, 2)])
def test_a_converter_needs_no_thread_for_that(rate, channels, to):
    before = threads()
    converter = Converter(48_000, to)
    out = converter.convert(tone(440, 0.02, rate=rate, channels=channels).tobytes(), rate, channels)
    assert len(out) == 960 * to * 2
    assert threads() <= before


def test_a_converter_that_was_reset_begins_with_silence_again():
    converter = Converter(48_000, 1)
    piece = to_av_frame(tone(440, 0.02, rate=24_000, channels=1).tobytes(), 24_000, 1)
    first = to_bytes(converter.convert_frame(piece)[0])
    assert to_bytes(converter.convert_frame(piece)[0]) != first
    converter.reset()
    assert to_bytes(converter.convert_frame(piece)[0]) == first
