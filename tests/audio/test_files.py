"""Sound files: what is written is read back; what cannot be read says why."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from smallrtc_cli.audio.files import read, write_wav
from smallrtc_cli.audio.signals import measuring_signal, tone
from smallrtc_cli.errors import ExitCode, UnreadableAudio


def encode(path: Path, samples, rate: int, codec: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo")
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=rate, frame_size=960)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def test_a_wav_comes_back_sample_for_sample(tmp_path):
    sound = measuring_signal(1.0)
    write_wav(tmp_path / "a.wav", sound, 48_000)
    assert np.array_equal(read(tmp_path / "a.wav"), sound)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_number_of_channels_is_kept_unless_asked_otherwise(tmp_path, channels):
    write_wav(tmp_path / "a.wav", tone(440, 0.1, channels=channels), 48_000)
    assert read(tmp_path / "a.wav").shape == (4800, channels)
    assert read(tmp_path / "a.wav", channels=3 - channels).shape == (4800, 3 - channels)


def test_another_rate_keeps_length_and_pitch(tmp_path):
    write_wav(tmp_path / "a.wav", tone(1000, 1.0, rate=16_000), 16_000)
    sound = read(tmp_path / "a.wav", rate=48_000)[:, 0]
    assert abs(len(sound) - 48_000) <= 48
    assert np.argmax(np.abs(np.fft.rfft(sound[:48_000], 48_000))) == 1000


@pytest.mark.parametrize(("name", "codec"), [("a.ogg", "libopus"), ("a.mp3", "libmp3lame"), ("a.mp4", "aac")])
def test_compressed_files_are_read(tmp_path, name, codec):
    encode(tmp_path / name, tone(1000, 1.0, channels=2), 48_000, codec)
    sound = read(tmp_path / name)
    assert sound.shape[1] == 2
    assert len(sound) == pytest.approx(48_000, abs=5000)
    assert np.argmax(np.abs(np.fft.rfft(sound[4800:43_200, 0], 48_000))) == pytest.approx(1000, abs=2)


def test_no_more_than_the_limit_is_read(tmp_path):
    write_wav(tmp_path / "a.wav", tone(440, 2.0), 48_000)
    assert len(read(tmp_path / "a.wav", limit_seconds=0.5)) == 24_000


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UnreadableAudio, match=r"nothing\.wav` does not exist") as caught:
        read(tmp_path / "nothing.wav")
    assert caught.value.exit_code == ExitCode.CANNOT_RUN


def test_a_directory_is_no_sound_and_a_pipe_is_no_file(tmp_path):
    with pytest.raises(UnreadableAudio, match="is a directory"):
        read(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableAudio, match="is a pipe or a device"):
        read(tmp_path / "pipe")


def test_a_file_of_something_else_says_that_it_cannot_be_read(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"this is not sound at all" * 50)
    with pytest.raises(UnreadableAudio, match=r"a\.wav` cannot be read as sound: \w"):
        read(tmp_path / "a.wav")


def test_a_video_without_sound_has_no_audio_stream(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    with pytest.raises(UnreadableAudio, match="has no audio stream"):
        read(tmp_path / "a.mp4")


def test_a_wav_without_samples_has_no_sound(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros((0, 1), np.int16), 48_000)
    with pytest.raises(UnreadableAudio):
        read(tmp_path / "a.wav")
