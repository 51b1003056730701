"""Sound as signed 16-bit samples: the frames that bots see, conversion between formats, and the playout queue.

All samples are interleaved little-endian s16. A position counts samples per channel.
"""

from collections import deque
from dataclasses import dataclass, replace
from fractions import Fraction
from math import log10
from numbers import Integral
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.conversion import at_rate, with_channels
from smallrtc_cli.audio.upsampling import Upsampler
from smallrtc_cli.config import OutboundAudio
from smallrtc_cli.errors import SmallRTCError

BYTES_PER_SAMPLE = 2
_FULL_SCALE = 20 * log10(32768)
_LAYOUTS = {1: "mono", 2: "stereo"}
_LOWEST, _HIGHEST = 1_000, 384_000
"Hz; beyond either end something else was taken for a rate."


class WrongFormat(SmallRTCError):
    """Sound with a rate or a number of channels that cannot be converted."""


def check_format(rate: Any, channels: Any) -> None:
    """Raises `WrongFormat` unless sound like that can be converted."""
    if not isinstance(channels, Integral) or channels not in _LAYOUTS:
        raise WrongFormat(f"sound cannot have `{channels!r}` channels", hint="it is 1 for mono or 2 for stereo")
    if not isinstance(rate, Integral) or not _LOWEST <= int(rate) <= _HIGHEST:
        hint = f"it is a whole number of Hz from {_LOWEST} to {_HIGHEST}"
        raise WrongFormat(f"sound cannot have a sample rate of `{rate!r}`", hint=hint)


@dataclass(frozen=True, slots=True)
class AudioRawFrame:
    """A piece of sound: s16le bytes, `sample_rate` in Hz, interleaved if `num_channels` is 2."""

    audio: bytes
    sample_rate: int
    num_channels: int

    @property
    def num_frames(self) -> int:
        """Samples per channel."""
        return len(self.audio) // (BYTES_PER_SAMPLE * self.num_channels)


@dataclass(frozen=True, slots=True)
class InputAudioRawFrame(AudioRawFrame):
    """Sound that the client sent; `pts` counts samples per channel at `sample_rate` since the track began."""

    pts: int | None = None


@dataclass(frozen=True, slots=True)
class OutputAudioRawFrame(AudioRawFrame):
    """Sound for the client: any rate, one or two channels, any length."""


def to_av_frame(audio: bytes, rate: int, channels: int, pts: int = 0) -> av.AudioFrame:
    """Wrap samples as libav's packed s16 frame."""
    samples = np.frombuffer(audio, dtype="<i2").reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=_LAYOUTS[channels])
    frame.sample_rate, frame.pts, frame.time_base = rate, pts, Fraction(1, rate)
    return frame


def to_bytes(frame: av.AudioFrame) -> bytes:
    """The samples of a packed s16 frame, without libav's padding."""
    length = frame.samples * len(frame.layout.channels) * BYTES_PER_SAMPLE
    return bytes(memoryview(frame.planes[0])[:length])


def samples_of(frame: av.AudioFrame) -> NDArray[np.int16]:
    """The samples of a packed s16 frame, shape `(n, channels)`."""
    return np.frombuffer(to_bytes(frame), dtype="<i2").reshape(-1, len(frame.layout.channels))


def level_dbfs(samples: NDArray[np.int16]) -> float:
    """Root mean square in dB below full scale; −inf for silence."""
    if not samples.size:
        return float("-inf")
    flat = samples.astype(np.float32).reshape(-1)
    power = float(np.dot(flat, flat)) / flat.size
    return 10 * log10(power) - _FULL_SCALE if power else float("-inf")


