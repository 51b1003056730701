import asyncio
import sys
import threading

import numpy as np
import pytest
from calls import until
from fake_sounddevice import FakeSoundDevice, PortAudioError, device

from smallrtc_cli.audio import portaudio
from smallrtc_cli.audio.devices import Direction, choose, devices
from smallrtc_cli.audio.microphone import Microphone
from smallrtc_cli.audio.speaker import Speaker
from smallrtc_cli.config import Devices
from smallrtc_cli.errors import AudioUnavailable

SETTINGS = Devices(look=0.01, lost_after=30, settle=30, retry=0.02)
GONE = "the microphone `mic` is gone; the call goes on without it"
BACK = "the microphone `mic` is back"


@pytest.fixture
def module(monkeypatch):
    fake = FakeSoundDevice(device("out", 0, 2), device("mic", 1, 0))
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    yield fake
    fake.may_close.set()
    assert not list(fake.open_streams())


def _microphone(told=None, settings=SETTINGS):
    on_change = None if told is None else told.append
    return Microphone(choose(devices(), "mic", Direction.INPUT), on_change=on_change, settings=settings)


async def _reopened(module, count=2):
    """The last of so many streams, when it has had its first callback."""
    await until(lambda: len(module.streams) == count)
    module.streams[-1].hear(np.zeros((480, 1)))
    return module.streams[-1]


async def test_a_device_without_callbacks_is_gone(module):
    told = []
    settings = Devices(look=0.01, lost_after=0.2, settle=0.2, retry=30)
    async with _microphone(told, settings) as microphone:
        await until(lambda: told, 20)
        assert (told, microphone.state) == ([GONE], "lost")
        assert module.streams[0].closed


async def test_a_device_that_is_not_there_is_looked_for_until_it_is(module):
    told = []
    async with _microphone(told) as microphone:
        mic = module.devices.pop()
        module.streams[0].end()
        await until(lambda: module.lists_read >= 3)
        assert (told, microphone.state) == ([GONE], "lost")
        module.devices.insert(0, mic)
        await _reopened(module)
        await until(lambda: len(told) == 2)
        assert (told, microphone.state) == ([GONE, BACK], "open")
        assert [stream.device for stream in module.streams] == [1, 0]


async def test_a_device_that_is_there_and_does_not_open_is_tried_again(module):
    told = []
    async with _microphone(told):
        module.refuse = lambda *_: PortAudioError("Error opening RawInputStream: Device unavailable", -9985)
        module.streams[0].end()
        await until(lambda: len(module.attempts) >= 4)
        assert told == [GONE]
        module.refuse = lambda *_: None
        await _reopened(module)
        await until(lambda: told == [GONE, BACK])


async def test_while_the_speaker_plays_the_list_stays_and_the_microphone_is_opened_from_it(module):
    told = []
    async with Speaker(choose(devices(), None, Direction.OUTPUT), settings=SETTINGS) as speaker, _microphone(told):
        lists = module.lists_read
        module.streams[1].end()
        await _reopened(module, 3)
        await until(lambda: told == [GONE, BACK])
        assert module.lists_read == lists
        assert speaker.state == "open"


async def test_a_device_that_does_not_start_is_closed_again(module):
    module.start_error = PortAudioError("Error starting stream: Wait timed out")
    with pytest.raises(AudioUnavailable, match="the microphone `mic` does not open: wait timed out"):
        async with _microphone():
            pass
    assert module.streams[0].closed


def _calls(watched, name):
    """The calls of a method from now on."""
    method, calls = getattr(watched, name), []

    def called(*arguments):
        calls.append(arguments)
        method(*arguments)

    setattr(watched, name, called)
    return calls


IMPATIENT = Devices(look=0.01, lost_after=30, settle=30, retry=0.02, close_timeout=0.05)


async def test_while_closing_blocks_the_device_is_not_tried_and_after_it_is_taken_back(module):
    told = []
    async with _microphone(told, IMPATIENT) as microphone:
        module.may_close.clear()
        module.streams[0].end()
        await until(portaudio.is_busy)
        postponed = _calls(microphone._watch, "failed")
        await until(lambda: len(postponed) >= 3)
        assert (told, microphone.state, len(module.attempts)) == ([GONE], "lost", 1)
        module.may_close.set()
        await _reopened(module)
        await until(lambda: told == [GONE, BACK])


@pytest.mark.parametrize("settings", [IMPATIENT, SETTINGS])
async def test_closing_that_blocks_does_not_hold_up_the_end(module, settings):
    told = []
    async with _microphone(told, settings):
        module.may_close.clear()
        module.streams[0].end()
        await until(lambda: told == [GONE])
    assert portaudio.is_busy()
    module.may_close.set()
    await until(lambda: not list(module.open_streams()))


async def test_a_device_that_opens_and_gives_nothing_is_closed_and_tried_again_in_silence(module):
    told = []
    settings = Devices(look=0.01, lost_after=0.2, settle=0.2, retry=0.02)
    async with _microphone(told, settings):
        await until(lambda: len(module.streams) >= 3, 20)
        assert told == [GONE]
        assert module.streams[1].closed


async def test_a_fault_in_what_is_told_is_not_swallowed(module):
    def fail(sentence):
        raise ZeroDivisionError

    microphone = Microphone(choose(devices(), "mic", Direction.INPUT), on_change=fail, settings=SETTINGS)
    await microphone.__aenter__()
    module.streams[0].end()
    await until(microphone._task.done)
    with pytest.raises(ZeroDivisionError):
        await microphone.__aexit__(None, None, None)


async def test_opening_that_blocks_is_given_up_and_closed_when_it_comes_back(module):
    may_open = threading.Event()
    module.refuse = lambda *_: may_open.wait(20) and None
    microphone = _microphone(settings=Devices(answer_timeout=0.05))
    with pytest.raises(AudioUnavailable, match="the microphone `mic` does not open: the sound system does not answer"):
        async with microphone:
            pass
    assert portaudio.is_busy()
    may_open.set()
    await until(lambda: module.streams and module.streams[0].closed)


async def test_hanging_up_while_a_device_is_being_taken_back_closes_it(module):
    may_open = threading.Event()
    async with _microphone():
        module.refuse = lambda *_: may_open.wait(20) and None
        module.streams[0].end()
        await until(lambda: len(module.attempts) == 2)
    assert portaudio.is_busy()
    may_open.set()
    await until(lambda: len(module.streams) == 2 and module.streams[1].closed)


async def test_at_its_end_nothing_of_it_is_left(module):
    before = asyncio.all_tasks()
    async with _microphone():
        pass
    assert asyncio.all_tasks() == before
    assert not portaudio._OPEN
