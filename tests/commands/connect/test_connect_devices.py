"""`smallrtc connect` with a microphone and a speaker: PulseAudio's virtual ones, through PortAudio and ALSA."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from calls import until
from connecting import RATE, call, sentence
from numpy.typing import NDArray
from served import running, served
from sound_cards import SoundCards, pitch, sound_cards

from smallrtc_cli.audio.files import write_wav
from smallrtc_cli.audio.signals import silence, tone
from smallrtc_cli.errors import ExitCode

HERTZ = 440.0
BURST = 0.4
EVERY = 2.0
"Seconds; a round trip is shorter, so that a burst and its echo are told apart."


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    with served(tmp_path_factory.mktemp("echo"), "echo") as server:
        yield server


@pytest.fixture
def cards(tmp_path) -> Iterator[SoundCards]:
    with sound_cards(tmp_path) as running:
        yield running


def samples(path: Path, channels: int) -> NDArray[np.int16]:
    """What has been heard so far, of the first channel."""
    size = 2 * channels
    return np.frombuffer(path.read_bytes()[: path.stat().st_size // size * size], "<i2").reshape(-1, channels)[:, 0]


def onsets(sound: NDArray[np.int16]) -> NDArray[np.int64]:
    """Where sound begins after half a second or more without any."""
    loud = np.flatnonzero(np.abs(sound) > 500)
    return loud[np.diff(loud, prepend=-RATE) > RATE // 2]


def heard_again(path: Path, hertz: float = HERTZ) -> bool:
    """Whether the newest half second is the tone."""
    newest = samples(path, 2)[-RATE // 2 :]
    return len(newest) == RATE // 2 and bool(newest.any()) and abs(pitch(newest) - hertz) < hertz / 50


async def test_sound_from_the_microphone_is_heard_at_the_speaker_after_the_round_trip(tmp_path, cards, echo):
    bursts = np.concatenate([tone(HERTZ, BURST), silence(EVERY - BURST)] * 15)
    devices = ("--input-device", "vmic", "--output-device", "vspk", "--no-aec")
    with running(tmp_path, "connect", await echo.url(), *devices, "--json-lines", **cards.environment) as process:
        await process.event("connected")
        with (
            cards.recording("micbus.monitor", 1) as said,
            cards.recording("spk.monitor") as heard,
            cards.playing(bursts),
        ):
            await until(lambda: len(onsets(samples(heard, 2))) >= 4, 40)
            mine, theirs = samples(said, 1), samples(heard, 2)
        assert (await process.stopped(signal.SIGTERM))[0] == 0
    ends = onsets(theirs) - len(theirs)
    starts = onsets(mine)[:-1] - len(mine)
    trips = [min((end - start for end in ends if end > start), default=RATE) / RATE for start in starts]
    assert 0 < np.median(trips) < 1, trips
    pitches = [pitch(theirs[start + RATE // 10 :][: RATE // 5]) for start in onsets(theirs)[:-1]]
    assert any(each == pytest.approx(HERTZ, rel=0.02) for each in pitches), "a machine that is busy breaks some"
    assert process.errors == "", "nothing of ALSA's or JACK's"


async def test_a_sink_that_is_removed_in_a_call_is_told_and_taken_back(tmp_path, cards, echo):
    """The only one: PulseAudio would move the sound to another."""
    cards.remove("micbus")
    write_wav(tmp_path / "tone.wav", tone(HERTZ, 1), RATE)
    sound = ("--play-from", "tone.wav", "--loop", "--output-device", "vspk")
    with running(tmp_path, "connect", await echo.url(), *sound, "--json-lines", **cards.environment) as process:
        with cards.recording() as heard:
            await until(lambda: heard_again(heard), 30)
        cards.remove("spk")
        await process.event("trouble", sentence="the speaker `vspk` is gone; the call goes on without it")
        cards.add("spk")
        await until(lambda: process.named("trouble", sentence="the speaker `vspk` is back"), 40)
        with cards.recording() as heard:
            await until(lambda: heard_again(heard), 30)
        assert (await process.stopped(signal.SIGTERM))[0] == 0
    assert process.errors == ""


async def test_without_a_sound_server_there_is_a_sentence_and_no_noise(tmp_path, cards, echo):
    cards.kill()
    process = await call(tmp_path, await echo.url(), **cards.environment)
    assert process.process.returncode == ExitCode.CANNOT_RUN
    assert "--play-from" in sentence(process)[1]
    assert re.fullmatch(r"error: .*\n\nhint: .*\n", process.errors), process.errors
