import numpy as np
import pytest

from smallrtc_cli.audio.resampling import Resampler

RATE = 48_000


def tone(hertz, samples, channels=1):
    wave = 10_000 * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE)
    return np.repeat(np.rint(wave).astype(np.int16)[:, None], channels, axis=1)


def in_pieces(sound, step, length):
    resampler = Resampler(sound.shape[1])
    return np.concatenate(
        [resampler.resample(piece, step) for piece in np.split(sound, range(length, len(sound), length))]
    )


def test_the_ratio_one_passes_every_sample_as_it_is():
    sound = np.random.default_rng(1).integers(-32_768, 32_767, (4_000, 2)).astype(np.int16)
    heard = in_pieces(sound, 1.0, 333)
    assert len(heard) == len(sound)
    assert (heard[Resampler.DELAY :] == sound[: -Resampler.DELAY]).all()
    assert not heard[: Resampler.DELAY].any()


@pytest.mark.parametrize("step", [0.995, 0.9998, 1.00001, 1.0005, 1.005])
def test_the_length_changes_by_the_ratio(step):
    heard = in_pieces(tone(1_000, RATE), step, 960)
    assert len(heard) == pytest.approx(RATE / step, abs=1)


@pytest.mark.parametrize("length", [1, 7, 480, 5_000])
def test_the_length_of_the_pieces_changes_nothing(length):
    sound = tone(440, 5_000, channels=2)
    whole, parts = in_pieces(sound, 1.003, 5_000), in_pieces(sound, 1.003, length)
    assert np.abs(whole[: len(parts)].astype(int) - parts[: len(whole)]).max() <= 1


@pytest.mark.parametrize("hertz", [50, 1_000, 8_000, 16_000, 19_000])
def test_a_tone_keeps_its_loudness_and_purity(hertz):
    step = 1.0003
    heard = in_pieces(tone(hertz, RATE), step, 960)[100:, 0].astype(np.float64)
    phase = 2 * np.pi * hertz * step * np.arange(len(heard)) / RATE
    basis = np.stack((np.sin(phase), np.cos(phase)), axis=1)
    amplitudes = np.linalg.lstsq(basis, heard, rcond=None)[0]
    rest = heard - basis @ amplitudes
    assert np.hypot(*amplitudes) == pytest.approx(10_000, rel=0.01)
    assert 10 * np.log10(np.mean((basis @ amplitudes) ** 2) / np.mean(rest**2)) > 65


def test_full_scale_does_not_wrap():
    square = np.where(np.arange(4_000) // 40 % 2, 32_767, -32_768).astype(np.int16)[:, None]
    heard = in_pieces(square, 1.001, 480)
    assert heard.max() == 32_767
    assert heard.min() == -32_768
    assert np.abs(np.diff(heard[:, 0].astype(int))).max() < 65_535


def test_reset_forgets_what_came_before():
    resampler = Resampler(1)
    resampler.resample(tone(1_000, 501), 1.003)
    resampler.reset()
    silence = np.zeros((480, 1), dtype=np.int16)
    assert not resampler.resample(silence, 1.0).any()
