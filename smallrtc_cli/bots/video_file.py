"""The pictures of a video file, ready to send: decoded, of a size that a call carries, each with its time."""

from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer

from smallrtc_cli.errors import UnreadableVideo

WIDEST, HIGHEST = 1280, 720

_USUAL = Fraction(25)
"Pictures a second, where a file does not say."


_STILL = 1.0
"Seconds for which the picture of a file that has only one is shown, until it is decoded again."


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in yuv420p, and when it is due, in seconds since the first."""

    image: av.VideoFrame
    at: float


def pictures(path: str | Path) -> Generator[Picture]:
    """All pictures, again and again; the time goes on. Raises `UnreadableVideo`."""
    file, began = Path(path), 0.0
    if not file.is_file():
        what = "is a directory, not a video" if file.is_dir() else "does not exist"
        raise UnreadableVideo(f"`{path}` {what}")
    try:
        while True:
            with av.open(str(file), mode="r") as container:
                ended = yield from _once(container, file, began)
            began = ended
    except (av.error.FFmpegError, OSError) as error:
        reason = (error.strerror or str(error)).rstrip(".").lower()
        raise UnreadableVideo(f"`{path}` cannot be read as a video: {reason}") from error


def _once(container: InputContainer, file: Path, began: float) -> Generator[Picture, None, float]:
    """From beginning to end; returns when the next round begins."""
    if not container.streams.video:
        raise UnreadableVideo(f"`{file}` has no pictures in it")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    step = float(1 / (stream.average_rate or _USUAL))
    first: float | None = None
    at = began - step
    for frame in container.decode(video=0):
        first = frame.time if first is None else first
        at = at + step if frame.time is None or first is None else began + max(0.0, frame.time - first)
        width, height = fitting(frame.width, frame.height)
        yield Picture(frame.reformat(width=width, height=height, format="yuv420p"), at)
    if at < began:
        raise UnreadableVideo(f"`{file}` has no pictures in it")
    return at + (step if at > began else _STILL)


def fitting(width: int, height: int) -> tuple[int, int]:
    """The size within 1280 x 720 that has the same shape; even, as codecs want it; nothing is enlarged."""
    scale = min(1.0, WIDEST / width, HIGHEST / height)
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)
