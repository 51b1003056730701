"""The measuring signal is what its module promises: level, no silence, one place for every piece."""

import numpy as np
import pytest

from smallrtc_cli.audio.signals import FULL_SCALE, measuring_signal, noise, silence, tone


def level(sound) -> float:
    return 20 * np.log10(np.sqrt(np.mean(sound.astype(float) ** 2)) / FULL_SCALE)


@pytest.mark.parametrize("channels", [1, 2])
def test_shape_type_and_level(channels):
    sound = measuring_signal(3.0, channels=channels)
    assert sound.shape == (144_000, channels)
    assert sound.dtype == np.int16
    assert level(sound) == pytest.approx(-18, abs=0.05)
    assert np.abs(sound).max() < FULL_SCALE / 4  # 12 dB of headroom


def test_the_same_samples_every_time():
    assert np.array_equal(measuring_signal(1.5), measuring_signal(1.5))


def test_no_five_milliseconds_are_silent():
    sound = measuring_signal(3.0).astype(float)
    power = np.mean(sound.reshape(-1, 240, 2) ** 2, axis=1)[2:-2]
    assert power.min() > 0.5 * power.mean()


def test_left_and_right_have_nothing_in_common_at_any_delay_below_two_seconds():
    left, right = measuring_signal(3.0).astype(float).T
    product = np.fft.irfft(np.fft.rfft(left, 1 << 19) * np.conj(np.fft.rfft(right, 1 << 19)))
    near = np.concatenate([product[:96_000], product[-96_000:]])
    assert np.abs(near).max() < 0.2 * np.sqrt(np.sum(left**2) * np.sum(right**2))


@pytest.mark.parametrize("start", range(0, 44_000, 1920))
def test_every_120_ms_have_one_place_only(start):
    sound = measuring_signal(3.0).astype(float).mean(axis=1)[::3]  # 4 kHz at most: decimation is safe
    start, length = start // 3 * 3, 1920
    piece = sound[start : start + length]
    total = np.concatenate([[0], np.cumsum(sound**2)])
    energy = total[length:] - total[:-length]
    likeness = np.correlate(sound, piece) / np.sqrt(energy * (piece @ piece))
    elsewhere = np.abs(np.arange(len(likeness)) - start) > 160
    assert likeness[elsewhere].max() < 0.75


def test_the_sound_lies_between_300_and_4000_hz():
    spectrum = np.abs(np.fft.rfft(measuring_signal(3.0)[:, 0])) ** 2
    frequency = np.fft.rfftfreq(144_000, 1 / 48_000)
    inside = spectrum[(frequency > 280) & (frequency < 4100)].sum()
    assert inside > 0.995 * spectrum.sum()


def test_less_than_a_second_is_refused():
    with pytest.raises(ValueError, match="at least 1 s"):
        measuring_signal(0.9)


def test_a_tone_has_its_frequency_and_level():
    sound = tone(440, 1.0, level=-12)
    assert np.argmax(np.abs(np.fft.rfft(sound[:, 0]))) == 440
    assert level(sound) == pytest.approx(-12, abs=0.01)


def test_noise_differs_between_channels_and_seeds():
    one, other = noise(1.0, channels=2), noise(1.0, channels=2, seed=1)
    assert abs(np.corrcoef(one.T)[0, 1]) < 0.02
    assert abs(np.corrcoef(one[:, 0], other[:, 0])[0, 1]) < 0.02
    assert level(one) == pytest.approx(-18, abs=0.01)


def test_silence_is_silent():
    assert not silence(0.5, channels=2).any()
    assert silence(0.5, channels=2).shape == (24_000, 2)
