import numpy as np
import pytest

from smallrtc_cli.audio.capture import Fault, measured
from smallrtc_cli.audio.signals import noise, silence, tone

RATE = 48_000


def _fault(samples):
    return measured(samples, RATE).fault


def _stereo(left, right):
    return np.column_stack([left[:, 0], right[:, 0]])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("level", [-6.0, -20.0, -59.0])
def test_sound_of_a_usual_level_is_fine(channels, level):
    found = measured(tone(440, 3, channels=channels, level=level), RATE)
    assert found.fault is None
    assert found.sentence("mic") is None
    assert found.level == pytest.approx(level, abs=0.5)
    assert found.peak == pytest.approx(level + 3, abs=0.5)
    assert found.seconds == 3
    assert len(found.sides) == channels


def test_nothing_but_digital_zero_is_silent():
    found = measured(silence(3, channels=2), RATE)
    assert found.fault is Fault.SILENT
    assert found.sentence("mic") == "the microphone `mic` is silent: muted, or the wrong one"


def test_one_sample_that_is_not_zero_is_no_muted_microphone():
    samples = silence(3)
    samples[1000] = 1
    assert _fault(samples) is Fault.QUIET


@pytest.mark.parametrize("level", [-61.0, -75.0])
def test_below_the_limit_it_is_too_quiet(level):
    found = measured(noise(3, level=level), RATE)
    assert found.fault is Fault.QUIET
    assert f"is too quiet: {level:.0f} dBFS" in found.sentence("mic")


def test_half_a_second_of_speech_is_enough_to_be_loud():
    samples = np.concatenate([noise(2, level=-80), noise(0.75, level=-30), noise(2, level=-80)])
    found = measured(samples, RATE)
    assert found.fault is None
    assert found.level == pytest.approx(-30, abs=0.2)


def test_a_thousandth_at_full_scale_is_clipping():
    samples = tone(440, 1, level=-20)
    samples[:47] = 32_767
    assert _fault(samples) is None
    samples[47:48] = -32_768
    found = measured(samples, RATE)
    assert found.fault is Fault.CLIPPING
    assert "clips: 0.1% of it" in found.sentence("mic")


def test_clipping_on_one_side_counts_in_full():
    loud = np.clip(tone(440, 1, level=-3).astype(int) * 2, -32_768, 32_767).astype(np.int16)
    assert _fault(_stereo(loud, tone(440, 1, level=-20))) is Fault.CLIPPING


@pytest.mark.parametrize(("leak", "fault"), [(None, Fault.ONE_SIDED), (-55, Fault.ONE_SIDED), (-45, None)])
def test_a_side_that_has_only_what_leaks_into_it_is_dead(leak, fault):
    dead = silence(1) if leak is None else tone(440, 1, level=leak)
    live = tone(440, 1, level=-20)
    for samples, side in ((_stereo(live, dead), "left"), (_stereo(dead, live), "right")):
        found = measured(samples, RATE)
        assert found.fault is fault
        if fault:
            assert f"only the {side} side of `mic` has sound" in found.sentence("mic")


def test_a_mono_microphone_has_no_sides():
    assert _fault(tone(440, 1, channels=1)) is None


@pytest.mark.parametrize("channels", [1, 2])
def test_a_microphone_that_gives_nothing_at_all_does_not_run(channels):
    found = measured(np.zeros((0, channels), np.int16), RATE)
    assert found.fault is Fault.NOTHING
    assert "nothing comes from `mic`" in found.sentence("mic")


def test_a_piece_shorter_than_half_a_second_is_judged_as_it_is():
    assert measured(tone(440, 0.1, level=-20), RATE).level == pytest.approx(-20, abs=0.2)
    assert measured(tone(440, 0.0001, level=-20), RATE).fault is None
