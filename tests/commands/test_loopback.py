"""`smallrtc loopback` as its users run it: the real command in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from smallrtc_cli.audio.files import write_wav
from smallrtc_cli.audio.signals import measuring_signal, noise, silence


def smallrtc(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "smallrtc_cli", *map(str, arguments)]
    variables = {k: v for k, v in os.environ.items() if not k.startswith("GITHUB")} | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=variables, check=False)


def test_the_default_run_passes_and_tells_people():
    result = smallrtc("loopback")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith("passed   the audio path is healthy")
    assert "round trip" in result.stdout
    assert result.stderr == ""


def test_the_json_document_has_the_promised_shape_and_nothing_else_is_on_stdout():
    result = smallrtc("loopback", "--json", "--duration", "1.5")
    document = json.loads(result.stdout)
    assert result.returncode == 0, result.stdout
    assert (document["version"], document["command"], document["verdict"]) == (1, "loopback", "passed")
    assert all({"name", "value", "unit", "limit", "verdict"} <= set(check) for check in document["checks"])
    measured = document["measurements"]
    assert {"signalling_ms", "ice_ms", "dtls_ms", "data_channel_ms", "first_audio_ms"} == set(measured["connect"])
    assert all(value > 0 for value in measured["connect"].values())
    assert {"p50", "p95", "max", "samples"} == set(measured["audio"]["round_trip_ms"])
    assert 0 < measured["audio"]["round_trip_ms"]["p50"] < 150
    assert {"snr_db", "level_change_db", "gaps", "gap_ms", "drift_ppm"} < set(measured["audio"])
    assert {"p50", "p99"} == set(measured["data"]["round_trip_ms"])
    assert (measured["data"]["sent"], measured["data"]["lost"], measured["data"]["reordered"]) == (200, 0, 0)
    assert {"smallrtc-cli", "aiortc", "python"} <= set(document["environment"])


def _assert_both_sides(record: Path) -> None:
    with wave.open(str(record)) as file:
        assert (file.getframerate(), file.getnchannels()) == (48_000, 2)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    levels = np.sqrt(np.mean(both.astype(float) ** 2, axis=0))
    assert all(levels > 500)
    first = [int(np.argmax(np.abs(both[:, side]) > 500)) for side in (0, 1)]
    assert 0 < first[1] - first[0] < 48_000 * 0.3


def test_in_process_each_calls_recording_keeps_both_sides_and_junit_lists_the_checks(tmp_path):
    record, report = tmp_path / "both.wav", tmp_path / "report.xml"
    result = smallrtc(
        "loopback", "--in-process", "--duration", "1.5", "--record-to", record, "--junit", report, "--repeat", 2
    )
    assert result.returncode == 0, result.stdout
    assert not record.exists()
    for each in ("both-1.wav", "both-2.wav"):
        _assert_both_sides(tmp_path / each)
    cases = ET.parse(report).getroot().findall(".//testcase")
    assert {"snr_db[1]", "snr_db[2]", "messages_lost[2]"} <= {case.get("name") for case in cases}
    assert not ET.parse(report).getroot().findall(".//failure")


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_real_speech_comes_back_recognised(tmp_path):
    speech = tmp_path / "speech.wav"
    words = "The quick brown fox jumps over the lazy dog, and nobody knows why it does that."
    subprocess.run(["espeak-ng", "-w", speech, words], check=True, timeout=30)
    result = smallrtc("loopback", "--play-from", speech, "--json")
    document = json.loads(result.stdout)
    assert result.returncode == 0, result.stdout
    assert document["measurements"]["audio"]["recognised_pct"] > 90


def test_a_limit_that_is_not_met_fails_and_names_the_check():
    result = smallrtc("loopback", "--duration", "1.5", "--limit", "round_trip_p95_ms=1", GITHUB_ACTIONS="true")
    assert result.returncode == 1
    assert result.stdout.startswith("failed   round_trip_p95_ms is")
    assert "::error" in result.stderr


def test_a_sound_without_marks_in_it_is_inconclusive(tmp_path):
    quiet = tmp_path / "quiet.wav"
    write_wav(quiet, silence(1.5), 48_000)
    result = smallrtc("loopback", "--play-from", quiet, "--json")
    assert result.returncode == 4, result.stdout
    assert json.loads(result.stdout)["verdict"] == "inconclusive"


def test_mono_sound_of_another_rate_is_no_fault(tmp_path):
    mono = tmp_path / "mono.wav"
    write_wav(mono, measuring_signal(1.5, rate=16_000, channels=1), 16_000)
    result = smallrtc("loopback", "--play-from", mono)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--limit", "round_trip=1"], 2, "no limit is named `round_trip`"),
        (["--limit", "gaps=many"], 2, "no number"),
        (["--duration", "0"], 2, "duration"),
        (["--duration", "1"], 2, "`--duration 1` is no duration"),
        (["--repeat", "0"], 2, "--repeat"),
        (["--play-from", "no-such.wav"], 3, "`no-such.wav` does not exist"),
        (["--play-from", __file__], 3, "cannot be read as sound"),
        (["--record-to", "/no/such/dir/x.wav"], 3, "cannot be written"),
        (["--junit", "/no/such/dir/x.xml"], 3, "cannot be written"),
    ],
)
def test_what_cannot_be_meant_or_done_is_said_before_the_call_in_one_sentence(arguments, code, sentence):
    result = smallrtc("loopback", *arguments)
    assert result.returncode == code, result.stderr
    assert sentence in result.stderr
    assert result.stderr.startswith("error: ")
    assert "hint: " in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_the_recording_of_one_call_has_the_name_that_was_given(tmp_path):
    record = tmp_path / "both.wav"
    result = smallrtc("loopback", "--in-process", "--duration", "1.5", "--record-to", record)
    assert result.returncode == 0, result.stdout
    _assert_both_sides(record)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_report_that_does_not_fit_on_the_disk_is_said():
    command = [sys.executable, "-m", "smallrtc_cli", "loopback", "--in-process", "--duration", "1.5", "--json"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert result.returncode == 3
    assert result.stderr.startswith("error: stdout cannot be written: no space left on device\n")


def _may_unshare() -> bool:
    unshare = shutil.which("unshare")
    return unshare is not None and subprocess.run([unshare, "-rn", "true"], check=False, timeout=10).returncode == 0


@pytest.mark.skipif(not _may_unshare(), reason="needs a network namespace")
@pytest.mark.parametrize("how", [[], ["--in-process"]])
def test_a_machine_without_any_network_interface_is_named(how):
    command = ["unshare", "-rn", sys.executable, "-m", "smallrtc_cli", "loopback", *how]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 3
    assert "no network interface that is up, not even the loopback one" in result.stderr
    assert "`ip link set lo up`" in result.stderr


def test_noise_is_recognised_too(tmp_path):
    hiss = tmp_path / "noise.wav"
    write_wav(hiss, noise(1.5, channels=1), 48_000)
    result = smallrtc("loopback", "--play-from", hiss, "--json", "--limit", "snr_db=-10")
    assert json.loads(result.stdout)["measurements"]["audio"]["recognised_pct"] > 80
