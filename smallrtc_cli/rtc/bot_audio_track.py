"""What a bot says, on its way out: a bounded queue that leaves by a steady clock."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from smallrtc_cli.audio.live import LiveSound
from smallrtc_cli.audio.pcm import BYTES_PER_SAMPLE, FrameClock, PlayoutQueue, to_av_frame
from smallrtc_cli.audio.piece import TICKS, Piece
from smallrtc_cli.config import OutboundAudio
from smallrtc_cli.rtc.bell import Bell

_UNTIL_SENT = 2
"Packets that are taken until one is on its way: the next is asked for when it was sent, and the encoder keeps 6.5 ms."

_STOOD_STILL = 0.005
"Seconds by which a timer is late when the loop was held up, or the machine is busy."

_LONGEST_PRETENCE = 1.0
"Seconds that a write may take after the end of the conversation."

Tap = Callable[[bytes, int, float], None]
"Sees sound pass: s16le bytes, position in samples per channel, loop time."


class BotAudioTrack(MediaStreamTrack):
    """What a bot says, paced: 20 ms of what was written, or silence, every 20 ms of monotonic time.

    Whoever sends may ask for less than 20 ms at a time, which then leave when they are due.

    Where nobody sends (a peer connection is being replaced), time goes on all the same: a writer is never held
    up by a peer that is gone.

    With `live`, what is written is sound of now and leaves at its writer's pace: see `LiveSound`. No write waits then.
    """

    kind = "audio"

    def __init__(self, channels: int = 1, settings: OutboundAudio | None = None, *, live: bool = False) -> None:
        super().__init__()
        self._settings = settings or OutboundAudio()
        self._channels = channels
        self._live = LiveSound(channels, self._settings) if live else None
        self._queue = self._live.queue if self._live else PlayoutQueue(channels, self._settings)
        self._clock = FrameClock(self._settings)
        self._frames = self._end = 0
        "Number of the next frame by the clock, and the position behind the last one, in `TICKS`."
        self._taken, self._written = Bell(), Bell()
        self._writing = asyncio.Lock()
        self._speaking = False
        self._draining = 0
        self._last_taken: float | None = None
        self._packets = 0
        "That were taken: of a longer one more than a frame is asked for, until its last piece."
        self._listeners = 0
        self._generation = 0
        self.tap: Tap | None = None
        self.underruns = 0
        "Frames in which sound ran out in the middle of speech."

    @property
    def channels(self) -> int:
        return self._channels

    @property
    def rate(self) -> int:
        """Hz; that of what was written last."""
        return self._settings.rate

    @property
    def queued_seconds(self) -> float:
        return self._queue.seconds

    @property
    def live_dropped(self) -> int:
        """Samples of live sound that were never sent."""
        return self._live.dropped if self._live else 0

    async def write(self, audio: bytes, rate: int | None = None) -> None:
        """Queue sound in the track's format; returns when no more than the look-ahead is still to be played.

        Of several writers each is heard whole, in the order in which they came. With a `rate` in Hz, that is the
        track's from this sound on.
        """
        if self.readyState != "live":
            await self._as_if_played(audio, rate or self._settings.rate)
            return
        if self._live is not None:
            is_ahead = self._live.is_complete
            self._retune(rate)
            self._live.put(audio)
            self._written.ring()
            if is_ahead:  # a writer that writes without end shares the loop
                await asyncio.sleep(0)
            return
        generation = self._generation
        async with self._writing:
            await self._write(audio, generation, rate)

    async def _as_if_played(self, audio: bytes, rate: int) -> None:
        """A bot that does not look whether anybody is there goes on at the pace of speech, not at that of the CPU."""
        seconds = len(audio) / (BYTES_PER_SAMPLE * self._channels * rate)
        await asyncio.sleep(min(seconds, _LONGEST_PRETENCE))

    def _retune(self, rate: int | None) -> None:
        if rate not in (None, self._settings.rate):
            self._settings = replace(self._settings, rate=rate)
            (self._live or self._queue).retune(rate)

    async def _write(self, audio: bytes, generation: int, rate: int | None) -> None:
        if generation != self._generation or self.readyState != "live":
            return
        self._retune(rate)
        rest = self._queue.put(audio)
        self._written.ring()
        while rest or not self._queue.has_room:
            await self._room()
            if generation != self._generation or self.readyState != "live":
                return
            rest = self._queue.put(rest)
            self._written.ring()

    async def drain(self) -> None:
        """Wait until all that was written has been played out."""
        self._draining += 1
        self._written.ring()
        try:
            while self._queue.seconds and self.readyState == "live":
                await self._room()
            sent = self._packets + (_UNTIL_SENT if self._listeners or self._last_taken else 0)
            while self._packets < sent and self.readyState == "live":
                await self._room()
        finally:
            self._draining -= 1

    def clear(self) -> None:
        """Drop what was written and not played, but for a short fade-out; waiting writers return."""
        self._generation += 1
        self._queue.clear()
        self._written.ring()
        self._taken.ring()

    def stop(self) -> None:
        """End the track: waiting writers return."""
        super().stop()
        self._written.ring()
        self._taken.ring()

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms as libav's frame: see `next_piece`."""
        samples, rate, position = await self.next_piece(self._settings.frame)
        return to_av_frame(samples.tobytes(), rate, self._channels, position * rate // TICKS)

    async def next_piece(self, seconds: float) -> Piece:
        """The next sound, when it is due: so many seconds, at most 20 ms.

        Raises `MediaStreamError` when the track was stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        loop, whole = asyncio.get_running_loop(), seconds <= self._settings.frame
        seconds = min(seconds, self._settings.frame)
        self._listeners += 1
        try:
            audio, position = await (self._paced(seconds) if self._live is None else self._flow(self._live, seconds))
        finally:
            self._listeners -= 1
        self._last_taken = loop.time()
        self._packets += whole
        self._taken.ring()
        if self.tap is not None:
            self.tap(audio, position * self.rate // TICKS, self._last_taken)
        return Piece(np.frombuffer(audio, "<i2").reshape(-1, self._channels), self.rate, position)

    async def _paced(self, seconds: float) -> tuple[bytes, int]:
        """What was written, or silence, when our clock says so; with its position."""
        loop, ticks = asyncio.get_running_loop(), round(seconds * TICKS)
        tick = self._clock.next(loop.time(), seconds)
        await asyncio.sleep(max(0.0, tick.due - loop.time()))
        if self._speaking:
            await self._wait_for_more(seconds)
        wanted = round(seconds * self.rate)
        audio = self._queue.take(wanted)
        whole = wanted * self._channels * BYTES_PER_SAMPLE
        self._speaking = len(audio) == whole
        self.underruns += bool(audio) and not self._speaking
        position = self._end + (tick.index - self._frames) * ticks
        self._frames, self._end = tick.index + 1, position + ticks
        return audio.ljust(whole, b"\0"), position

    async def _flow(self, sound: LiveSound, seconds: float) -> tuple[bytes, int]:
        """What was written, as soon as it is enough for a frame, or silence where nothing comes; with its position."""
        loop = asyncio.get_running_loop()
        sound.pace(seconds)
        await self._catch_up(sound)
        while (frame := sound.take(loop.time())) is None:
            await self._written.wait(sound.due(loop.time()))
            await self._catch_up(sound)
            if self.readyState != "live":
                raise MediaStreamError
        audio, position = frame
        return audio, position * TICKS // self.rate

    async def _catch_up(self, sound: LiveSound) -> None:
        """After a moment in which the loop stood still, what was said meanwhile needs some turns of it to get here."""
        now = asyncio.get_running_loop().time()
        if now - sound.due(now) < _STOOD_STILL:
            return
        until = now + self._settings.grace
        while not sound.is_complete and self.readyState == "live":
            if not await self._written.wait(until):
                return

    async def _wait_for_more(self, seconds: float) -> None:
        """Give a bot that speaks as it hears, or whose next piece is late, a moment: late sound beats silence."""
        generation, until = self._generation, asyncio.get_running_loop().time() + self._settings.grace
        while self._may_get_more(seconds, generation):
            if not await self._written.wait(until):
                return

    def _may_get_more(self, seconds: float, generation: int) -> bool:
        short = self._queue.seconds < seconds
        over = self._draining or self.readyState != "live" or generation != self._generation
        return short and not over

    async def _room(self) -> None:
        """Wait until a frame was taken, or let time take it where nobody listens; a stall of the loop takes none."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if await self._taken.wait(began + self._settings.high_water) or self._listeners:
            return
        before = max(began, self._last_taken or began)
        self._last_taken = loop.time()
        self._packets += 1
        self._queue.skip(self._last_taken - before)
