import sys
import threading
import time

import numpy as np
import pytest
from fake_sounddevice import FakeSoundDevice, PortAudioError, device

from smallrtc_cli.audio import portaudio
from smallrtc_cli.audio.portaudio import Format
from smallrtc_cli.errors import AudioUnavailable

FORMATS = [Format(48_000, 1), Format(48_000, 2), Format(44_100, 1)]


@pytest.fixture
def module(monkeypatch):
    fake = FakeSoundDevice(device("card", 2, 2))
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def _nothing(*_):
    pass


def _refusing(*formats, code=-9997):
    error = PortAudioError("Error opening RawInputStream: Invalid sample rate", code)
    return lambda kind, index, rate, channels: error if Format(rate, channels) in formats else None


def test_the_first_format_is_asked_for_in_pieces_of_ten_milliseconds(module):
    stream = portaudio.open_input(0, FORMATS, 0.01, _nothing, _nothing)
    options = module.streams[0].options
    assert (options["samplerate"], options["channels"], options["blocksize"]) == (48_000, 1, 480)
    assert (options["device"], options["dtype"], options["latency"]) == (0, "int16", "low")
    assert (stream.format, stream.latency) == (FORMATS[0], 0.02)
    stream.close()


def test_formats_that_are_refused_are_passed_over(module):
    module.refuse = _refusing(*FORMATS[:2])
    stream = portaudio.open_input(0, FORMATS, 0.01, _nothing, _nothing)
    assert stream.format == FORMATS[2]
    assert module.attempts == [(0, 48_000, 1), (0, 48_000, 2), (0, 44_100, 1)]
    assert module.streams[0].options["blocksize"] == 441
    stream.close()


def test_when_all_are_refused_portaudios_reason_is_told(module):
    module.refuse = _refusing(*FORMATS)
    with pytest.raises(AudioUnavailable, match=r"^invalid sample rate$"):
        portaudio.open_output(0, FORMATS, 0.01, _nothing, _nothing)


def test_a_device_that_is_not_there_is_asked_once(module):
    module.refuse = _refusing(*FORMATS, code=-9993)
    with pytest.raises(AudioUnavailable, match="its sound server cannot be reached"):
        portaudio.open_input(0, FORMATS, 0.01, _nothing, _nothing)
    assert len(module.attempts) == 1


def test_sounddevices_own_refusal_is_an_error_of_ours(module):
    module.refuse = lambda *_: ValueError("Not an input device: 'card'")
    with pytest.raises(AudioUnavailable, match="'card'"):
        portaudio.open_input(0, FORMATS, 0.01, _nothing, _nothing)


def test_what_is_heard_comes_with_its_format_and_whether_some_is_missing(module):
    heard = []
    stream = portaudio.open_input(0, FORMATS[1:], 0.01, lambda *piece: heard.append(piece), _nothing)
    samples = np.arange(8).reshape(4, 2)
    module.streams[0].hear(samples)
    module.streams[0].hear(samples, overflow=True)
    expected = samples.astype("<i2").tobytes()
    assert heard == [(expected, FORMATS[1], False), (expected, FORMATS[1], True)]
    stream.close()


def test_what_is_wanted_is_played(module):
    asked = []

    def wanted(count, shape, ran_dry):
        asked.append((count, shape, ran_dry))
        return np.full((count, shape.channels), 7, "<i2").tobytes()

    stream = portaudio.open_output(0, FORMATS[1:], 0.01, wanted, _nothing)
    assert module.streams[0].ask(480, underflow=True).tolist() == [[7, 7]] * 480
    assert asked == [(480, FORMATS[1], True)]
    stream.close()


def test_a_stream_that_does_not_start_says_why(module):
    stream = portaudio.open_input(0, FORMATS, 0.01, _nothing, _nothing)
    module.start_error = PortAudioError("Error starting stream: Wait timed out")
    with pytest.raises(AudioUnavailable, match=r"^wait timed out$"):
        stream.start()
    stream.close()


def test_the_list_is_not_read_anew_while_a_stream_is_open(module):
    stream = portaudio.open_input(0, FORMATS, 0.01, _nothing, _nothing)
    module.devices.append(device("another", 1))
    assert len(portaudio.listed()) == 1
    stream.close()
    assert len(portaudio.listed()) == 2
    assert module.lists_read == 1


def test_a_call_on_its_own_thread_gives_its_result_or_its_error():
    assert portaudio.in_thread(lambda: 42).result(20) == 42
    with pytest.raises(ZeroDivisionError):
        portaudio.in_thread(lambda: 1 // 0).result(20)


def test_a_call_that_has_not_come_back_is_known():
    come_back = threading.Event()
    assert not portaudio.is_busy()
    future = portaudio.in_thread(lambda: come_back.wait(20))
    assert portaudio.is_busy()
    come_back.set()
    assert future.result(20)
    deadline = time.monotonic() + 20
    while portaudio.is_busy():  # it is told a moment after the result
        assert time.monotonic() < deadline
