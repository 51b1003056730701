"""Made-up sound: goes on, fades, ends without a click."""

import gc
import sys

import numpy as np
import pytest
from played import largest_step
from received import PACKET, RATE, PieceDecoder, rms, tone, voice

from smallrtc_cli.audio.concealment import Concealment
from smallrtc_cli.config import Playout

SETTINGS = Playout()


def concealing(sound, *, conceals=False):
    """After three packets of a sound, which then is lost."""
    concealment = Concealment(PieceDecoder(sound, conceals=conceals), SETTINGS)
    for number in range(3):
        concealment.join(sound[number * PACKET : (number + 1) * PACKET])
    return concealment


def lose(concealment, sound, times):
    """One packet that comes after each that does not."""
    for number in range(times):
        concealment.conceal(PACKET)
        start = number % 40 * PACKET
        concealment.join(sound[start : start + PACKET])


@pytest.mark.parametrize("hertz", [100, 125, 200, 400])
def test_a_tone_goes_on_as_if_nothing_were_lost(hertz):
    sound = tone(1, hertz)
    made = concealing(sound).conceal(PACKET)
    assert np.abs(made.astype(int) - sound[3 * PACKET : 4 * PACKET]).max() < 0.1 * 8_000


def test_a_voice_goes_on_at_its_level_without_a_step():
    sound = voice(1)
    concealment = concealing(sound)
    made = np.concatenate([concealment.conceal(PACKET), concealment.conceal(PACKET)])
    assert rms(made) == pytest.approx(rms(sound[: 3 * PACKET]), rel=0.25)
    assert largest_step(np.concatenate((sound[: 3 * PACKET], made))) <= 1.2 * largest_step(sound)


@pytest.mark.parametrize("conceals", [True, False])
def test_it_is_silent_after_100_ms_and_says_so(conceals):
    concealment = concealing(voice(1), conceals=conceals)
    levels = []
    while concealment.audible:
        levels.append(rms(concealment.conceal(PACKET)))
    assert len(levels) == SETTINGS.silent / 0.02
    assert levels[1] > levels[2] > levels[3] > levels[4]
    assert levels[1] > 0.5 * levels[0] > 0
    assert not concealment.conceal(PACKET).any()


@pytest.mark.parametrize("lost", range(1, 8))
@pytest.mark.parametrize("sound", [tone(1), tone(1, 130), voice(1)], ids=["tone", "low tone", "voice"])
def test_what_comes_next_joins_without_a_click(sound, lost):
    concealment = concealing(sound)
    made = [concealment.conceal(PACKET) for _ in range(lost)]
    after = concealment.join(sound[(3 + lost) * PACKET : (4 + lost) * PACKET])
    heard = np.concatenate((sound[: 3 * PACKET], *made, after))
    assert largest_step(heard) <= 1.2 * largest_step(sound) + 8_000 / (SETTINGS.fade * RATE)
    assert np.array_equal(after[40:], sound[(3 + lost) * PACKET : (4 + lost) * PACKET][40:])


def test_after_the_decoders_own_concealment_only_the_seam_is_blended():
    sound = tone(1)
    concealment = concealing(sound, conceals=True)
    assert (concealment.conceal(PACKET) == 1_000).all()
    after = concealment.join(sound[:PACKET])
    fade = round(SETTINGS.fade * RATE)
    assert abs(int(after[0, 0]) - 1_000) < 100
    assert np.array_equal(after[fade:], sound[fade:PACKET])
    following = sound[PACKET : 2 * PACKET]
    assert concealment.join(following) is following


def test_a_pause_after_it_fades_it_out_and_what_follows_in():
    sound = tone(1)
    concealment = concealing(sound)
    made = concealment.end(concealment.conceal(PACKET))
    assert abs(int(made[-1, 0])) < 300
    assert rms(made[:100]) > 4_000
    after = concealment.join(np.full((PACKET, 1), 8_000, np.int16))
    assert abs(int(after[0, 0])) < 300
    assert (after[40:] == 8_000).all()


def test_a_run_that_was_ended_makes_up_no_more_until_something_is_received():
    concealment = concealing(tone(1))
    concealment.end(concealment.conceal(PACKET))
    assert not concealment.audible
    concealment.join(tone(1)[:PACKET])
    assert concealment.audible


def test_with_nothing_to_go_by_it_is_silent():
    concealment = Concealment(PieceDecoder(tone(1)), SETTINGS)
    assert not concealment.conceal(PACKET).any()
    concealment.join(tone(1)[:20])
    concealment.restart()
    assert not concealment.conceal(PACKET).any()


def test_runs_are_counted():
    concealment = concealing(tone(1))
    concealment.conceal(PACKET)
    concealment.conceal(PACKET)
    concealment.join(tone(1)[:PACKET])
    concealment.conceal(PACKET)
    assert concealment.events == 2


def test_a_period_goes_on_where_the_piece_before_has_left_it():
    at_once = concealing(voice(1)).conceal(2 * PACKET)
    piecemeal = concealing(voice(1))
    assert np.array_equal(np.concatenate([piecemeal.conceal(PACKET) for _ in range(2)]), at_once)


def test_a_call_that_loses_packets_for_long_keeps_no_more_memory():
    sound = voice(1)
    concealment = concealing(sound)
    lose(concealment, sound, 500)  # until the caches of Python and NumPy are warm
    gc.collect()  # empties Python's free lists: a test before may have filled them
    gc.disable()
    try:
        lose(concealment, sound, 100)
        before = sys.getallocatedblocks()
        lose(concealment, sound, 1_000)
        assert sys.getallocatedblocks() - before < 500
    finally:
        gc.enable()


def test_stereo_stays_aligned():
    both = np.concatenate((voice(1), -voice(1)), axis=1)
    concealment = concealing(both + np.array([[0, 1]], np.int16) * tone(1) // 9)
    assert concealment.conceal(PACKET).shape == (PACKET, 2)


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_noise_goes_on_without_a_step(rate):
    smooth = np.convolve(np.random.RandomState(2).normal(0, 9_000, rate), np.ones(rate // 1_000) / (rate // 1_000))
    sound = smooth[: rate // 4].astype(np.int16)[:, None]
    concealment = Concealment(PieceDecoder(sound, rate=rate), SETTINGS)
    concealment.join(sound)
    made = [concealment.conceal(rate // 50) for _ in range(3)]
    assert largest_step(np.concatenate((sound, *made))) <= 1.2 * largest_step(sound)
