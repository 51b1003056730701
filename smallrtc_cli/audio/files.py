"""Sound files: anything that FFmpeg's libraries read comes in, WAV goes out. PyAV's door for files.

Its errors become `UnreadableAudio` here. Memory is bounded: reading ends at `limit_seconds`.
"""

import contextlib
import wave
from collections.abc import Generator, Iterator
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
    parts: list[NDArray[np.int16]] = []
    length, limit = 0, round(limit_seconds * rate)
    with contextlib.closing(pieces(path, rate, channels)) as sound:
        for piece in sound:
            parts.append(piece)
            length += len(piece)
            if length >= limit:
                break
    if not length:
        raise UnreadableAudio(f"`{path}` has no sound in it")
    return np.concatenate(parts)[:limit]


def pieces(path: str | Path, rate: int = 48_000, channels: int | None = None) -> Generator[NDArray[np.int16]]:
    """The same, piece by piece as it is decoded, to its end: for what is played, of any length."""
    file = Path(path)
    if not file.is_file():
        what = "a directory" if file.is_dir() else "a pipe or a device"
        raise UnreadableAudio(
            f"`{path}` is {what}, not a file with sound" if file.exists() else f"`{path}` does not exist"
        )
    try:
        with av.open(str(file), mode="r") as container:
            yield from _decoded(container, file, rate, channels)
    except (av.error.FFmpegError, OSError) as error:
        raise UnreadableAudio(f"`{path}` cannot be read as sound: {_reason(error)}") from error


def write_wav(path: str | Path, samples: NDArray[np.int16], rate: int) -> None:
    """A 16-bit WAV file of samples of shape `(n, channels)`. Raises `OSError` when it cannot be written."""
    with Path(path).open("wb") as opened, wave.open(opened, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.ascontiguousarray(samples, dtype="<i2").tobytes())


def _decoded(container: InputContainer, file: Path, rate: int, channels: int | None) -> Generator[NDArray[np.int16]]:
    """The first audio stream."""
    if not container.streams.audio:
        raise UnreadableAudio(f"`{file}` has no audio stream")
    stream = container.streams.audio[0]
    count = channels or min(2, stream.codec_context.channels or 1)
    resampler = AudioResampler(format="s16", layout=LAYOUTS[count], rate=rate)
    for frame in _resampled(container, resampler):
        yield frame.to_ndarray().astype(np.int16, copy=False).reshape(-1, count)


def _resampled(container: InputContainer, resampler: AudioResampler) -> Iterator[AudioFrame]:
    """All frames, then what the resampler held back."""
    for frame in container.decode(audio=0):
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _reason(error: Exception) -> str:
    """What FFmpeg or the system says, in lower case, without the path that the sentence already has."""
    text = getattr(error, "strerror", None) or str(error)
    return str(text).rstrip(".").lower()
