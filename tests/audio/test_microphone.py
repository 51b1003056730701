import asyncio
import contextlib
import sys

import numpy as np
import pytest
from calls import until
from fake_sounddevice import FakeSoundDevice, PortAudioError, device
from sound_cards import pitch

from smallrtc_cli.audio.devices import Direction, choose, devices
from smallrtc_cli.audio.ends import pump
from smallrtc_cli.audio.microphone import Microphone
from smallrtc_cli.audio.portaudio import Format
from smallrtc_cli.audio.signals import tone
from smallrtc_cli.config import Devices
from smallrtc_cli.errors import AudioUnavailable

SETTINGS = Devices(look=0.01, lost_after=30, settle=30, retry=0.02)


@pytest.fixture
def module(monkeypatch):
    fake = FakeSoundDevice(device("mic", 2, 0))
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def _microphone(settings=SETTINGS, **options):
    return Microphone(choose(devices(), None, Direction.INPUT), settings=settings, **options)


def _refuse_all_but(rate, channels):
    error = PortAudioError("Error opening RawInputStream: Invalid", -9997)
    return lambda kind, index, asked, count: None if (asked, count) == (rate, channels) else error


async def _read(microphone, samples):
    """So many samples of mono sound."""
    sound = bytearray()
    async with asyncio.timeout(10), contextlib.aclosing(aiter(microphone)) as pieces:
        async for piece in pieces:
            sound += piece
            if len(sound) >= 2 * samples:
                break
    return np.frombuffer(bytes(sound), "<i2")


async def test_what_it_hears_comes_out_as_it_is(module):
    async with _microphone() as microphone:
        stream = module.streams[0]
        assert (stream.rate, stream.channels, stream.started) == (48_000, 1, True)
        assert (microphone.name, microphone.live, microphone.latency) == ("mic", True, 0.02)
        sound = tone(440, 0.1)
        for start in range(0, len(sound), 480):
            stream.hear(sound[start : start + 480])
        assert (await _read(microphone, len(sound)) == sound[:, 0]).all()
        assert microphone.overruns == 0
        assert microphone.state == "open"
    assert stream.closed


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (44_100, 2), (48_000, 2), (48_000, 6), (16_000, 6)])
async def test_any_rate_and_number_of_channels_becomes_mono_at_48_khz(module, rate, channels):
    module.devices[0] |= {"default_samplerate": rate, "max_input_channels": channels}
    module.refuse = _refuse_all_but(rate, channels)
    async with _microphone(Devices(backlog=10)) as microphone:
        sound = np.zeros((rate, channels), np.int16)
        sound[:, :2] = tone(1000, 1, rate=rate)
        for start in range(0, rate, rate // 100):
            module.streams[0].hear(sound[start : start + rate // 100])
        heard = await _read(microphone, 47_000)
    assert pitch(heard) == pytest.approx(1000, rel=0.002)
    assert np.abs(heard[1000:]).max() == pytest.approx(np.abs(sound).max(), rel=0.05)


async def test_two_channels_are_given_where_they_are_asked_for(module):
    async with _microphone(channels=2) as microphone:
        samples = np.column_stack([np.arange(480), -np.arange(480)])
        module.streams[0].hear(samples)
        assert (await _read(microphone, 960)).reshape(-1, 2).tolist() == samples.tolist()


async def test_a_late_reader_gets_the_newest_200_ms_and_the_rest_is_counted(module):
    async with _microphone() as microphone:
        for number in range(25):
            module.streams[0].hear(np.full((480, 1), number))
        heard = await _read(microphone, 20 * 480)
        assert heard[::480].tolist() == list(range(5, 25))
        assert microphone.overruns == 5


async def test_what_the_device_has_dropped_is_counted(module):
    async with _microphone() as microphone:
        module.streams[0].hear(np.zeros((480, 1)), overflow=True)
        module.streams[0].hear(np.zeros((480, 1)))
        assert microphone.overruns == 1


async def test_a_reader_waits_for_the_next_piece_and_ends_with_the_microphone(module):
    async with _microphone() as microphone:
        pieces = []

        async def keep(piece):
            pieces.append(piece)

        reader = asyncio.create_task(pump(microphone, keep))
        for number in (1, 2):
            await asyncio.to_thread(module.streams[0].hear, np.zeros((480, 1)))
            await until(lambda wanted=number: len(pieces) == wanted)
    await asyncio.wait_for(reader, 10)
    assert len(pieces) == 2


async def test_a_microphone_that_is_gone_gives_nothing_and_goes_on_when_it_is_back(module):
    told = []
    async with _microphone(on_change=told.append) as microphone:
        first = module.streams[0]
        first.hear(np.full((480, 1), 1))
        assert set(await _read(microphone, 480)) == {1}
        first.end()
        await until(lambda: len(module.streams) == 2)
        module.streams[1].hear(np.full((480, 1), 3))
        await until(lambda: len(told) == 2)
        assert told == [
            "the microphone `mic` is gone; the call goes on without it",
            "the microphone `mic` is back",
        ]
        first.hear(np.full((480, 1), 2))  # an old stream that wakes up late
        assert set(await _read(microphone, 480)) == {3}
        assert microphone.state == "open"
    assert all(stream.closed for stream in module.streams)


async def test_a_device_that_comes_back_with_another_rate_is_converted_anew(module):
    async with _microphone(Devices(look=0.01, settle=30, retry=0.02, backlog=10)) as microphone:
        module.devices[0]["default_samplerate"] = 44_100
        module.refuse = _refuse_all_but(44_100, 1)
        module.streams[0].end()
        await until(lambda: len(module.streams) == 2)
        sound = tone(1000, 1, rate=44_100)
        for start in range(0, len(sound), 441):
            module.streams[1].hear(sound[start : start + 441])
        assert pitch(await _read(microphone, 47_000)) == pytest.approx(1000, rel=0.002)


def test_a_callback_after_the_end_of_the_loop_is_harmless(module):
    async def take_one():
        async with _microphone() as microphone:
            return microphone

    microphone = asyncio.run(take_one())
    module.streams[0].hear(np.zeros((480, 1)))
    microphone._put(bytes(960), Format(48_000, 1), overflowed=False)  # one that was just on its way


async def test_one_that_cannot_be_opened_says_why_and_what_to_do(module):
    module.refuse = lambda *_: PortAudioError("Error opening RawInputStream: Device unavailable", -9985)
    with pytest.raises(AudioUnavailable, match="the microphone `mic` does not open: it is in use, or gone") as raised:
        async with _microphone():
            pass
    assert "`smallrtc devices`" in raised.value.hint
    assert "--play-from FILE" in raised.value.hint
