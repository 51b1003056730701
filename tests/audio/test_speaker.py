import sys

import numpy as np
import pytest
from calls import until
from fake_sounddevice import FakeSoundDevice, PortAudioError, device
from sound_cards import pitch

from smallrtc_cli.audio.devices import Direction, choose, devices
from smallrtc_cli.audio.pcm import level_dbfs
from smallrtc_cli.audio.signals import tone
from smallrtc_cli.audio.speaker import Speaker, fitted
from smallrtc_cli.config import Devices

SETTINGS = Devices(look=0.01, lost_after=30, settle=30, retry=0.02)
PIECE = 480


@pytest.fixture
def module(monkeypatch):
    fake = FakeSoundDevice(device("out", 0, 2))
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def _speaker(settings=SETTINGS, **options):
    return Speaker(choose(devices(), None, Direction.OUTPUT), settings=settings, **options)


def _refuse_all_but(rate, channels):
    error = PortAudioError("Error opening RawOutputStream: Invalid", -9997)
    return lambda kind, index, asked, count: None if (asked, count) == (rate, channels) else error


async def _played(speaker, stream, seconds=1.0, sides=(1, 1)):
    """Write a tone as a call does, and take what the device takes meanwhile: shape (n, channels)."""
    sound, taken, piece = tone(1000, seconds, channels=2) * np.array(sides, np.int16), [], stream.rate // 100
    for start in range(0, len(sound), 2 * PIECE):
        await speaker.write(sound[start : start + 2 * PIECE].tobytes())
        taken += [stream.ask(piece), stream.ask(piece)]
    return np.concatenate(taken)


async def test_what_is_written_is_played_on_both_sides(module):
    async with _speaker() as speaker:
        stream = module.streams[0]
        assert (stream.rate, stream.channels, stream.started) == (48_000, 2, True)
        taken = await _played(speaker, stream, sides=(1, 0))
        assert level_dbfs(taken[-24_000:, 0]) == pytest.approx(-18, abs=0.5)
        assert not taken[:, 1].any()
        assert speaker.played == pytest.approx(len(taken) / 48_000) == 1
    assert stream.closed


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (48_000, 1), (44_100, 1), (48_000, 8), (16_000, 2)])
async def test_any_rate_and_number_of_channels_plays_at_the_right_pitch(module, rate, channels):
    module.devices[0] |= {"default_samplerate": rate, "max_output_channels": channels}
    module.refuse = _refuse_all_but(rate, channels)
    async with _speaker() as speaker:
        taken = await _played(speaker, module.streams[0], 2.0)
    assert taken.shape[1] == channels
    assert pitch(taken[-rate:, 0]) * rate / 48_000 == pytest.approx(1000, rel=0.01)


async def test_its_delay_is_what_is_held_and_what_the_device_holds(module):
    async with _speaker() as speaker:
        assert speaker.delay == pytest.approx(0.02)
        await speaker.write(bytes(4 * 960))
        assert speaker.delay == pytest.approx(0.02 + speaker.buffer.seconds)
        assert speaker.buffer.seconds > 0


async def test_muted_it_plays_silence_and_then_goes_on(module):
    async with _speaker() as speaker:
        speaker.muted = True
        assert not (await _played(speaker, module.streams[0])).any()
        speaker.muted = False
        assert (await _played(speaker, module.streams[0])).any()


async def test_cleared_it_forgets_what_was_not_played(module):
    async with _speaker() as speaker:
        await _played(speaker, module.streams[0])
        await speaker.write(tone(440, 0.1, channels=2).tobytes())
        speaker.clear()
        assert speaker.buffer.seconds == 0
        later = np.concatenate([module.streams[0].ask(PIECE) for _ in range(4)])
        assert not later[PIECE:].any()


async def test_a_device_that_runs_dry_and_sound_that_breaks_off_are_counted(module):
    async with _speaker() as speaker:
        stream = module.streams[0]
        stream.ask(PIECE, underflow=True)
        assert speaker.underruns == 1
        await _played(speaker, stream)
        for _ in range(20):
            stream.ask(PIECE)
        assert speaker.underruns == 2


async def test_a_device_that_never_asks_costs_no_memory(module):
    async with _speaker() as speaker:
        for _ in range(500):
            await speaker.write(bytes(4 * 960))
        assert speaker.buffer.seconds <= 0.5


async def test_a_speaker_that_is_gone_is_played_to_again_when_it_is_back(module):
    told = []
    async with _speaker(on_change=told.append) as speaker:
        old = module.streams[0]
        old.end()
        await until(lambda: len(module.streams) == 2)
        module.streams[1].ask(PIECE)
        await until(lambda: len(told) == 2)
        assert told == ["the speaker `out` is gone; the call goes on without it", "the speaker `out` is back"]
        taken = await _played(speaker, module.streams[1])
        assert pitch(taken[-24_000:, 0]) == pytest.approx(1000, rel=0.01)
        before = speaker.played
        assert not old.ask(PIECE).any()
        assert speaker.played == before


async def test_one_that_comes_back_with_another_rate_keeps_its_pitch_and_its_counters(module):
    async with _speaker() as speaker:
        stream = module.streams[0]
        await _played(speaker, stream)
        for _ in range(20):
            stream.ask(PIECE)
        assert speaker.underruns == 1
        module.devices[0]["default_samplerate"] = 44_100
        module.refuse = _refuse_all_but(44_100, 2)
        stream.end()
        await until(lambda: len(module.streams) == 2)
        taken = await _played(speaker, module.streams[1], 2.0)
        assert pitch(taken[-44_100:, 0]) * 44_100 / 48_000 == pytest.approx(1000, rel=0.01)
        assert speaker.underruns >= 1


def test_stereo_fits_a_device_of_any_number_of_channels():
    stereo = np.array([[100, 200], [32_767, 32_767], [-32_768, -32_768]], np.int16)
    assert fitted(stereo, 2) is stereo
    assert fitted(stereo, 1).tolist() == [150, 32_767, -32_768]
    assert fitted(stereo, 4).tolist() == [[*row, 0, 0] for row in stereo.tolist()]
