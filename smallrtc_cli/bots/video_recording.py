"""`--record-video`: received pictures into a file, encoded in a thread of its own, so that the call does not wait."""

import asyncio
import contextlib
import os
import threading
from fractions import Fraction
from pathlib import Path
from queue import Full, Queue
from typing import Self

import av
import av.error
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from smallrtc_cli.bots.picture_times import PictureTimes
from smallrtc_cli.errors import CannotRun, UsageError

CONTAINERS = {".mp4": "mp4", ".mkv": "matroska", ".webm": "webm"}

_CODECS = {".webm": ("libvpx",)}
_USUAL_CODECS = ("libx264", "mpeg4")
"The best that this build of libav has."

_OPTIONS = {
    "libx264": {"preset": "veryfast", "tune": "zerolatency", "crf": "23"},
    "libvpx": {"deadline": "realtime", "cpu-used": "6", "crf": "10"},
    "mpeg4": {},
}
_BITS_PER_SECOND = {"libvpx": 1_500_000, "mpeg4": 2_000_000}

_KEPT = {"flush_packets": "1"}
_KEPT_MP4 = {"movflags": "frag_keyframe+empty_moov+default_base_moof", **_KEPT}
"On the disk at once, an MP4 in fragments: what is there can be played, also when the process was killed."

_KEYFRAMES = 60
"Pictures from one keyframe to the next: two seconds."

_CLOCK = Fraction(1, 1000)
"Of the timestamps in the file: what WebM has, and MPEG-4 can."

_WAITING = 30
"Pictures that wait for the encoder; what is more is dropped and counted."

_FINISH = 10.0
"Seconds that the end waits for the encoder."


BROKEN = (av.error.FFmpegError, OSError, ValueError)
"What libav and the disk raise."


def require_place(path: Path) -> None:
    """Raises `UsageError` for a file of a kind that is none of ours, and `CannotRun` where it cannot be written."""
    if path.suffix.lower() not in CONTAINERS:
        hint = f"a name that ends in {', '.join(f'`{suffix}`' for suffix in CONTAINERS)} says what it is to be"
        raise UsageError(f"`{path}` is of no kind that keeps pictures", hint=hint)
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        reason = "it is a directory" if path.is_dir() else f"`{folder}` is no place for it"
        hint = "give a file in a directory that exists and is yours to write"
        raise CannotRun(f"`{path}` cannot be written: {reason}", hint=hint)


class VideoRecording:
    """A file that grows with the pictures, in the size of the first one; without any there is no file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.dropped = self.written = 0
        "Pictures."
        self._error: Exception | None = None
        self._times = PictureTimes()
        self._waiting: Queue[tuple[av.VideoFrame, float] | None] = Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name=f"encodes {path.name}", daemon=True)
        self._thread.start()

    def add(self, frame: av.VideoFrame, now: float) -> None:
        """Keep a picture that came `now`. Raises one of `BROKEN`, once that has ended the recording."""
        if self._error is not None:
            raise self._error
        stamp = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
        try:
            self._waiting.put_nowait((frame, self._times.at(stamp, now)))
        except Full:
            self.dropped += 1

    async def close(self) -> None:
        """Finish the file; bounded, again is nothing."""
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        with contextlib.suppress(Full):
            self._waiting.put(None, timeout=_FINISH if self._thread.is_alive() else 0)
            self._thread.join(_FINISH)

    def _run(self) -> None:
        try:
            first = self._waiting.get()
            if first is not None:
                with _Encoder(self._path, first[0]) as encoder:
                    self._encode(encoder, first)
        except BROKEN as error:
            self._error = error

    def _encode(self, encoder: "_Encoder", picture: tuple[av.VideoFrame, float] | None) -> None:
        while picture is not None:
            encoder.add(*picture)
            self.written += 1
            picture = self._waiting.get()


class _Encoder:
    """The file itself; used in one thread."""

    def __init__(self, path: Path, first: av.VideoFrame) -> None:
        kind = path.suffix.lower()
        options = _KEPT_MP4 if kind == ".mp4" else _KEPT
        self._container: OutputContainer = av.open(str(path), mode="w", format=CONTAINERS[kind], options=options)
        codec = next(name for name in _CODECS.get(kind, _USUAL_CODECS) if name in av.codecs_available)
        stream = self._container.add_stream(codec, rate=30, options=_OPTIONS[codec])
        assert isinstance(stream, VideoStream)
        self._stream = stream
        stream.width, stream.height = first.width // 2 * 2, first.height // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = _BITS_PER_SECOND.get(codec, 0)
        stream.codec_context.gop_size = _KEYFRAMES
        stream.codec_context.time_base = _CLOCK

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def add(self, frame: av.VideoFrame, at: float) -> None:
        """The next picture, in seconds since the beginning."""
        picture = frame.reformat(width=self._stream.width, height=self._stream.height, format="yuv420p")
        picture.pict_type = PictureType.NONE  # what it was in its sender's stream is not asked here
        picture.pts, picture.time_base = round(at / _CLOCK), _CLOCK
        self._container.mux(self._stream.encode(picture))