class Converter:
    """Turns sound of any rate and one or two channels into one format; follows when the source changes.

    Bytes go in in any length; an incomplete sample waits for its rest, unless the format changes before that comes.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels
        self._source: tuple[int, str, str] | None = None
        self._resampler: av.AudioResampler | None = None
        self._upsampler: Upsampler | None = None
        self._format = (rate, channels)
        self._rest = b""

    def reset(self) -> None:
        """Forget what is held back: what comes next belongs to something else."""
        self._rest, self._resampler, self._upsampler, self._source = b"", None, None, None

    def convert(self, audio: bytes, rate: int, channels: int) -> bytes:
        """Convert a piece; the result may be shorter or longer by what the filter holds (2 ms at most).

        Raises `WrongFormat` for a rate or a number of channels that is none.
        """
        if (rate, channels) != self._format:
            check_format(rate, channels)
            self.reset()
            self._format = (rate, channels)
        audio = self._rest + audio
        whole = len(audio) - len(audio) % (BYTES_PER_SAMPLE * channels)
        audio, self._rest = audio[:whole], audio[whole:]
        if not audio or (rate, channels) == (self.rate, self.channels):
            return audio
        return b"".join(to_bytes(f) for f in self.convert_frame(to_av_frame(audio, rate, channels)))

    def convert_frame(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        """Convert a libav frame of any format; the frames that come out are packed s16."""
        source = (frame.sample_rate, frame.format.name, frame.layout.name)
        if source != self._source:
            self._source, self._resampler = source, None
            self._upsampler = self._new_upsampler(*source)
        if source == (self.rate, "s16", _LAYOUTS[self.channels]):
            return [frame]
        if source == (self.rate, "s16", _LAYOUTS[2]):
            return [_mixed(frame)]  # libswresample would do it in two threads of its own
        mono = len(frame.layout.channels) == 1
        if self._upsampler is not None:
            raised = _raised(frame, self._upsampler, self.rate)
            return [_doubled(raised) if mono and self.channels == 2 else raised]
        if self._resampler is None:
            self._resampler = av.AudioResampler("s16", _LAYOUTS[1 if mono else self.channels], self.rate)
        frame.pts = None
        converted = self._resampler.resample(frame)
        return [_doubled(each) for each in converted] if mono and self.channels == 2 else converted

    def _new_upsampler(self, rate: int, kind: str, layout: str) -> Upsampler | None:
        """For what it can do."""
        channels = {name: number for number, name in _LAYOUTS.items()}.get(layout, 3)
        if kind != "s16" or channels > self.channels or rate >= self.rate or self.rate % rate:
            return None
        return Upsampler(self.rate // rate, channels)


def _raised(frame: av.AudioFrame, upsampler: Upsampler, rate: int) -> av.AudioFrame:
    channels = len(frame.layout.channels)
    return to_av_frame(upsampler.resample(samples_of(frame)).tobytes(), rate, channels)


def _doubled(mono: av.AudioFrame) -> av.AudioFrame:
    """The same sound on both sides; libswresample would make each 3 dB quieter."""
    return to_av_frame(with_channels(samples_of(mono), 2).tobytes(), mono.sample_rate, 2)


def _mixed(stereo: av.AudioFrame) -> av.AudioFrame:
    """Both sides at half their level."""
    return to_av_frame(with_channels(samples_of(stereo), 1).tobytes(), stereo.sample_rate, 1)


class PlayoutQueue:
    """What a bot said and nobody has heard yet: bounded by duration, measured in seconds.

    `put` takes what fits under the high water mark, `take` gives exactly what a packet needs. `clear` leaves a
    short fade-out of what was queued, so that an interruption does not click.
    """

    def __init__(self, channels: int = 1, settings: OutboundAudio | None = None) -> None:
        self._settings = settings or OutboundAudio()
        self._sample_size = BYTES_PER_SAMPLE * channels
        self._channels = channels
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self.dropped = 0
        "Samples per channel that were cleared or skipped unheard."

    @property
    def seconds(self) -> float:
        """Duration of what is queued."""
        return self._size / self._sample_size / self._settings.rate

    @property
    def has_room(self) -> bool:
        """Whether a writer may go on."""
        return self.seconds <= self._settings.low_water

    def put(self, audio: bytes) -> bytes:
        """Queue what fits under the high water mark; returns the rest. `audio` has whole samples of all channels."""
        room = round(self._settings.high_water * self._settings.rate) * self._sample_size - self._size
        fits = audio[: max(room, 0)]
        if fits:
            self._chunks.append(fits)
            self._size += len(fits)
        return audio[len(fits) :]

    def take(self, samples: int) -> bytes:
        """Remove up to `samples` samples per channel; fewer (or none) when the bot is silent."""
        wanted, parts = samples * self._sample_size, []
        while wanted and self._chunks:
            chunk = self._chunks.popleft()
            if len(chunk) > wanted:
                self._chunks.appendleft(chunk[wanted:])
                chunk = chunk[:wanted]
            parts.append(chunk)
            wanted -= len(chunk)
            self._size -= len(chunk)
        return b"".join(parts)

    def retune(self, rate: int) -> None:
        """Have another rate from now on; what waits is converted."""
        waiting = np.frombuffer(b"".join(self._chunks), dtype="<i2").reshape(-1, self._channels)
        audio = at_rate(waiting, self._settings.rate, rate).tobytes()
        self._chunks, self._size = deque([audio] if audio else []), len(audio)
        self._settings = replace(self._settings, rate=rate)

    def skip(self, seconds: float) -> None:
        """Drop what should have been played meanwhile, as nobody listened."""
        self.dropped += len(self.take(int(seconds * self._settings.rate))) // self._sample_size

    def clear(self) -> None:
        """Drop everything but a fade-out."""
        tail = self.take(round(self._settings.fade * self._settings.rate))
        self.dropped += self._size // self._sample_size
        self._chunks.clear()
        self._size = 0
        if tail:
            faded = self._fade_out(tail)
            self._chunks.append(faded)
            self._size = len(faded)

    def _fade_out(self, audio: bytes) -> bytes:
        samples = np.frombuffer(audio, dtype="<i2").reshape(-1, self._channels)
        ramp = np.linspace(1.0, 0.0, len(samples))[:, None]
        return (samples * ramp).astype("<i2").tobytes()


@dataclass(frozen=True, slots=True)
class Tick:
    """When a frame is due and its number; numbers advance over a gap."""

    due: float
    index: int


class FrameClock:
    """The metronome of an outgoing track: monotonic, without bursts.

    A frame that is a little late goes out at once and the next ones are on time again. One that is later than
    `late_after` starts a new beat, and the frame numbers jump over what was missed.
    """

    def __init__(self, settings: OutboundAudio | None = None) -> None:
        self._settings = settings or OutboundAudio()
        self._due: float | None = None
        self._lasts = 0.0
        self._index = -1
        self.skipped = 0
        "Frames that were never made because the loop came too late."

    def next(self, now: float, frame: float | None = None) -> Tick:
        """The next frame, asked for at `now`; it lasts as long as the settings say, or `frame` seconds."""
        frame = self._settings.frame if frame is None else frame
        self._index += 1
        self._due = now if self._due is None else self._due + self._lasts
        self._lasts = frame
        if now - self._due > self._settings.late_after:
            missed = int((now - self._due) / frame)
            self._index += missed
            self.skipped += missed
            self._due = now
        return Tick(self._due, self._index)
