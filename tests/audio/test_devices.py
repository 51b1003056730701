import os
import sys
import threading

import pytest
from fake_sounddevice import FakeSoundDevice, PortAudioError, device

from smallrtc_cli.audio import portaudio
from smallrtc_cli.audio.devices import Device, Direction, choose, devices, same
from smallrtc_cli.config import Devices
from smallrtc_cli.errors import AudioUnavailable, ExitCode, NoSuchDevice

IN, OUT = Direction.INPUT, Direction.OUTPUT


def _device(index, name, inputs=2, outputs=2, api="ALSA", default_in=False, default_out=False):
    return Device(index, name, api, inputs, outputs, 48_000, default_in, default_out)


FOUND = [
    _device(0, "HDA Intel PCH: ALC257 Analog (hw:0,0)"),
    _device(1, "HDMI 0", inputs=0),
    _device(2, "USB Microphone", outputs=0),
    _device(3, "USB Microphone Pro", outputs=0),
    _device(10, "default", default_in=True, default_out=True),
    _device(11, "HDMI 10", inputs=0),
]


@pytest.mark.parametrize(
    ("wanted", "direction", "index"),
    [
        (None, IN, 10),
        (None, OUT, 10),
        ("0", IN, 0),
        ("10", IN, 10),
        ("10", OUT, 10),
        ("11", OUT, 11),
        ("analog", IN, 0),
        (" HW:0,0 ", OUT, 0),
        ("usb microphone", IN, 2),
        ("Pro", IN, 3),
        ("hdmi 0", OUT, 1),
    ],
)
def test_a_device_is_chosen_by_index_or_by_a_part_of_its_name(wanted, direction, index):
    assert choose(FOUND, wanted, direction).index == index


@pytest.mark.parametrize(
    ("wanted", "direction", "sentence"),
    [
        ("sub", IN, "no input device matches `sub`"),
        ("99", OUT, "no output device matches `99`"),
        ("", OUT, "no output device matches ``"),
        ("hdmi", IN, "no input device matches `hdmi`"),
        ("usb", OUT, "no output device matches `usb`"),
        ("hdmi", OUT, "`hdmi` matches several output devices: 1 `HDMI 0` (ALSA), 11 `HDMI 10` (ALSA)"),
        ("usb", IN, "`usb` matches several input devices: 2 `USB Microphone` (ALSA), 3 `USB Microphone Pro` (ALSA)"),
    ],
)
def test_none_or_several_is_an_error_that_says_so(wanted, direction, sentence):
    with pytest.raises(NoSuchDevice) as raised:
        choose(FOUND, wanted, direction)
    assert str(raised.value) == sentence
    assert "`smallrtc devices`" in raised.value.hint


def test_the_index_of_a_device_without_that_direction_may_be_a_part_of_another_name():
    assert choose(FOUND, "1", OUT).index == 1
    assert choose([_device(1, "HDMI 0", inputs=0), _device(2, "Line 1")], "1", IN).index == 2


def test_without_a_default_the_first_that_can_is_taken():
    assert choose(FOUND[1:4], None, IN).index == 2


def test_of_several_systems_with_one_name_the_default_devices_is_taken():
    twice = [
        _device(0, "Headset", api="MME"),
        _device(1, "Headset", api="Windows WASAPI", default_in=True),
        _device(2, "Headset", api="Windows DirectSound"),
    ]
    assert choose(twice, "head", IN).index == 1


def test_of_several_systems_without_the_default_ones_the_user_has_to_say_which():
    twice = [_device(0, "Headset", api="MME"), _device(1, "Headset", api="WASAPI"), _device(2, "x", default_in=True)]
    with pytest.raises(NoSuchDevice, match=r"0 `Headset` \(MME\), 1 `Headset` \(WASAPI\)"):
        choose(twice, "Headset", IN)


@pytest.mark.parametrize("wanted", [None, "0", "HDMI"])
def test_where_no_device_has_the_direction_files_are_the_cure(wanted):
    with pytest.raises(NoSuchDevice, match="there is no input device") as raised:
        choose([FOUND[1]], wanted, IN)
    assert "--play-from FILE" in raised.value.hint


