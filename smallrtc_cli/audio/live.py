"""Sound of now on its way to the encoder: at its writer's pace, and silence at ours where nothing comes.

A microphone has a clock of its own. A frame leaves as soon as its sound is there, so that there is neither drift nor
look-ahead between the two. Only where sound stays away does our clock make frames, and the stream lives on:

    flowing  --nothing for `late_after`-->                 silent: a frame of silence every 20 ms
    silent   --the sound of a frame is there-->            flowing, from the newest 60 ms on

Pure: the time is an argument. Positions count samples and only grow: over sound as it was written, with a gap where
some was dropped; where silence begins they are set to our clock again.
"""

from dataclasses import replace

from smallrtc_cli.audio.pcm import BYTES_PER_SAMPLE, PlayoutQueue
from smallrtc_cli.config import OutboundAudio


class LiveSound:
    """What was written and not sent yet: at most `live_backlog` of it, the newest."""

    def __init__(self, channels: int = 1, settings: OutboundAudio | None = None) -> None:
        self._settings = settings or OutboundAudio()
        self.queue = PlayoutQueue(channels, replace(self._settings, high_water=self._settings.live_backlog))
        self._sample_size = BYTES_PER_SAMPLE * channels
        self._frame = round(self._settings.frame * self._settings.rate)
        self._most = round(self._settings.live_backlog * self._settings.rate)
        self._lasts = self._settings.frame
        "Seconds of the frame that was sent last."
        self._position = 0
        self._flowing = False
        self._origin: float | None = None
        self._sent: float | None = None
        self._waited = 0
        "Samples, less than a frame, that were held at the last frame of silence: if no more came, they end a word."
        self._missing = 0
        "Samples that were dropped since the last frame of a flow."
        self.dropped = 0
        "Samples per channel that came and were never sent."

    def pace(self, frame: float) -> None:
        """Frames last so many seconds from now on."""
        if frame != self._settings.frame:
            self._settings = replace(self._settings, frame=frame)
            self._frame = round(frame * self._settings.rate)

    def retune(self, rate: int) -> None:
        """Have another rate from now on; what waits is converted."""
        ratio = rate / self._settings.rate
        self._settings = replace(self._settings, rate=rate)
        self._frame, self._most = (round(each * rate) for each in (self._settings.frame, self._settings.live_backlog))
        self._position, self._waited = round(self._position * ratio), round(self._waited * ratio)
        self._missing = round(self._missing * ratio)
        self.queue.retune(rate)

    @property
    def _held(self) -> int:
        return round(self.queue.seconds * self._settings.rate)

    @property
    def is_complete(self) -> bool:
        """Whether a frame can leave."""
        return self._held >= self._frame

    def put(self, audio: bytes) -> None:
        """Take the next sound, whole samples of all channels; the oldest makes room for it."""
        excess = self._held + len(audio) // self._sample_size - self._most
        if excess > 0:
            self._missing += excess
            beyond = excess - self._drop(excess)
            audio = audio[beyond * self._sample_size :]
            self.dropped += beyond
        self.queue.put(audio)

    def due(self, now: float) -> float:
        """When the next frame leaves at the latest."""
        if self._sent is None:
            return now
        return self._sent + (self._settings.late_after if self._flowing else self._lasts)

    def take(self, now: float) -> tuple[bytes, int] | None:
        """The next frame and its position; None before its sound is there or it is due."""
        complete = self.is_complete
        if self._flowing and complete and not self._is_stale(now):
            self._position += self._missing
            self._sent = now
            return self._framed(self.queue.take(self._frame))
        if now < self.due(now) and not complete:
            return None
        if complete:
            self._drop(max(self._held - self._newest(now), 0))
        self._let_pass(now)
        ends_word = self._flowing or self._held == self._waited
        self._flowing = complete
        frame = self._framed(self.queue.take(self._frame) if complete or ends_word else b"")
        self._waited = self._held
        return frame

    def _is_stale(self, now: float) -> bool:
        """Nobody has asked for a long time: a peer connection was replaced. What piled up is sound of then."""
        return self._sent is not None and now - self._sent > self._settings.live_backlog

    def _newest(self, now: float) -> int:
        """Samples that are still worth hearing when the flow begins: they delay nothing after them."""
        seconds = self._settings.frame if self._is_stale(now) else self._settings.late_after
        return round(seconds * self._settings.rate)

    def _let_pass(self, now: float) -> None:
        """Move on to the frame that is due, or leaves before that, over the time in which there was none."""
        due = min(self.due(now), now)
        if now - due > self._settings.late_after:
            due = now
        if self._origin is None:
            self._origin = due
        self._position = max(self._position, round((due - self._origin) * self._settings.rate))
        self._sent = due

    def _framed(self, audio: bytes) -> tuple[bytes, int]:
        start, self._position, self._missing = self._position, self._position + self._frame, 0
        self._lasts = self._settings.frame
        return audio.ljust(self._frame * self._sample_size, b"\0"), start

    def _drop(self, samples: int) -> int:
        dropped = len(self.queue.take(samples)) // self._sample_size
        self.dropped += dropped
        return dropped
