"""Tracks, in and out, and what makes them outlive a peer connection.

Out: a bot's sound and pictures belong to the conversation. A `Slot` holds the bot's current track; each peer
connection sends from it through a `SlotTrack` of its own, and the newest one that sends has the slot. In: a
`SmallWebRTCTrack` decodes only while somebody reads and never hands over more than a short backlog.

Behind the seam `AudioReceiver` and `AudioSender` do the work for sound, and aiortc's own for pictures.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError

from smallrtc_cli.audio.live import LiveSound
from smallrtc_cli.audio.pcm import BYTES_PER_SAMPLE, Converter, FrameClock, PlayoutQueue, to_av_frame, to_bytes
from smallrtc_cli.audio.piece import Piece
from smallrtc_cli.config import InboundAudio, OutboundAudio
from smallrtc_cli.rtc import aiortc_internals
from smallrtc_cli.rtc.audio_receiver import AudioReceiver, SoundFormat
from smallrtc_cli.rtc.levels import RecentSound

logger = logging.getLogger(__name__)

_FRAME = {"audio": 0.02, "video": 1 / 30}
"Seconds in a decoded frame: what every WebRTC sender packs, and how many pictures it sends."

_LEAST_GAP = 480
"Samples at 48 kHz (10 ms): what is less is the rounding of a source's timestamps, which may be whole milliseconds."

_TIME_BASE = Fraction(1, 48_000)

_UNTIL_SENT = 2
"Frames that are taken until one is on its way: the next is asked for when it was sent, and the encoder keeps 6.5 ms."

_STOOD_STILL = 0.005
"Seconds by which a timer is late when the loop was held up, or the machine is busy."

_LONGEST_PRETENCE = 1.0
"Seconds that a write may take after the end of the conversation."

_LAST_WORDS = 1.0
"Seconds of sound that are still taken from a track of the bot's that was replaced, for those who wait for that."

Tap = Callable[[bytes, int, float], None]
"Sees sound pass: s16le bytes, position in samples per channel, loop time."

FrameTap = Callable[[av.AudioFrame], None]
"Sees decoded or not yet encoded sound pass, in whatever format it has."


class SmallWebRTCTrack:
    """A client's microphone, camera or screen, as a bot reads it.

    Nothing is decoded before the first `recv`, nor after two seconds without one. A reader that is slow or late
    gets the latest 200 ms, not all of it. Other attributes are those of aiortc's track.
    """

    def __init__(
        self,
        receiver: RTCRtpReceiver,
        is_enabled: Callable[[], bool],
        settings: InboundAudio | None = None,
        player: AudioReceiver | None = None,
    ) -> None:
        """A `player` is what decodes sound in the place of aiortc."""
        self._receiver, self._player = receiver, player
        self._track: MediaStreamTrack = receiver.track
        self._is_enabled = is_enabled
        self._settings = settings or InboundAudio()
        self._override: bool | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._last_read = 0.0
        self._waiting = 0
        self._stopped = False
        self.frames_dropped = 0
        self.sound = RecentSound()
        self.tap: FrameTap | None = None
        aiortc_internals.set_receiving(receiver, False)

    @property
    def kind(self) -> str:
        return str(self._track.kind)

    @property
    def id(self) -> str:
        return str(self._track.id)

    @property
    def readyState(self) -> str:  # noqa: N802
        return "ended" if self._stopped else str(self._track.readyState)

    def is_enabled(self) -> bool:
        """Whether the client says that it sends (`trackStatus`)."""
        return self._is_enabled() if self._override is None else self._override

    def set_enabled(self, enabled: bool) -> None:
        """Overrule what the client says."""
        self._override = enabled

    async def recv(self) -> Any:
        """The next `av.AudioFrame` or `av.VideoFrame`; None at once for video that the client switched off.

        Raises `MediaStreamError` when the track is over.
        """
        got = await self._next()
        return got.frame() if isinstance(got, Piece) else got

    async def read(self) -> Piece:
        """The next sound, as `recv` gives it, but as samples: without what a libav frame costs."""
        piece: Piece = await self._next()
        return piece

    async def _next(self) -> Any:
        self._reading()
        if self.kind == "video" and not self.is_enabled():
            return None
        self._drop_down_to(round(self._settings.backlog / _FRAME[self.kind]))
        self._waiting += 1
        try:
            got: Any = await self._track.recv()
        finally:
            self._waiting -= 1
        if isinstance(got, Piece):
            self.sound.note(got.samples, asyncio.get_running_loop().time())
            if self.tap is not None:
                self.tap(got.frame())
        return got

    def prefer(self, wanted: SoundFormat) -> None:
        """Have sound decoded straight to a format, or the nearest that the codec has; from the next packet on."""
        if self._player is not None:
            self._player.prefer(wanted)

    def discard_old_frames(self) -> None:
        """Forget what was decoded and not read."""
        self._drop_down_to(0)

    def stop(self) -> None:
        """End the track; a pending `recv` raises `MediaStreamError`."""
        if self._stopped:
            return
        self._stopped = True
        if self._idle is not None:
            self._idle.cancel()
        aiortc_internals.set_receiving(self._receiver, False)
        aiortc_internals.end_track(self._track)

    def _reading(self) -> None:
        if self._stopped:
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        self._last_read = loop.time()
        if self._idle is None:
            aiortc_internals.set_receiving(self._receiver, True)
            self._idle = loop.call_later(self._settings.idle_after, self._look_idle)

    def _look_idle(self) -> None:
        loop = asyncio.get_running_loop()
        if self._waiting:
            self._last_read = loop.time()
        rest = self._last_read + self._settings.idle_after - loop.time()
        if rest > 0:
            self._idle = loop.call_later(rest, self._look_idle)
            return
        self._idle = None
        aiortc_internals.set_receiving(self._receiver, False)
        self.discard_old_frames()

    def _drop_down_to(self, frames: int) -> None:
        self.frames_dropped += aiortc_internals.drop_frames(self._track, frames)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._track, name)


class Slot:
    """The place of one outgoing track in a conversation: what the bot plays now, over all peer connections."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.source: MediaStreamTrack | None = None
        self.owner = 0
        "Number of the newest `SlotTrack` that has begun to send."
        self.tap: FrameTap | None = None
        self._changed = asyncio.Event()
        self._numbers = itertools.count(1)
        self._readers: set[asyncio.Task[Any]] = set()
        "Who waits for the source's next frame; one is taken out when it is to wait no more."
        self._leaving: set[asyncio.Task[None]] = set()

    def replace(self, source: MediaStreamTrack | None) -> None:
        """Play another track, or none; a `recv` on the old one is given up.

        Pipecat's output waits until what it gave to its track has been taken, and makes a new track after each
        restart: what is left in the old one is taken, unheard, so that it does not wait for ever.
        """
        old, self.source = self.source, source
        for reader in self._readers:
            reader.cancel()
        self._readers.clear()
        self._wake()
        if old is not None and old is not source and old.kind == "audio" and not isinstance(old, BotAudioTrack):
            task = asyncio.ensure_future(self._take_the_rest(old))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _take_the_rest(self, old: MediaStreamTrack) -> None:
        """At the old track's own pace; the sound is counted too, for one that is behind its clock does not pause."""
        left = _LAST_WORDS
        try:
            async with asyncio.timeout(_LAST_WORDS):
                while left > 0 and self.source is not old:
                    frame: Any = await old.recv()
                    left -= frame.samples / frame.sample_rate
        except (TimeoutError, MediaStreamError):
            return
        except Exception:
            logger.exception("a track that was replaced failed")

    def end(self) -> None:
        """The conversation is over: what plays is stopped."""
        source = self.source
        self.replace(None)
        if source is not None:
            source.stop()

    def track(self) -> "SlotTrack":
        """A track for a new peer connection to send."""
        return SlotTrack(self, next(self._numbers))

    def take_over(self, number: int) -> None:
        """The `SlotTrack` of that number begins to send; older ones stop."""
        if number > self.owner:
            self.owner = number
            self._wake()

    async def next_frame(self, number: int) -> Any:
        """The next frame of whatever plays, for the track that has the slot."""
        while True:
            if number < self.owner or self.source is None:
                await self._changed.wait()
                continue
            source, reader = self.source, asyncio.current_task()
            assert reader is not None
            self._readers.add(reader)
            try:
                return await source.recv()
            except MediaStreamError:
                if self.source is source:
                    self.source = None
            except asyncio.CancelledError:
                if reader in self._readers or reader.cancelling() > 1:  # it was not `replace`, or not only
                    raise
            finally:
                if reader in self._readers:
                    self._readers.remove(reader)
                else:
                    reader.uncancel()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class SlotTrack(MediaStreamTrack):
    """What one peer connection sends of a slot: in one format, with timestamps that only grow.

    Ending it (as aiortc does when the peer connection closes) leaves the bot's own track alone.
    """

    def __init__(self, slot: Slot, number: int) -> None:
        super().__init__()
        self.kind = slot.kind
        self._slot, self._number = slot, number
        self.give(48_000, 2)
        self.sound = RecentSound()
        self._ready: list[av.AudioFrame] = []
        self._last_in: int | None = None
        self._pts = 0

    def give(self, rate: int, channels: int) -> None:
        """Convert sound to this format from now on; timestamps count 48 kHz whatever the rate."""
        self._converter = Converter(rate, channels)

    async def recv(self) -> Any:
        """The next frame for the encoder."""
        self._slot.take_over(self._number)
        if self.kind == "video":
            return await self._slot.next_frame(self._number)
        while not self._ready:
            frame = await self._slot.next_frame(self._number)
            if self._slot.tap is not None:
                self._slot.tap(frame)
            self._advance(frame)
            self._ready = self._converter.convert_frame(frame)
        return self._stamp(self._ready.pop(0))

    def _advance(self, frame: av.AudioFrame) -> None:
        """Follow a gap in the source's timestamps (RFC 3550: time passes in silence too)."""
        if frame.pts is None or frame.time_base is None:
            return
        base = frame.time_base
        start = frame.pts * 48_000 * base.numerator // base.denominator
        if self._last_in is not None and _LEAST_GAP <= start - self._last_in < 48_000 * 3600:
            self._pts += start - self._last_in
        self._last_in = start + frame.samples * 48_000 // frame.sample_rate

    def _stamp(self, frame: av.AudioFrame) -> av.AudioFrame:
        frame.pts, frame.time_base = self._pts, _TIME_BASE
        self._pts += frame.samples * 48_000 // frame.sample_rate
        self.sound.note(np.frombuffer(to_bytes(frame), np.int16), asyncio.get_running_loop().time())
        return frame


