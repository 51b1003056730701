from smallrtc_cli.audio.portaudio import Device
from smallrtc_cli.commands.doctor import sound
from smallrtc_cli.commands.doctor.bounds import Tried
from smallrtc_cli.commands.doctor.sound import judge
from smallrtc_cli.errors import AudioUnavailable
from smallrtc_cli.report.stages import Mark

MICROPHONE = Device(0, "Mic", "ALSA", 1, 0, 48_000, True, False)
SPEAKER = Device(1, "Box", "ALSA", 0, 2, 48_000, False, True)


def test_the_default_devices_are_named():
    found = judge(Tried([MICROPHONE, SPEAKER], None, 0.1))
    assert (found.verdict, found.detail) == (Mark.OK, "microphone `Mic`, speaker `Box`, of 2 devices")


def test_what_is_missing_is_a_warning_as_calls_work_without():
    assert judge(Tried([], None, 0.1)).detail == "there is no sound device"
    assert judge(Tried([MICROPHONE], None, 0.1)).detail == "there is no output device"
    error = AudioUnavailable("the library PortAudio is not installed", hint="`apt install libportaudio2`")
    found = judge(Tried(None, error, 0.1))
    assert found.detail == "no sound devices: the library PortAudio is not installed"
    assert found.cure == "`apt install libportaudio2`"
    for stage in (found, judge(Tried([], None, 0.1)), judge(Tried(None, TimeoutError(), 2.0))):
        assert stage.verdict is Mark.WARN
        assert stage.cure
        assert not stage.detail.endswith(": ")


async def test_a_machine_without_portaudio_is_examined_all_the_same(monkeypatch):
    def missing(settings):
        raise AudioUnavailable("the library PortAudio is not installed")

    monkeypatch.setattr(sound, "devices", missing)
    told = []
    await sound.examine(told.append)
    assert [each.verdict for each in told] == [Mark.WARN]
