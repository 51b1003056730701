"""`smallrtc devices` as its users run it, on real sound cards (PulseAudio's) and without any."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_sounddevice import FakeSoundDevice, device
from sound_cards import SoundCards, sound_cards

from smallrtc_cli import cli
from smallrtc_cli.audio.capture import Capture, measured
from smallrtc_cli.audio.signals import silence, tone
from smallrtc_cli.commands import devices as command
from smallrtc_cli.commands.devices import DevicesOptions, Played, judged
from smallrtc_cli.errors import ExitCode
from smallrtc_cli.report.checks import Verdict

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cards(tmp_path_factory) -> Iterator[SoundCards]:
    with sound_cards(tmp_path_factory.mktemp("cards")) as running:
        yield running


def smallrtc(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB")}
    return subprocess.run(
        [sys.executable, "-m", "smallrtc_cli", "devices", *arguments],
        env=inherited | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_devices_are_listed_with_what_they_can(cards):
    done = smallrtc(**cards.environment)
    head, *rows = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert head.split() == ["#", "name", "host", "API", "in", "out", "rate"]
    cells = {row.split()[1]: row.split() for row in rows}
    assert {"vspk", "vmic", "default"} <= set(cells)
    assert cells["vmic"][2:] == ["ALSA", "32", "32", "44.1", "kHz"]
    assert " ".join(cells["default"]).endswith("kHz default input and output")


def test_the_list_for_scripts_has_the_promised_shape(cards):
    done = smallrtc("--json", **cards.environment)
    document = json.loads(done.stdout)
    assert (done.returncode, document["version"], document["command"]) == (0, 1, "devices")
    keys = {"index", "name", "host_api", "input_channels", "output_channels", "default_rate"}
    for number, each in enumerate(document["devices"]):
        assert set(each) == keys | {"is_default_input", "is_default_output"}
        assert each["index"] == number
    assert [each["name"] for each in document["devices"] if each["is_default_input"]] == ["default"]


def test_a_microphone_that_hears_passes(cards):
    with cards.playing(tone(440, 60)):
        done = smallrtc("--test", "--seconds", "1", "--json", **cards.environment)
    document = json.loads(done.stdout)
    assert (done.returncode, document["verdict"]) == (0, "passed"), done.stdout
    assert document["measurements"]["input"]["level"] == pytest.approx(-18, abs=2)
    assert document["measurements"]["output"]["seconds"] > 0
    assert "speak into default now" in done.stderr


def test_a_muted_microphone_fails_and_is_named(cards):
    done = smallrtc(
        "--test", "--seconds", "1", "--input-device", "VMIC", "--output-device", "vspk", **cards.environment
    )
    assert done.returncode == 1
    assert done.stdout.startswith("failed   the microphone `vmic` is silent: muted, or the wrong one")
    assert "vspk: took" in done.stdout


def test_the_tone_is_heard_left_and_then_right(cards):
    """Its own tone, recorded from what the speaker plays: one side at a time, so both sides sound over all of it."""
    with cards.recording("spk.monitor") as heard:
        done = smallrtc(
            "--test", "--seconds", "2", "--input-device", "vspkmon", "--output-device", "vspk", **cards.environment
        )
        sound = np.frombuffer(heard.read_bytes()[: heard.stat().st_size // 4 * 4], "<i2").reshape(-1, 2)
    assert done.returncode == 0, done.stdout
    loud = np.abs(sound[: len(sound) // 480 * 480].reshape(-1, 480, 2)).max(axis=1) > 1000
    left, right = np.flatnonzero(loud[:, 0]), np.flatnonzero(loud[:, 1])
    assert min(len(left), len(right)) > 20
    assert np.median(left) < np.median(right)


@pytest.mark.parametrize(
    ("arguments", "sentence", "hint"),
    [
        (("--input-device", "v"), "`v` matches several input devices: 0 `vspk` (ALSA)", "run `smallrtc devices`"),
        (("--output-device", "nope"), "no output device matches `nope`", "run `smallrtc devices`"),
    ],
)
def test_a_device_that_cannot_be_meant_is_said(cards, arguments, sentence, hint):
    done = smallrtc("--test", *arguments, **cards.environment)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: {sentence}")
    assert hint in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--test",), ("--json",)])
def test_without_a_device_nothing_but_that_is_said(cards, arguments):
    done = smallrtc(*arguments, **cards.environment | {"PULSE_SERVER": "unix:/nowhere/native"})
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "error: there is no sound device\n\nhint: `--play-from FILE` and `--record-to FILE` work without devices\n"
    )


def test_what_the_libraries_complain_about_is_in_the_debug_log(cards):
    done = smallrtc("-vv", **cards.environment | {"PULSE_SERVER": "unix:/nowhere/native"})
    lines = done.stderr.splitlines()
    assert done.returncode == 3
    assert [line for line in lines if "debug: smallrtc_cli.audio.hush: ALSA lib " in line]
    assert not [line for line in lines if line.startswith(("ALSA", "Expression", "jack", "Jack", "Cannot connect"))]


@pytest.mark.parametrize("arguments", [(), ("--test",), ("--json",)])
def test_without_portaudio_the_cure_is_told(tmp_path, arguments):
    (tmp_path / "sounddevice.py").write_text('raise OSError("PortAudio library not found")\n')
    done = smallrtc(*arguments, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: the library PortAudio is not installed\n\nhint: `apt install libportaudio2`")
    assert "--play-from FILE" in done.stderr


def _judged(samples, played=None):
    return judged("mic", "out", played or Played(3.0, 0), measured(samples, 48_000), 3.2)


def test_what_is_wrong_with_the_microphone_is_the_headline():
    report = _judged(silence(3, channels=2))
    assert (report.verdict, report.headline) == (Verdict.FAILED, measured(silence(3), 48_000).sentence("mic"))
    assert report.measurements["input"]["fault"] == "silent"
    assert report.measurements["output"]["fault"] is None


def test_a_speaker_that_takes_nothing_fails_too_and_both_are_told():
    report = _judged(silence(3, channels=2), Played(0.0, 0))
    assert len(report.faults) == 2
    assert report.headline == "the speaker `out` takes no sound: its sound server or driver does not run"
    assert _judged(tone(440, 3, channels=2), Played(0.0, 0)).faults == report.faults[:1]


def test_one_that_went_away_is_the_headline():
    gone = ["the microphone `mic` went away during the test"]
    report = judged("mic", "out", Played(1.0, 0), measured(tone(440, 3), 48_000), 3.2, gone)
    assert (report.verdict, report.headline) == (Verdict.FAILED, gone[0])


def test_sound_both_ways_passes():
    report = _judged(tone(440, 3, channels=2))
    assert (report.verdict, report.faults) == (Verdict.PASSED, ())
    assert Capture(**{name: report.measurements["input"][name] for name in Capture.__dataclass_fields__}).fault is None


def test_a_microphone_that_gives_nothing_ends_the_test_all_the_same(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSoundDevice(device("mic", 1, 0), device("out", 0, 2)))
    monkeypatch.setattr(command, "_PATIENCE", 0.1)
    assert cli.main(["devices", "--test", "--seconds", "1"]) == ExitCode.FAILED
    out = capsys.readouterr().out
    assert "nothing comes from `mic`: its sound server or driver does not run" in " ".join(out.split())
    assert "the speaker `out` takes no sound" in out


@pytest.fixture
def options(monkeypatch):
    given = []
    monkeypatch.setattr(command, "run", lambda options: given.append(options) or ExitCode.OK)
    return given


def test_every_option_arrives_as_it_was_typed(options):
    assert cli.main(["devices"]) == ExitCode.OK
    typed = "devices --test --input-device usb --output-device 3 --seconds 2.5 --json"
    assert cli.main(typed.split()) == ExitCode.OK
    everything = DevicesOptions(json=True, test=True, input_device="usb", output_device="3", seconds=2.5)
    assert options == [DevicesOptions(), everything]


@pytest.mark.parametrize("typed", ["--input-device usb", "--output-device usb --json"])
def test_a_device_without_a_test_is_a_usage_error(capsys, typed):
    assert cli.main(["devices", *typed.split()]) == ExitCode.USAGE
    assert "hint: add `--test` to try it" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "61", "nan"])
def test_seconds_that_cannot_be_meant_are_a_usage_error(options, seconds):
    assert cli.main(["devices", "--test", "--seconds", seconds]) == ExitCode.USAGE
    assert options == []
