"""Recording a call: who is on which side, and what ends a recording and what does not."""

import asyncio
import contextlib
import os
import select
import wave
from types import SimpleNamespace

import numpy as np
import pytest
from calls import until

from smallrtc_cli.audio.pcm import to_av_frame
from smallrtc_cli.audio.signals import tone
from smallrtc_cli.bots import stereo_recording as module
from smallrtc_cli.bots.stereo_recording import LEFT, RIGHT, StereoRecording, recording
from smallrtc_cli.errors import CannotRun

RATE = 48_000


class FakeConnection:
    """Takes the taps; a test plays the call."""

    def listen_in(self, heard, said):
        self.heard, self.said = heard, said


class Out:
    """Keeps what is written; may be full."""

    def __init__(self):
        self.sound, self.error, self.closed = b"", None, 0

    def write(self, stereo):
        if self.error is not None:
            raise self.error
        self.sound += stereo

    def close(self):
        self.closed += 1

    def samples(self):
        return np.frombuffer(self.sound, "<i2").reshape(-1, 2)


def frame(level=-20.0, seconds=0.02):
    return to_av_frame(tone(1000.0, seconds, level=level).tobytes(), RATE, 1)


def loudness(samples):
    return [int(np.abs(samples[:, side]).max()) if len(samples) else 0 for side in (LEFT, RIGHT)]


async def test_each_side_has_its_channel():
    out = Out()
    sound = StereoRecording(out, pytest.fail)
    sound.add(LEFT, frame(-20.0))
    sound.add(RIGHT, frame(-40.0))
    await asyncio.sleep(0.05)
    sound.close()
    left, right = loudness(out.samples())
    assert left == pytest.approx(32_768 * 0.1 * 2**0.5, rel=0.05)
    assert right == pytest.approx(32_768 * 0.01 * 2**0.5, rel=0.05)


async def test_it_is_written_while_the_call_goes_on():
    out = Out()
    sound = StereoRecording(out, pytest.fail, behind=0.02)
    sound.add(LEFT, frame())
    await until(lambda: loudness(out.samples())[LEFT] > 1000)
    assert sound.is_open
    sound.close()
    assert out.closed == 1


async def test_a_failure_ends_it_and_is_told_once():
    out, failures = Out(), []
    sound = StereoRecording(out, failures.append, behind=0.01)
    out.error = OSError(28, "No space left on device")
    await until(lambda: failures)
    sound.add(LEFT, frame())
    sound.close()
    assert failures == [out.error]
    assert (sound.is_open, out.closed) == (False, 1)


async def test_a_file_has_me_on_the_left_and_the_bot_on_the_right(tmp_path):
    connection, path = FakeConnection(), tmp_path / "call.wav"
    async with recording(connection, str(path), pytest.fail):
        connection.said(frame(-20.0))
        connection.heard(frame(-40.0))
        await asyncio.sleep(0.05)
    with wave.open(str(path)) as file:
        left, right = loudness(np.frombuffer(file.readframes(RATE), "<i2").reshape(-1, 2))
    assert left > 8 * right > 0


async def test_a_call_that_breaks_leaves_a_file(tmp_path):
    connection, path = FakeConnection(), tmp_path / "call.wav"

    async def call():
        async with recording(connection, str(path), pytest.fail):
            connection.said(frame())
            await asyncio.sleep(0.05)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await call()
    with wave.open(str(path)) as file:
        assert file.getnframes() > 0.04 * RATE


async def test_a_place_that_is_none_is_said_before_the_call(tmp_path):
    with pytest.raises(CannotRun, match=r"`.*call.wav` cannot be written: no such file or directory") as caught:
        async with recording(FakeConnection(), str(tmp_path / "gone" / "call.wav"), pytest.fail):
            pass
    assert "--record-to" in caught.value.hint


@pytest.fixture
def stdout(monkeypatch):
    """The reading end of what stands for the standard output."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", buffering=0) as file:
        monkeypatch.setattr(module, "sys", SimpleNamespace(stdout=file))  # pytest puts its own in the place of sys's
        yield reading, file
    with contextlib.suppress(OSError):
        os.close(reading)


async def test_a_dash_is_raw_stereo_on_the_standard_output(stdout, monkeypatch):
    monkeypatch.setattr(module, "_BEHIND_IN_PIPE", 0.02)
    reading, writing = stdout
    connection = FakeConnection()
    async with recording(connection, "-", pytest.fail):
        connection.said(frame(-20.0))
        await until(lambda: select.select([reading], [], [], 0)[0])
        connection.heard(frame(-40.0))
        await asyncio.sleep(0.05)
    writing.close()
    rest = b"".join(iter(lambda: os.read(reading, 65_536), b""))
    samples = np.frombuffer(rest, "<i2").reshape(-1, 2)
    left, right = loudness(samples)
    assert left > 8 * right > 0
    assert len(samples) > 0.04 * RATE


async def test_a_reader_that_has_gone_ends_the_recording_with_one_line_and_not_the_call(stdout, monkeypatch):
    monkeypatch.setattr(module, "_BEHIND_IN_PIPE", 0.01)
    os.close(stdout[0])
    connection, troubles = FakeConnection(), []
    async with recording(connection, "-", troubles.append) as sound:
        await until(lambda: troubles)
        connection.said(frame())
        await asyncio.sleep(0.05)
        assert not sound.is_open
    assert troubles == ["the recording to `-` ends here: its reader has gone"]