def test_a_device_that_is_back_is_known_by_its_name_and_system_at_any_index():
    lost = _device(7, "USB Microphone", api="ALSA")
    assert same(FOUND, lost, IN).index == 2
    for other in (_device(7, "USB Microphone", api="JACK"), _device(7, "USB")):
        with pytest.raises(NoSuchDevice):
            same(FOUND, other, IN)
    with pytest.raises(NoSuchDevice):
        same(FOUND, lost, OUT)


@pytest.fixture
def module(monkeypatch):
    fake = FakeSoundDevice(
        device("hw", 2, 2, 44_100.0), device("mic", 1, 0, api=1), device("out", 0, 8), apis=("ALSA", "JACK")
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def test_what_portaudio_lists_is_told_with_defaults(module):
    module.devices.insert(0, device("out", 0, 2))
    assert devices() == [
        Device(0, "out", "ALSA", 0, 2, 48_000, False, True),
        Device(1, "hw", "ALSA", 2, 2, 44_100, True, False),
        Device(2, "mic", "JACK", 1, 0, 48_000, False, False),
        Device(3, "out", "ALSA", 0, 8, 48_000, False, False),
    ]


def test_the_list_is_read_anew_each_time(module):
    assert len(devices()) == 3
    del module.devices[0]
    assert [each.name for each in devices()] == ["mic", "out"]


def test_a_machine_without_a_device_has_an_empty_list(module):
    module.devices.clear()
    assert devices() == []


def test_a_list_that_portaudio_refuses_is_an_error_of_ours(module, monkeypatch):
    def refuse(kind=None):
        raise PortAudioError("Error querying host API: Internal PortAudio error")

    monkeypatch.setattr(module, "query_devices", refuse)
    with pytest.raises(AudioUnavailable, match="cannot be listed: internal portaudio error"):
        devices()


def test_a_portaudio_that_does_not_start_again_is_tried_again_the_next_time(module):
    module.start_code = -9999
    with pytest.raises(AudioUnavailable, match="cannot be listed: unanticipated host error"):
        devices()
    module.start_code = 0
    assert len(devices()) == 3


def test_a_sound_system_that_does_not_answer_is_given_up_and_stderr_is_there_to_say_so(module, monkeypatch, capfd):
    asked, answered = threading.Event(), threading.Event()
    in_thread = portaudio.in_thread

    def begun(call):
        """By the time that is waited for, the call has got to where it blocks."""
        future = in_thread(call)
        assert asked.wait(20)
        return future

    def block():
        """With stderr at nothing, as the import of sounddevice has it."""
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)
        os.close(nothing)
        asked.set()
        answered.wait(20)
        return []

    monkeypatch.setattr(module, "query_hostapis", block)
    monkeypatch.setattr(portaudio, "in_thread", begun)
    try:
        with pytest.raises(AudioUnavailable, match="the sound system does not answer") as raised:
            devices(Devices(answer_timeout=0.05))
        os.write(2, b"here")
    finally:
        answered.set()
    assert capfd.readouterr().err == "here"
    assert "--record-to FILE" in raised.value.hint
    with portaudio.LOCK:
        pass  # what was given up has come to its end


class _Refusing:
    """In place of an importer: the import of sounddevice fails."""

    def __init__(self, error):
        self._error = error

    def find_spec(self, name, path=None, target=None):
        if name == "sounddevice":
            raise self._error


@pytest.mark.parametrize(
    ("error", "sentence", "hint"),
    [
        (OSError("PortAudio library not found"), "the library PortAudio is not installed", "apt install libportaudio2"),
        (
            PortAudioError("Error initializing PortAudio: Unanticipated host error"),
            "PortAudio does not start: unanticipated host error",
            "work without devices",
        ),
    ],
)
def test_a_portaudio_that_is_missing_or_broken_is_said_with_what_works_all_the_same(monkeypatch, error, sentence, hint):
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_Refusing(error), *sys.meta_path])
    with pytest.raises(AudioUnavailable) as raised:
        devices()
    assert str(raised.value) == sentence
    assert raised.value.exit_code == ExitCode.CANNOT_RUN
    assert hint in raised.value.hint
    assert "--play-from FILE" in raised.value.hint