class BotAudioTrack(MediaStreamTrack):
    """What a bot says, paced: 20 ms of what was written, or silence, every 20 ms of monotonic time.

    Where nobody sends (a peer connection is being replaced), time goes on all the same: a writer is never held
    up by a peer that is gone.

    With `live`, what is written is sound of now and leaves at its writer's pace: see `LiveSound`. No write waits then.
    """

    kind = "audio"

    def __init__(self, channels: int = 1, settings: OutboundAudio | None = None, *, live: bool = False) -> None:
        super().__init__()
        self._settings = settings or OutboundAudio()
        self._channels = channels
        self._samples = round(self._settings.frame * self._settings.rate)
        self._silence = bytes(self._samples * channels * BYTES_PER_SAMPLE)
        self._live = LiveSound(channels, self._settings) if live else None
        self._queue = self._live.queue if self._live else PlayoutQueue(channels, self._settings)
        self._clock = FrameClock(self._settings)
        self._taken = asyncio.Event()
        self._written = asyncio.Event()
        self._writing = asyncio.Lock()
        self._speaking = False
        self._draining = 0
        self._last_taken: float | None = None
        self._listeners = 0
        self._generation = 0
        self.tap: Tap | None = None
        self.underruns = 0
        "Frames in which sound ran out in the middle of speech."

    @property
    def rate(self) -> int:
        """Hz."""
        return self._settings.rate

    @property
    def queued_seconds(self) -> float:
        return self._queue.seconds

    @property
    def live_dropped(self) -> int:
        """Samples of live sound that were never sent."""
        return self._live.dropped if self._live else 0

    async def write(self, audio: bytes) -> None:
        """Queue sound in the track's format; returns when no more than the look-ahead is still to be played.

        Of several writers each is heard whole, in the order in which they came.
        """
        if self.readyState != "live":
            await self._as_if_played(audio)
            return
        if self._live is not None:
            self._live.put(audio)
            self._written.set()
            await asyncio.sleep(0)  # a writer that writes without end shares the loop
            return
        generation = self._generation
        async with self._writing:
            await self._write(audio, generation)

    async def _as_if_played(self, audio: bytes) -> None:
        """A bot that does not look whether anybody is there goes on at the pace of speech, not at that of the CPU."""
        seconds = len(audio) / (BYTES_PER_SAMPLE * self._channels * self._settings.rate)
        await asyncio.sleep(min(seconds, _LONGEST_PRETENCE))

    async def _write(self, audio: bytes, generation: int) -> None:
        if generation != self._generation or self.readyState != "live":
            return
        rest = self._queue.put(audio)
        self._written.set()
        while rest or not self._queue.has_room:
            await self._room()
            if generation != self._generation or self.readyState != "live":
                return
            rest = self._queue.put(rest)
            self._written.set()

    async def drain(self) -> None:
        """Wait until all that was written has been played out."""
        self._draining += 1
        self._written.set()
        try:
            while self._queue.seconds and self.readyState == "live":
                await self._room()
            for _ in range(_UNTIL_SENT if self._listeners or self._last_taken else 0):
                await self._room()
        finally:
            self._draining -= 1

    def clear(self) -> None:
        """Drop what was written and not played, but for a short fade-out; waiting writers return."""
        self._generation += 1
        self._queue.clear()
        self._written.set()
        self._tell_taken()

    def stop(self) -> None:
        """End the track: waiting writers return."""
        super().stop()
        self._written.set()
        self._tell_taken()

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, when they are due; raises `MediaStreamError` when the track was stopped."""
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        self._listeners += 1
        try:
            audio, position = await (self._paced() if self._live is None else self._flow(self._live))
        finally:
            self._listeners -= 1
        self._last_taken = loop.time()
        self._tell_taken()
        if self.tap is not None:
            self.tap(audio, position, self._last_taken)
        return to_av_frame(audio, self._settings.rate, self._channels, position)

    async def _paced(self) -> tuple[bytes, int]:
        """What was written, or silence, when our clock says so; with its position."""
        loop = asyncio.get_running_loop()
        tick = self._clock.next(loop.time())
        await asyncio.sleep(max(0.0, tick.due - loop.time()))
        if self._speaking:
            await self._wait_for_more()
        audio = self._queue.take(self._samples)
        self._speaking = len(audio) == len(self._silence)
        if not self._speaking:
            self.underruns += bool(audio)
            audio += self._silence[len(audio) :]
        return audio, tick.index * self._samples

    async def _flow(self, sound: LiveSound) -> tuple[bytes, int]:
        """What was written, as soon as it is enough for a frame, or silence where nothing comes; with its position."""
        loop = asyncio.get_running_loop()
        await self._catch_up(sound)
        while (frame := sound.take(loop.time())) is None:
            self._written.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(sound.due(loop.time())):
                    await self._written.wait()
            await self._catch_up(sound)
            if self.readyState != "live":
                raise MediaStreamError
        return frame

    async def _catch_up(self, sound: LiveSound) -> None:
        """After a moment in which the loop stood still, what was said meanwhile needs some turns of it to get here."""
        now = asyncio.get_running_loop().time()
        if now - sound.due(now) < _STOOD_STILL:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.grace):
                while not sound.is_complete and self.readyState == "live":
                    self._written.clear()
                    await self._written.wait()

    async def _wait_for_more(self) -> None:
        """Give a bot that speaks as it hears, or whose next piece is late, a moment: late sound beats silence."""
        generation = self._generation
        try:
            async with asyncio.timeout(self._settings.grace):
                while self._may_get_more(generation):
                    self._written.clear()
                    await self._written.wait()
        except TimeoutError:
            return

    def _may_get_more(self, generation: int) -> bool:
        short = self._queue.seconds < self._settings.frame
        over = self._draining or self.readyState != "live" or generation != self._generation
        return short and not over

    async def _room(self) -> None:
        """Wait until a frame was taken, or let time take it where nobody listens; a stall of the loop takes none."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._settings.high_water):
                await self._taken.wait()
        except TimeoutError:
            if self._listeners:
                return
            before = max(began, self._last_taken or began)
            self._last_taken = loop.time()
            self._queue.skip(self._last_taken - before)

    def _tell_taken(self) -> None:
        taken, self._taken = self._taken, asyncio.Event()
        taken.set()
