"""Known faults are named: each test makes one, and the analysis has to find it within a tolerance."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallrtc_cli.audio.analysis import AudioAnalysis, Channels, Recording, analyse
from smallrtc_cli.audio.bands import at_positions
from smallrtc_cli.audio.signals import measuring_signal, noise, silence, tone

RATE = 48_000
SIGNAL = measuring_signal(3.0)
AT = 60_000  # 1.25 s: where the faults are made


def recording(samples, start: float = 100.0, lateness=lambda index: 0.0, rate: int = RATE) -> Recording:
    frames = range(0, max(len(samples), 1), rate // 50)
    return Recording(samples, rate, tuple((i, start + i / rate + lateness(i)) for i in frames))


def compare(sent, received) -> AudioAnalysis:
    return analyse(recording(sent), recording(received))


def nothing(samples: int, channels: int = 2):
    return np.zeros((samples, channels), np.int16)


def stretched(sound, factor: float):
    places = np.arange(int(len(sound) * factor)) / factor
    return at_positions(sound.astype(float), places).round().clip(-32_768, 32_767).astype(np.int16)


def with_noise(sound, decibels: float):
    rms = np.sqrt(np.mean(sound.astype(float) ** 2))
    hiss = np.random.RandomState(7).standard_normal(sound.shape) * rms * 10 ** (-decibels / 20)
    return np.clip(sound + hiss, -32_768, 32_767).astype(np.int16)


def speech(seconds: float = 5.0):
    """Voiced syllables of gliding pitch and changing formants, with pauses of 80 to 300 ms between words."""
    random = np.random.RandomState(3)
    parts = []
    while sum(map(len, parts)) < seconds * RATE:
        parts += [syllable(random) for _ in range(random.randint(2, 5))]
        parts.append(np.zeros(int(random.uniform(0.08, 0.3) * RATE)))
    sound = np.concatenate(parts)[: int(seconds * RATE)]
    return (sound / np.abs(sound).max() * 12_000).astype(np.int16)[:, None]


def syllable(random):
    count = int(random.uniform(0.12, 0.25) * RATE)
    pitch = np.linspace(random.uniform(90, 220), random.uniform(90, 220), count)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formants = random.uniform([300, 900, 2200], [800, 2000, 3200])
    sound = np.zeros(count)
    for harmonic in range(1, 30):
        gain = sum(1 / (1 + ((harmonic * pitch.mean() - formant) / 120) ** 2) for formant in formants)
        sound += gain * np.sin(harmonic * phase + harmonic**2)
    return (sound + 0.05 * random.standard_normal(count)) * np.hanning(count) ** 0.5


def opus(sound, dropped=frozenset(), bit_rate=96_000):
    """One pass through libopus as aiortc uses it: 20 ms packets, stereo; dropped packets are not decoded."""
    encoder, decoder = av.CodecContext.create("libopus", "w"), av.CodecContext.create("libopus", "r")
    for codec in (encoder, decoder):
        codec.format, codec.layout, codec.sample_rate = "s16", "stereo", RATE
    encoder.bit_rate, encoder.options, encoder.time_base = bit_rate, {"application": "voip"}, Fraction(1, RATE)
    heard, number = [], 0
    for start in range(0, len(sound) - 959, 960):
        piece = np.ascontiguousarray(sound[start : start + 960]).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        for packet in encoder.encode(frame):
            if number not in dropped:
                heard += [f.to_ndarray().reshape(-1, 2) for f in decoder.decode(av.Packet(bytes(packet)))]
            number += 1
    return np.concatenate(heard)


# delay


def test_a_clean_copy_has_no_fault():
    found = compare(SIGNAL, SIGNAL)
    assert found.enough
    assert found.faults() == ()
    assert found.located == found.sought == found.round_trip_ms.samples > 60
    assert found.snr_db > 60
    assert found.channels is Channels.OK
    assert (found.gaps, found.lost_samples, found.inserted_samples, found.rate_ratio) == (0, 0, 0, 1.0)
    assert found.drift_ppm == pytest.approx(0, abs=1)
    assert found.level_change_db == pytest.approx(0, abs=0.05)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 72_000))
def test_any_delay_is_found_within_a_sample(delay):
    found = compare(SIGNAL, np.concatenate([nothing(delay), SIGNAL]))
    assert found.round_trip_ms.p50 == pytest.approx(delay / 48, abs=1 / 48)
    assert found.faults() == ()


@settings(max_examples=8, deadline=None)
@given(st.floats(-20, 6))
def test_the_level_changes_nothing_but_the_level(decibels):
    found = compare(SIGNAL, (SIGNAL * 10 ** (decibels / 20)).round().astype(np.int16))
    assert found.level_change_db == pytest.approx(decibels, abs=0.1)
    assert found.faults() == ()
    assert found.located == found.sought
    assert found.snr_db > 40


def test_the_round_trip_is_told_by_the_clocks_not_by_the_samples():
    late = recording(SIGNAL, start=100.25)
    found = analyse(recording(SIGNAL), late)
    assert found.round_trip_ms.p50 == pytest.approx(250, abs=0.05)


def test_late_frames_show_as_jitter():
    received = recording(np.concatenate([nothing(4800), SIGNAL]), lateness=lambda i: 0.010 * (i // 960 % 2))
    found = analyse(recording(SIGNAL), received)
    assert found.round_trip_ms.p50 == pytest.approx(105, abs=5.1)
    assert found.round_trip_ms.max == pytest.approx(110, abs=0.1)
    assert analyse(recording(SIGNAL), recording(SIGNAL)).jitter_ms < 0.01
    assert found.lost_samples == found.inserted_samples == 0


def test_jitter_is_the_mean_step_between_round_trips():
    received = recording(SIGNAL, lateness=lambda i: 0.010 * (i // 1920 % 2))  # two frames on time, two late
    found = analyse(recording(SIGNAL), received)
    assert found.jitter_ms == pytest.approx(10, abs=0.5)  # a block is sought every two frames


def test_the_other_rate_of_a_recording_is_no_fault():
    low = recording(np.ascontiguousarray(stretched(SIGNAL, 0.5)), rate=24_000)
    found = analyse(recording(SIGNAL), low)
    assert found.faults() == ()
    assert found.round_trip_ms.p50 == pytest.approx(0, abs=0.05)


def test_without_clocks_everything_but_time_is_told():
    found = analyse(Recording(SIGNAL, RATE, ()), Recording(SIGNAL, RATE, ()))
    assert found.round_trip_ms is None
    assert found.jitter_ms is None
    assert found.snr_db > 60


# gaps, loss, insertion


@pytest.mark.parametrize("milliseconds", [6, 10, 20, 40, 100, 300])
def test_a_gap_is_found_where_it_was_made(milliseconds):
    received = SIGNAL.copy()
    received[AT : AT + milliseconds * 48] = 0
    found = compare(SIGNAL, received)
    (gap,) = found.gap_places
    assert gap.at == pytest.approx(1.25, abs=0.002)
    assert found.gap_ms == pytest.approx(milliseconds, abs=1.5)
    assert (found.lost_samples, found.inserted_samples) == (0, 0)
    assert found.faults() == (f"a gap of {gap.ms:.0f} ms at 1.25 s",)


def test_two_milliseconds_of_silence_are_no_gap():
    received = SIGNAL.copy()
    received[AT : AT + 96] = 0
    assert compare(SIGNAL, received).gaps == 0


def test_a_lost_packet_is_missing_sound_where_it_was_lost():
    found = compare(SIGNAL, np.delete(SIGNAL, slice(AT, AT + 960), axis=0))
    assert found.lost_samples == pytest.approx(960, abs=2)
    assert found.lost_places[0].at == pytest.approx(1.25, abs=0.002)
    assert (found.gaps, found.inserted_samples) == (0, 0)
    assert found.faults() == ("20 ms of sound are missing at 1.25 s",)


@pytest.mark.parametrize("what", ["silence", "repetition"])
def test_twenty_inserted_milliseconds_are_found(what):
    between = nothing(960) if what == "silence" else SIGNAL[AT - 960 : AT]
    found = compare(SIGNAL, np.concatenate([SIGNAL[:AT], between, SIGNAL[AT:]]))
    assert found.inserted_samples == pytest.approx(960, abs=2)
    assert found.inserted_places[0].at == pytest.approx(1.25, abs=0.021)
    assert (found.gaps, found.lost_samples) == (0, 0)


def test_many_losses_are_summed_up():
    received = np.delete(SIGNAL, np.concatenate([np.arange(960) + k * 24_000 for k in range(1, 6)]), axis=0)
    found = compare(SIGNAL, received)
    assert found.lost_samples == pytest.approx(4800, abs=5)
    assert found.faults() == ("5 pieces of sound are missing, 100 ms in all, the first at 0.50 s",)


def test_a_missing_start_and_a_missing_end_are_told_apart():
    assert compare(SIGNAL, SIGNAL[24_000:]).faults() == ("the first 500 ms of the sound did not come back",)
    assert compare(SIGNAL, SIGNAL[:-24_000]).faults() == ("the last 500 ms of the sound did not come back",)


def test_a_second_of_something_else_cannot_be_recognised():
    received = SIGNAL.copy()
    received[AT : AT + RATE] = noise(1.0, channels=2)
    (sentence,) = compare(SIGNAL, received).faults()
    assert "% of the sound cannot be recognised" in sentence


# noise and drift


@pytest.mark.parametrize("decibels", [30, 20, 15, 10, 0])
def test_white_noise_is_measured_as_it_was_added(decibels):
    assert compare(SIGNAL, with_noise(SIGNAL, decibels)).snr_db == pytest.approx(decibels, abs=1)


def test_hiss_above_the_band_is_noise_too():
    hiss = noise(3.0, channels=2).astype(float)
    spectrum = np.fft.rfft(hiss, axis=0)
    spectrum[: 3 * 9000] = 0
    hiss = np.fft.irfft(spectrum, len(hiss), axis=0)
    hiss *= np.sqrt(np.mean(SIGNAL.astype(float) ** 2) / np.mean(hiss**2)) / 10
    assert compare(SIGNAL, (SIGNAL + hiss).astype(np.int16)).snr_db == pytest.approx(20, abs=1)


def test_a_filter_is_no_noise():
    smoothed = sum(np.roll(SIGNAL.astype(float), k, axis=0) for k in range(4)) / 4
    assert compare(SIGNAL, smoothed.astype(np.int16)).snr_db > 40


@pytest.mark.parametrize("ppm", [100, -100, 500, -500])
def test_clock_drift_is_measured(ppm):
    found = compare(SIGNAL, stretched(SIGNAL, 1 + ppm * 1e-6))
    assert found.drift_ppm == pytest.approx(ppm, abs=5)
    assert (found.lost_samples, found.inserted_samples, found.gaps) == (0, 0, 0)
    assert found.snr_db > 40


def test_delay_drift_loss_and_noise_are_told_apart():
    received = stretched(np.delete(SIGNAL, slice(80_000, 80_960), axis=0), 1.0002)
    found = compare(SIGNAL, with_noise(np.concatenate([nothing(9600), received]), 20))
    assert found.round_trip_ms.max == pytest.approx(200, abs=1)
    assert found.drift_ppm == pytest.approx(200, abs=10)
    assert found.lost_samples == pytest.approx(960, abs=4)
    assert found.lost_places[0].at == pytest.approx(80_000 / RATE, abs=0.003)
    assert found.snr_db == pytest.approx(20, abs=1)
    assert found.gaps == 0


# speed


@pytest.mark.parametrize(
    ("made", "played"),
    [(48, 24), (24, 48), (44.1, 48), (48, 44.1), (16, 48), (48, 16), (16, 24), (24, 16), (8, 48), (48, 8)],
)
def test_a_wrong_rate_is_named(made, played):
    found = compare(SIGNAL, with_noise(stretched(SIGNAL, made / played), 20))
    assert found.rate_ratio == pytest.approx(played / made, rel=1e-6)
    assert found.enough
    assert found.channels is Channels.OK
    assert found.round_trip_ms is None
    assert f"{made} kHz audio is played as {played} kHz" in found.faults()[0]


def test_half_speed_in_words():
    assert compare(SIGNAL, stretched(SIGNAL, 2)).faults() == (
        "the sound comes back at half speed: 48 kHz audio is played as 24 kHz, or stereo as mono (pitch 0.500)",
    )


def test_stereo_samples_that_are_played_as_mono_are_half_speed():
    interleaved = np.repeat(SIGNAL.reshape(-1, 1), 2, axis=1)
    assert compare(SIGNAL, interleaved).rate_ratio == 0.5


def half_speed_in_real_time(sound):
    """Every frame is played twice as long, and every second one is dropped to keep up."""
    frames = [sound[i : i + 960] for i in range(0, len(sound), 960)]
    return stretched(np.concatenate(frames[::2]), 2)


def too_fast_in_real_time(sound, factor: int):
    """Every frame is played too fast, and silence follows until the next one."""
    squeezed = stretched(sound, 1 / factor)
    size = 960 // factor
    pieces = [squeezed[i : i + size] for i in range(0, len(squeezed) - size + 1, size)]
    return np.concatenate([part for piece in pieces for part in (piece, nothing(960 - size, sound.shape[1]))])


@pytest.mark.parametrize(
    ("received", "ratio"),
    [
        (half_speed_in_real_time(SIGNAL), 0.5),
        (too_fast_in_real_time(SIGNAL, 2), 2.0),
        (too_fast_in_real_time(SIGNAL, 3), 3.0),
    ],
    ids=["half, dropping", "double, starving", "triple, starving"],
)
def test_a_wrong_rate_is_named_even_when_the_bot_keeps_up_by_chopping(received, ratio):
    found = compare(SIGNAL, with_noise(received, 20))
    assert found.rate_ratio == pytest.approx(ratio)
    assert f"(pitch {ratio:.3f})" in found.faults()[0]


def test_the_wrong_rate_of_chopped_speech_is_named():
    sound = speech()
    assert compare(sound, half_speed_in_real_time(sound)).rate_ratio == 0.5
    assert compare(sound, too_fast_in_real_time(sound, 2)).rate_ratio == 2.0


def test_right_pitch_in_unrecognisable_pieces():
    frames = SIGNAL.reshape(-1, 480, 2)[:, ::-1].reshape(-1, 2)  # every 10 ms backwards
    assert compare(SIGNAL, frames).faults() == ("the sound comes back in pieces that are too short to recognise",)


# channels


def mixed(sound):
    return np.repeat((sound.astype(int).sum(axis=1, keepdims=True) // 2).astype(np.int16), 2, axis=1)


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (SIGNAL[:, ::-1], Channels.SWAPPED),
        (mixed(SIGNAL), Channels.MERGED),
        (SIGNAL * np.array([1, 0], np.int16), Channels.ONE_SIDED),
        (SIGNAL * np.array([0, 1], np.int16), Channels.ONE_SIDED),
        (np.repeat(SIGNAL[:, :1], 2, axis=1), Channels.ONE_SIDED),
        (mixed(SIGNAL)[:, :1], Channels.MONO),
    ],
    ids=["swapped", "merged", "left only", "right only", "left in both", "mono received"],
)
def test_what_became_of_left_and_right_is_told(received, expected):
    found = compare(SIGNAL, np.ascontiguousarray(received))
    assert found.channels is expected
    assert found.snr_db > 40
    assert found.level_change_db == pytest.approx(0, abs=0.1)


def test_channel_faults_in_words():
    assert compare(SIGNAL, SIGNAL[:, ::-1]).faults() == ("left and right are swapped",)
    assert compare(SIGNAL, mixed(SIGNAL)).faults() == ("left and right are merged into one",)


@pytest.mark.parametrize("channels", [1, 2])
def test_mono_that_comes_back_as_mono_or_in_both_channels_is_no_fault(channels):
    mono = SIGNAL[:, :1]
    found = compare(mono, np.repeat(mono, channels, axis=1))
    assert found.channels is Channels.MONO
    assert found.faults() == ()


# nothing to judge


def test_silence_means_that_nothing_came_back():
    for received in (nothing(144_000), nothing(0)):
        found = compare(SIGNAL, received)
        assert found.enough
        assert found.faults() == ("nothing came back",)


@pytest.mark.parametrize(
    "sent",
    [silence(3.0, channels=2), SIGNAL[AT : AT + 8000], tone(440, 3.0), nothing(0)],
    ids=["silence", "short", "tone", "empty"],
)
def test_too_little_to_recognise_is_inconclusive(sent):
    found = compare(sent, sent)
    assert not found.enough
    assert found.faults() == ()


@pytest.mark.parametrize(
    "received",
    [noise(3.0, channels=2), measuring_signal(3.0, channels=4)[:, 2:], tone(300, 3)],
    ids=["noise", "glides", "tone"],
)
def test_another_sound_is_not_the_one_that_was_sent(received):
    found = compare(SIGNAL, received)
    assert found.enough
    assert found.faults() == ("what came back is not the sound that was sent",)
    assert found.snr_db is None


# through Opus


@pytest.fixture(scope="module")
def healthy() -> AudioAnalysis:
    return compare(SIGNAL, opus(opus(SIGNAL)))


def test_a_healthy_path_through_opus_twice_has_no_fault(healthy):
    assert healthy.faults() == ()
    assert healthy.snr_db > 20
    assert healthy.round_trip_ms.p50 == pytest.approx(13, abs=0.1)
    assert healthy.round_trip_ms.max - healthy.round_trip_ms.p50 < 0.2
    assert healthy.drift_ppm == pytest.approx(0, abs=20)
    assert healthy.level_change_db == pytest.approx(0, abs=0.3)
    assert healthy.channels is Channels.OK


def test_noise_shows_through_opus(healthy):
    found = compare(SIGNAL, opus(with_noise(opus(SIGNAL), 15)))
    assert found.snr_db < 15 < healthy.snr_db - 5


def test_packets_lost_between_two_opus_passes_are_counted():
    found = compare(SIGNAL, opus(opus(SIGNAL, dropped={30}), dropped={60, 61}))
    assert found.lost_samples == pytest.approx(3 * 960, abs=30)
    assert [round(place.ms) for place in found.lost_places] == [20, 40]
    assert [place.at for place in found.lost_places] == pytest.approx([0.6, 1.21], abs=0.02)
    assert found.gaps == found.inserted_samples == 0


def test_silence_in_place_of_a_packet_is_a_gap_after_opus():
    heard = opus(SIGNAL)
    heard[AT : AT + 1920] = 0
    found = compare(SIGNAL, opus(heard))
    assert found.gap_ms == pytest.approx(40, abs=3)
    assert found.gaps == 1
    assert found.lost_samples == found.inserted_samples == 0


# speech


def test_speech_with_pauses_is_followed_through_opus():
    sound = speech()
    found = compare(sound, opus(opus(np.repeat(sound, 2, axis=1))))
    assert found.faults() == ()
    assert found.located > 0.95 * found.sought
    assert found.round_trip_ms.p50 == pytest.approx(13, abs=0.2)
    assert found.snr_db > 12


def test_a_loss_in_speech_is_found():
    sound = speech()
    loud = int(np.argmax(np.convolve(sound[RATE:, 0].astype(float) ** 2, np.ones(4800), "valid"))) + RATE + 2400
    found = compare(sound, np.delete(sound, slice(loud, loud + 960), axis=0))
    assert found.lost_samples == pytest.approx(960, abs=3)
    assert found.lost_places[0].at == pytest.approx(loud / RATE, abs=0.01)
    assert found.gaps == found.inserted_samples == 0


def test_pauses_are_no_gaps_and_noise_in_them_no_matter():
    found = compare(speech(), with_noise(speech(), 20))
    assert (found.gaps, found.lost_samples, found.inserted_samples) == (0, 0, 0)
    assert found.snr_db > 20
