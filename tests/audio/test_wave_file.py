"""A WAV file that grows."""

import os
import struct
import wave

import pytest

from smallrtc_cli.audio import wave_file
from smallrtc_cli.audio.wave_file import WaveFile


def sound(path):
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48_000, 2, 2)
        return file.readframes(file.getnframes())


def test_what_is_written_is_there_before_the_end_and_after(tmp_path):
    file, first, second = WaveFile(tmp_path / "a.wav"), bytes(range(200)), bytes(400)
    assert sound(tmp_path / "a.wav") == b""
    file.write(first)
    assert sound(tmp_path / "a.wav") == first
    file.write(second)
    assert sound(tmp_path / "a.wav") == first + second
    file.write(first)
    file.close()
    assert sound(tmp_path / "a.wav") == first + second + first
    file.close()


def test_a_file_without_sound_is_one_too(tmp_path):
    WaveFile(tmp_path / "a.wav").close()
    assert sound(tmp_path / "a.wav") == b""


def test_a_place_that_is_none_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        WaveFile(tmp_path / "gone" / "a.wav")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is a pipe"):
        WaveFile(tmp_path / "pipe")


def test_a_file_that_is_too_long_for_its_header_ends_like_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(wave_file, "MOST", 600)
    file = WaveFile(tmp_path / "a.wav")
    file.write(bytes(600))
    with pytest.raises(OSError, match="File too large"):
        file.write(bytes(4))
    file.close()
    assert sound(tmp_path / "a.wav") == bytes(600)


def test_the_longest_file_has_a_header_that_counts_it():
    struct.pack("<L", wave_file.MOST + 36)
    with pytest.raises(struct.error):
        struct.pack("<L", wave_file.MOST + 37)
