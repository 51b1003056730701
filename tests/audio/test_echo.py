"""The echo canceller with real sound: what leaks from the speaker goes, what is spoken stays."""

import builtins
import subprocess
import sys

import numpy as np
import pytest

from smallrtc_cli.audio.echo import EchoCanceller
from smallrtc_cli.audio.pcm import level_dbfs

RATE = 48_000
FRAME = 480
LEAK = -12.0
"dB from the speaker to the microphone."


def voice(seconds, seed, level):
    """Noise with the spectrum and the syllables of speech; int16, mono."""
    random, count = np.random.RandomState(seed), round(seconds * RATE)
    pitch = np.fft.rfftfreq(count, 1 / RATE)
    shape = (pitch > 120) * (pitch < 8_000) / np.maximum(1, pitch / 500)
    sound = np.fft.irfft(np.fft.rfft(random.standard_normal(count)) * shape, count)
    syllables = random.uniform(0.1, 1, round(seconds / 0.12) + 2) ** 2
    sound *= np.interp(np.arange(count) / RATE, np.arange(len(syllables)) * 0.12, syllables)
    sound *= 32768 * 10 ** (level / 20) / np.sqrt(np.mean(sound**2))
    return np.clip(np.round(sound), -32768, 32767).astype("<i2")


def leaked(far, delay):
    """What the microphone hears of the speaker."""
    samples = round(delay * RATE)
    late = np.concatenate([np.zeros(samples), far[: len(far) - samples]])
    return np.round(late * 10 ** (LEAK / 20)).astype("<i2")


def cleaned(far, microphone, *, delay_ms=None, feeds=True):
    """The microphone behind a canceller that hears the speaker, 10 ms at a time."""
    canceller, out = EchoCanceller(), b""
    stereo = np.repeat(far, 2)
    for at in range(0, len(far), FRAME):
        if feeds:
            canceller.heard(stereo[2 * at : 2 * (at + FRAME)].tobytes())
        if delay_ms is not None:
            canceller.set_delay(delay_ms)
        out += canceller.clean(microphone[at : at + FRAME].tobytes())
    return np.frombuffer(out, "<i2")


def level(sound, begin, end):
    return max(-100.0, level_dbfs(sound[round(begin * RATE) : round(end * RATE)]))


@pytest.mark.parametrize("delay_ms", [None, 60.0], ids=["delay unknown", "delay told"])
def test_what_leaks_from_the_speaker_is_gone_after_three_seconds(delay_ms):
    far = voice(5.0, 1, -20.0)
    microphone = leaked(far, 0.06)
    out = cleaned(far, microphone, delay_ms=delay_ms)
    assert level(out, 3, 5) <= level(microphone, 3, 5) - 15
    untouched = cleaned(far, microphone, feeds=False)
    assert level(untouched, 3, 5) > level(microphone, 3, 5) - 10


def test_what_is_spoken_meanwhile_stays():
    far, near = voice(6.0, 1, -20.0), voice(6.0, 7, -24.0)
    near[: 3 * RATE] = 0
    leak = leaked(far, 0.06)
    out = cleaned(far, leak + near)
    assert level(out, 2, 3) <= level(leak, 2, 3) - 15
    assert level(out, 3, 6) >= level(near, 3, 6) - 8


def test_a_delay_that_changes_is_found_again():
    far = voice(8.0, 1, -20.0)
    before, after = leaked(far, 0.06), leaked(far, 0.1)
    microphone = np.concatenate([before[: 4 * RATE], after[4 * RATE :]])
    out = cleaned(far, microphone)
    assert level(out, 6, 8) <= level(microphone, 6, 8) - 15


def test_pieces_of_any_length_come_out_as_one_sound():
    microphone = voice(1.0, 2, -20.0)
    whole = cleaned(microphone, microphone, feeds=False)
    canceller, out, at = EchoCanceller(), b"", 0
    for size in [700, 20, 960, 1, 479, 2880] * 10:
        canceller.heard(b"")
        out += canceller.clean(microphone[at : at + size].tobytes())
        at += size
    assert at > RATE
    assert out == whole.tobytes()


def test_silence_stays_silent():
    nothing = np.zeros(RATE, "<i2")
    assert np.abs(cleaned(nothing, nothing)).max() <= 2


@pytest.mark.parametrize("delay_ms", [-20.0, 0.0, 499.6, 5_000.0])
def test_any_delay_may_be_told(delay_ms):
    EchoCanceller().set_delay(delay_ms)


def test_it_says_whether_it_is_there(monkeypatch):
    assert EchoCanceller.available()
    real = builtins.__import__

    def without_livekit(name, *args):
        if name.split(".")[0] == "livekit":
            raise ModuleNotFoundError("No module named 'livekit'")
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_livekit)
    assert not EchoCanceller.available()


def test_the_module_itself_needs_no_livekit():
    script = "import sys, smallrtc_cli.audio.echo; sys.exit('livekit' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
