"""Sound files: anything that FFmpeg's libraries read comes in, WAV goes out. PyAV's door for files.

Its errors become `UnreadableAudio` here. Memory is bounded: reading ends at `limit_seconds`.
"""

import wave
from collections.abc import Iterator
from pathlib import Path

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from numpy.typing import NDArray

from smallrtc_cli.errors import UnreadableAudio

LAYOUTS = {1: "mono", 2: "stereo"}


def read(
    path: str | Path, rate: int = 48_000, channels: int | None = None, limit_seconds: float = 600.0
) -> NDArray[np.int16]:
    """The sound of a file: WAV, MP3, Ogg Opus, the sound of a video, ...; shape `(n, channels)` at `rate` Hz.

    `channels` is 1 or 2; None keeps mono as mono and makes everything else stereo. What comes after `limit_seconds`
    is not read: ten minutes of stereo at 48 kHz take 115 MB. Raises `UnreadableAudio`.
    """
    file = Path(path)
    if not file.is_file():
        what = "is a directory, not a file with sound" if file.is_dir() else "does not exist"
        raise UnreadableAudio(f"`{path}` {what}")
    try:
        with av.open(str(file), mode="r") as container:
            sound = _decoded(container, file, rate, channels, round(limit_seconds * rate))
    except (av.error.FFmpegError, OSError) as error:
        raise UnreadableAudio(f"`{path}` cannot be read as sound: {_reason(error)}") from error
    if not len(sound):
        raise UnreadableAudio(f"`{path}` has no sound in it")
    return sound


def write_wav(path: str | Path, samples: NDArray[np.int16], rate: int) -> None:
    """A 16-bit WAV file of samples of shape `(n, channels)`. Raises `OSError` when it cannot be written."""
    with Path(path).open("wb") as opened, wave.open(opened, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.ascontiguousarray(samples, dtype="<i2").tobytes())


def _decoded(container: InputContainer, file: Path, rate: int, channels: int | None, limit: int) -> NDArray[np.int16]:
    """The first `limit` samples of the first audio stream."""
    if not container.streams.audio:
        raise UnreadableAudio(f"`{file}` has no audio stream")
    stream = container.streams.audio[0]
    count = channels or min(2, stream.codec_context.channels or 1)
    resampler = AudioResampler(format="s16", layout=LAYOUTS[count], rate=rate)
    parts: list[NDArray[np.int16]] = []
    length = 0
    for frame in _resampled(container, resampler):
        parts.append(frame.to_ndarray().astype(np.int16, copy=False).reshape(-1, count))
        length += len(parts[-1])
        if length >= limit:
            break
    return np.concatenate(parts)[:limit] if parts else np.zeros((0, count), np.int16)


def _resampled(container: InputContainer, resampler: AudioResampler) -> Iterator[AudioFrame]:
    """All frames, then what the resampler held back."""
    for frame in container.decode(audio=0):
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _reason(error: Exception) -> str:
    """What FFmpeg or the system says, in lower case, without the path that the sentence already has."""
    text = getattr(error, "strerror", None) or str(error)
    return str(text).rstrip(".").lower()
