"""The promises of the elastic buffer, by value: what is heard, how late, and where every sample went."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from played import LOUDNESS, RATE, TAKE, largest_step, play, stall, step_of_a_tone, tone

from smallrtc_cli.audio.elastic import ElasticBuffer
from smallrtc_cli.config import Elastic

SETTINGS = Elastic()


def purity(sound: NDArray[np.int16], rate: int, hertz: float = 1_000) -> float:
    """dB between a sine whose loudness and pitch change slowly (cubically within 50 ms) and what is not that sine."""
    block = rate // 20
    blocks = sound[: len(sound) // block * block, 0].astype(np.float64).reshape(-1, block)
    phase, time = 2 * np.pi * hertz * np.arange(block) / rate, np.linspace(-1, 1, block)
    basis = np.stack([wave * time**power for power in range(4) for wave in (np.sin(phase), np.cos(phase))], axis=1)
    fit = basis @ np.linalg.lstsq(basis, blocks.T, rcond=None)[0]
    return float(10 * np.log10(np.sum(fit**2) / np.sum((blocks.T - fit) ** 2)))


@pytest.mark.parametrize("ppm", [200, -200])
def test_two_clocks_200_ppm_apart_neither_grow_nor_drain_the_buffer_in_10_minutes(ppm):
    played = play(tone(601), ppm=ppm, jitter=0.005)
    means = played.levels[2_000:60_000].reshape(-1, 1_000).mean(axis=1)
    assert played.buffer.underruns == played.buffer.overruns == 0
    assert np.ptp(means) < 0.004
    assert np.abs(means - played.targets[2_000:60_000].mean()).max() < 0.015
    assert played.targets[2_000:].max() < 0.045
    assert np.abs(played.corrections[2_000:] - ppm).max() < 400
    assert played.corrections[2_000:].mean() == pytest.approx(ppm, abs=20)
    assert largest_step(played.sound) < step_of_a_tone() * 1.01


@pytest.mark.parametrize("piece", [0.01, 0.02])
@pytest.mark.parametrize("ppm", [500, -500])
def test_clocks_500_ppm_apart_are_followed_within_a_few_milliseconds(ppm, piece):
    played = play(tone(40), piece=piece, ppm=ppm, jitter=0.005)
    assert played.buffer.underruns == played.buffer.overruns == 0
    assert abs(played.mean_level(20, 30) - played.mean_level(30, 40)) < 0.002
    assert abs(played.mean_level(20, 40) - played.targets[2_000:].mean()) < 0.015
    assert np.abs(played.corrections[2_000:]).max() < 1_000


def test_a_tone_stays_a_tone_while_the_clocks_differ():
    played = play(tone(6, rate=48_000), rate=48_000, ppm=200, jitter=0.005)
    steady = played.sound[48_000:]
    assert purity(steady, 48_000) > 60
    assert largest_step(played.sound) < step_of_a_tone(rate=48_000) * 1.01


def test_purity_sees_a_single_click():
    sound = tone(1, rate=48_000)
    assert purity(sound, 48_000) > 80
    assert purity(np.delete(sound, 20_005, axis=0), 48_000) < 60


def test_stereo_stays_aligned():
    sides = np.concatenate((tone(3), -tone(3)), axis=1)
    played = play(sides, ppm=500, jitter=0.005)
    assert np.abs(played.sound.astype(np.int32).sum(axis=1)).max() <= 1


def test_playing_begins_when_the_delay_has_grown_to_its_target():
    buffer = ElasticBuffer(RATE, 1)
    buffer.put(tone(0.02), 0.0)
    assert not buffer.take(TAKE, 0.001).any()
    assert not buffer.take(TAKE, 0.011).any()
    buffer.put(tone(0.02), 0.02)
    assert np.concatenate((buffer.take(TAKE, 0.021), buffer.take(TAKE, 0.031))).any()
    assert 0.02 <= buffer.seconds <= 0.04
    assert buffer.underruns == 0


def test_a_sound_shorter_than_the_target_is_played_once_no_more_comes():
    buffer = ElasticBuffer(RATE, 1)
    buffer.put(tone(0.02), 0.0)
    assert [bool(buffer.take(TAKE, at / 1000).any()) for at in range(1, 100, 10)].count(True) in (2, 3)
    assert buffer.seconds == 0


def test_a_steady_stream_is_played_bit_by_bit_as_it_came():
    steady = Elastic(first_target=0.025)
    buffer, sound = ElasticBuffer(RATE, 1, steady), tone(1)
    heard = []
    for number in range(50):
        buffer.put(sound[number * 160 : number * 160 + 160], number * 0.02)
        heard += [buffer.take(TAKE, number * 0.02 + 0.005), buffer.take(TAKE, number * 0.02 + 0.015)]
    played = np.concatenate(heard)[:, 0].tobytes()
    assert sound[400:4_000, 0].tobytes() in played


@pytest.mark.parametrize("jitter", [0.01, 0.03, 0.06])
def test_the_target_follows_the_jitter_and_nothing_underruns(jitter):
    played = play(tone(12), late=lambda due: np.random.default_rng(3).uniform(0, 2 * jitter, len(due)))
    assert played.underruns[-1] == played.underruns[200]
    assert 0.02 + 1.3 * jitter < played.targets[-1] < 0.06 + 2 * jitter
    assert abs(played.mean_level(10, 12) - played.targets[-1]) < 0.02 + jitter


def test_the_target_is_bounded_however_bad_the_network_is():
    played = play(tone(10), late=lambda due: np.random.default_rng(3).uniform(0, 1.0, len(due)))
    assert played.targets.max() == SETTINGS.most
    calm = play(tone(20))
    assert calm.targets.min() >= SETTINGS.least


def test_a_stall_is_one_underrun_and_raises_the_target_at_once():
    played = play(tone(8), late=stall(4, 0.1))
    assert played.buffer.underruns == 1
    assert played.targets[399] < 0.04
    assert played.targets[425] > 0.1


@pytest.mark.parametrize("hertz", [61, 97, 1_000])
def test_an_underrun_fades_out_and_in_without_a_click(hertz):
    played = play(tone(8, hertz=hertz), late=stall(4, 0.1))
    assert largest_step(played.sound) < step_of_a_tone(hertz) * 1.02 + LOUDNESS / (SETTINGS.fade * RATE)
    gap = np.flatnonzero(~played.sound[400 * TAKE : 425 * TAKE].any(axis=1))
    assert len(gap) > 0.05 * RATE


def test_after_one_burst_a_lasting_tone_is_played_faster_until_the_delay_is_gone():
    played = play(tone(45), late=stall(4, 0.1))
    assert played.buffer.underruns == 1
    assert played.mean_level(5, 6) > 0.1
    assert played.mean_level(40, 45) < 0.045
    assert played.corrections.max() <= 5_000
    assert largest_step(played.sound) < step_of_a_tone() * 1.02


def test_after_one_burst_the_first_silence_takes_the_delay_away():
    sound = tone(30)
    sound[14 * RATE : 14 * RATE + RATE // 2] = 0
    played = play(sound, late=stall(4, 0.25))
    excess = played.mean_level(13, 13.9) - played.targets[1_390]
    assert excess > 0.02
    assert played.mean_level(14.8, 15.8) < played.targets[1_480] + 0.01
    assert played.buffer.underruns == 1
    assert largest_step(played.sound) < step_of_a_tone() * 1.02


def test_a_pause_of_the_sender_in_silence_is_no_underrun():
    sound = tone(4)
    sound[2 * RATE - 1_600 : 2 * RATE] = 0
    played = play(sound, late=lambda due: np.where(due > 2.001, 1.0, 0))
    assert played.buffer.underruns == 0
    assert played.targets[-1] < 0.04
    assert played.levels.max() < 0.08


def test_a_pause_of_the_sender_in_sound_leaves_no_delay():
    played = play(tone(20), late=lambda due: np.where(due > 4, 0.5, 0))
    assert played.buffer.underruns == 1
    assert played.targets[480] > played.targets[395] + 0.9 * SETTINGS.rise
    assert played.mean_level(15, 19) < 0.045


def test_without_a_reader_it_holds_its_capacity_and_drops_the_oldest():
    buffer, sound = ElasticBuffer(RATE, 1), tone(1)
    for number in range(50):
        buffer.put(sound[number * 160 : number * 160 + 160], number * 0.02)
    assert buffer.seconds == SETTINGS.capacity
    assert buffer.overruns == 1
    assert buffer.samples_dropped == RATE - round(SETTINGS.capacity * RATE)


@pytest.mark.parametrize("hertz", [61, 97, 1_000])
def test_a_reader_that_returns_hears_what_is_new_after_a_fade(hertz):
    buffer, sound, heard = ElasticBuffer(RATE, 1), tone(4, hertz=hertz), []
    for number in range(200):
        now = number * 0.02
        buffer.put(sound[number * 160 : number * 160 + 160], now)
        if not 1 < now < 2.5:
            heard += [buffer.take(TAKE, now + 0.005), buffer.take(TAKE, now + 0.015)]
        if now > 2.6:
            assert buffer.seconds < buffer.target + 0.02
            assert abs(buffer.correction_ppm) < 3_500
    assert buffer.overruns == 1
    assert buffer.underruns == 0
    assert largest_step(np.concatenate(heard)) < step_of_a_tone(hertz) * 1.02 + LOUDNESS / (SETTINGS.fade * RATE)


def test_clear_leaves_a_fade_of_5_ms_and_waits_for_the_target_again():
    buffer, sound = ElasticBuffer(RATE, 1), tone(0.1)
    for number in range(5):
        buffer.put(sound[number * 160 : number * 160 + 160], number * 0.02)
    before = buffer.take(TAKE, 0.09)
    assert before.any()
    buffer.clear()
    assert buffer.seconds == 0
    rest = buffer.take(TAKE, 0.1)
    assert rest[: RATE // 200].any()
    assert not rest[RATE // 200 :].any()
    assert largest_step(np.concatenate((before, rest))) < step_of_a_tone() * 1.02
    buffer.put(sound[:160], 0.105)
    assert not buffer.take(TAKE, 0.11).any()
    assert buffer.underruns == 0


def test_nothing_of_what_was_cleared_is_heard_after_its_fade():
    buffer = ElasticBuffer(RATE, 1)
    buffer.put(tone(0.1)[:-3], 0.0)
    buffer.take(TAKE, 0.1)
    buffer.take(TAKE, 0.11)
    buffer.clear()
    buffer.take(TAKE, 0.12)
    for number in range(20):
        buffer.put(np.zeros((TAKE, 1), dtype=np.int16), 0.13 + number * 0.01)
        assert not buffer.take(TAKE, 0.135 + number * 0.01).any()


def test_clear_of_an_empty_buffer_is_silent():
    buffer = ElasticBuffer(RATE, 2)
    buffer.clear()
    assert not buffer.take(TAKE, 0.0).any()


def test_the_sums_tell_how_long_a_sample_waits():
    played = play(tone(20))
    waits = played.buffer.delay_sum / played.buffer.emitted_count
    assert waits == pytest.approx(played.mean_level(0.1, 20), abs=0.012)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_pieces_of_any_length_come_out_as_requests_of_any_length(rate):
    buffer, random, now = ElasticBuffer(rate, 2), np.random.default_rng(5), 0.0
    for _ in range(300):
        count = int(random.integers(1, rate // 25))
        buffer.put(tone(count / rate, rate, channels=2), now)
        assert buffer.take(count, now).shape == (count, 2)
        now += count / rate
    assert buffer.seconds < SETTINGS.capacity


put, take, clear = st.tuples(st.just("put"), st.integers(0, 4_000)), st.integers(0, 1_000), st.just("clear")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(put | take | clear, st.floats(0, 0.3)), max_size=60), st.integers(0, 2**32 - 1))
def test_every_sample_is_accounted_for_in_any_order(steps, seed):
    buffer, random = ElasticBuffer(RATE, 2), np.random.default_rng(seed)
    now, came, given_out = 0.0, 0, 0
    for step, pause in steps:
        now += pause
        match step:
            case ("put", count):
                buffer.put(random.integers(-32768, 32767, (count, 2)).astype(np.int16) // random.integers(1, 999), now)
                came += count
            case "clear":
                buffer.clear()
            case count:
                assert buffer.take(count, now).shape == (count, 2)
                given_out += count
        held = round(buffer.seconds * RATE)
        assert held <= SETTINGS.capacity * RATE
        assert came + buffer.samples_inserted == given_out + buffer.samples_dropped + held


def test_a_writer_and_a_reader_in_two_threads_lose_nothing():
    buffer, pieces = ElasticBuffer(RATE, 1), 2_000

    def read() -> None:
        for number in range(pieces):
            buffer.take(TAKE, number * 0.01)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(pieces):
        buffer.put(tone(0.01), number * 0.01)
    reader.join(20)
    assert not reader.is_alive()
    held = round(buffer.seconds * RATE)
    assert pieces * TAKE + buffer.samples_inserted == pieces * TAKE + buffer.samples_dropped + held
