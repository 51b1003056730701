"""What a player in real time holds beyond its need is drained, and nothing else is touched."""

import numpy as np
import pytest
from played import largest_step
from received import PACKET, RATE, rms, tone, voice

from smallrtc_cli.audio.reserve import Reserve
from smallrtc_cli.config import Playout

SETTINGS = Playout()


def play(sound, held, *, settings=SETTINGS, ppm=0.0, jitter=None):
    """20 ms every 20 ms, to a player who holds so much at the beginning; what it holds each time, and the sound."""
    reserve, out, holds, now = Reserve(RATE, settings), [], [], 0.0
    late = jitter or (lambda number: 0.0)
    end, begin = held, 0.0
    for number, piece in enumerate(np.split(sound, range(PACKET, len(sound), PACKET))):
        now = number * 0.02 / (1 + ppm * 1e-6) + late(number)
        begin = max(0.0, end - now)
        fitted = reserve.fit(piece, begin, now)
        end = max(end, now) + len(fitted) / RATE
        holds.append(begin)
        out.append(fitted)
    return reserve, np.array(holds), np.concatenate(out)


def test_a_player_that_holds_little_gets_every_sample():
    sound = voice(6)
    reserve, _, out = play(sound, 0.015)
    assert np.array_equal(out, sound)
    assert reserve.removed == reserve.inserted == 0


@pytest.mark.parametrize("held", [0.02, 0.04, 0.06, 0.15])
@pytest.mark.parametrize("sound", [voice(10), tone(10), tone(10, 997)], ids=["voice", "tone", "high tone"])
def test_a_delay_that_lasts_is_drained_and_not_heard(sound, held):
    reserve, holds, out = play(sound, held)
    assert holds[:50].min() >= held - 1e-9
    assert holds[-1] < 0.005
    assert reserve.removed == len(sound) - len(out) == pytest.approx((held - holds[-1]) * RATE)
    assert largest_step(out) <= 1.1 * largest_step(sound)
    assert rms(out) == pytest.approx(rms(sound), rel=0.02)


def test_small_delays_are_drained_by_no_more_than_a_tenth():
    _, holds, _ = play(voice(10), 0.08)
    assert np.diff(holds[::5]).min() >= -0.0151


def test_noise_is_drained_too():
    noise = np.random.RandomState(1).normal(0, 3_000, (RATE * 10, 1)).astype(np.int16)
    assert play(noise, 0.06)[1][-1] < 0.005


def test_silence_is_drained_at_once():
    _, holds, _ = play(np.zeros((RATE * 3, 1), np.int16), 0.08)
    assert holds[57] < 0.005


def test_far_too_much_is_drained_at_any_price_and_without_a_wait():
    _, holds, _ = play(voice(5), 1.0)
    assert holds[60] <= SETTINGS.longest_wait
    assert holds[-1] < 0.005


def test_what_jitter_needs_is_left():
    random = np.random.RandomState(4)
    sound = voice(20)
    reserve, _, _ = play(sound, 0.0, jitter=lambda _: random.uniform(0, 0.06))
    assert reserve.removed < 0.01 * len(sound)


@pytest.mark.parametrize("ppm", [500, -500])
def test_a_clock_that_is_off_adds_no_delay(ppm):
    _, holds, _ = play(np.tile(voice(10), (12, 1)), 0.0, ppm=ppm)
    assert holds.max() < SETTINGS.excess + 0.001


def test_a_reserve_is_made_by_stretching_and_kept():
    settings = Playout(reserve=0.01)
    reserve, holds, out = play(np.tile(voice(10), (6, 1)), 0.0, ppm=-500, settings=settings)
    assert reserve.inserted > 0.01 * RATE
    assert holds[100:].min() > 0.009
    assert holds.max() < 0.03
    assert largest_step(out) <= 1.1 * largest_step(voice(10))


def test_without_a_reserve_nothing_is_stretched():
    assert play(voice(5), 0.0, ppm=-500)[0].inserted == 0
