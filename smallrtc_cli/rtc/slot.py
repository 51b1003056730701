"""The way out of a conversation, which outlives its peer connections.

A bot's sound and pictures belong to the conversation. A `Slot` holds the bot's current track; each peer connection
sends from it through a `SlotTrack` of its own, and the newest one that sends has the slot.
"""

import asyncio
import itertools
import logging
from typing import Any
from weakref import ReferenceType, ref

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from smallrtc_cli.audio.codecs import CODECS, Codec
from smallrtc_cli.audio.conversion import with_channels
from smallrtc_cli.audio.pcm import Converter, samples_of
from smallrtc_cli.audio.piece import TICKS, Piece
from smallrtc_cli.rtc.bot_audio_track import BotAudioTrack
from smallrtc_cli.rtc.levels import RecentSound
from smallrtc_cli.rtc.tracks import FrameTap

logger = logging.getLogger(__name__)

_LEAST_GAP = 480
"Ticks (10 ms): what is less is the rounding of a source's timestamps, which may be whole milliseconds."

_LAST_WORDS = 1.0
"Seconds of sound that are still taken from a track of the bot's that was replaced, for those who wait for that."


class Slot:
    """The place of one outgoing track in a conversation: what the bot plays now, over all peer connections."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.source: MediaStreamTrack | None = None
        self.given_by: ReferenceType[MediaStreamTrack] | None = None
        "Whose the last frame was; what it holds may hold the conversation."
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

    async def next_frame(self, number: int, seconds: float) -> Any:
        """The next frame of whatever plays, for the track that has the slot; a `Piece` of a track of our own.

        That lasts so many `seconds`, if it can; other tracks have frames of their own length. One that fails has ended.
        """
        while True:
            if number < self.owner or self.source is None:
                await self._changed.wait()
                continue
            source, reader = self.source, asyncio.current_task()
            assert reader is not None
            self._readers.add(reader)
            try:
                frame = await _frame_of(source, seconds)
                self.given_by = ref(source)
                return frame
            except MediaStreamError:
                self._ended(source)
            except asyncio.CancelledError:
                if reader in self._readers or reader.cancelling() > 1:  # it was not `replace`, or not only
                    raise
            except Exception:
                logger.exception("a track of the bot's failed, and is not played any more")
                self._ended(source)
            finally:
                if reader in self._readers:
                    self._readers.remove(reader)
                else:
                    reader.uncancel()

    def _ended(self, source: MediaStreamTrack) -> None:
        if self.source is source:
            self.source = None

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def _frame_of(source: MediaStreamTrack, seconds: float) -> Any:
    if isinstance(source, BotAudioTrack):
        return await source.next_piece(seconds)
    await asyncio.sleep(0)  # a track that never waits shares the loop
    return await source.recv()


class SlotTrack(MediaStreamTrack):
    """What one peer connection sends of a slot. Pictures are as the bot gave them; sound has positions that only grow.

    Ending it (as aiortc does when the peer connection closes) leaves the bot's own track alone.
    """

    def __init__(self, slot: Slot, number: int) -> None:
        super().__init__()
        self.kind = slot.kind
        self._slot, self._number = slot, number
        self.give(CODECS["audio/opus"], 2)
        self.sound = RecentSound()
        self._converter: Converter | None = None
        self._source: ReferenceType[MediaStreamTrack] | None = None
        self._last_in: int | None = None
        "Where the source's last frame ended; None before its first one, whose timestamp says nothing."
        self.refused = 0
        "Frames that could not be played."
        self._position = 0

    def give(self, codec: Codec, channels: int) -> None:
        """Give sound, from now on, at the rate of the codec's that loses nothing, and with no more channels."""
        self._codec, self._channels = codec, codec.channels_for(channels)

    async def recv(self) -> Any:
        """The next frame as the bot gave it: for pictures."""
        self._slot.take_over(self._number)
        return await self._slot.next_frame(self._number, 0)

    async def next_piece(self, seconds: float) -> Piece:
        """The next sound, for the encoder: of that length, if it comes from a track of ours."""
        self._slot.take_over(self._number)
        while True:
            given = await self._slot.next_frame(self._number, seconds)
            if self._slot.given_by != self._source:
                self._source, self._last_in = self._slot.given_by, None
            samples, rate = self._taken(given) if isinstance(given, Piece) else self._taken_frame(given)
            if len(samples):
                break
        self.sound.note(samples, asyncio.get_running_loop().time())
        position = self._position
        self._position += len(samples) * TICKS // rate
        return Piece(samples, rate, position)

    def _taken(self, piece: Piece) -> tuple[NDArray[np.int16], int]:
        """In the format for the encoder."""
        samples, rate, position = piece
        if self._slot.tap is not None:
            self._slot.tap(piece.frame)
        self._advance(position, len(samples) * TICKS // rate)
        if rate in self._codec.rates:
            return with_channels(samples, min(piece.channels, self._channels)), rate
        return self._converted(piece.frame)

    def _taken_frame(self, frame: av.AudioFrame) -> tuple[NDArray[np.int16], int]:
        """The same for a frame of any track; one that cannot be played costs itself alone."""
        try:
            return self._read(frame)
        except Exception:
            if not self.refused:
                logger.exception("a frame of the bot's track cannot be played")
            self.refused += 1
            return _nothing(), TICKS

    def _read(self, frame: av.AudioFrame) -> tuple[NDArray[np.int16], int]:
        if not frame.samples:
            return _nothing(), TICKS
        if self._slot.tap is not None:
            self._slot.tap(frame)
        if frame.pts is not None and frame.time_base is not None:
            base = frame.time_base
            start = frame.pts * TICKS * base.numerator // base.denominator
            self._advance(start, frame.samples * TICKS // frame.sample_rate)
        return self._converted(frame)

    def _converted(self, frame: av.AudioFrame) -> tuple[NDArray[np.int16], int]:
        rate = self._codec.rate_for(frame.sample_rate)
        channels = min(len(frame.layout.channels), self._channels)
        if self._converter is None or (self._converter.rate, self._converter.channels) != (rate, channels):
            self._converter = Converter(rate, channels)
        pieces = [samples_of(each) for each in self._converter.convert_frame(frame)]
        return np.concatenate(pieces) if pieces else np.zeros((0, channels), np.int16), rate

    def _advance(self, start: int, ticks: int) -> None:
        """Follow a gap in the source's timestamps (RFC 3550: time passes in silence too)."""
        if self._last_in is not None and _LEAST_GAP <= start - self._last_in < TICKS * 3600:
            self._position += start - self._last_in
        self._last_in = start + ticks


def _nothing() -> NDArray[np.int16]:
    return np.zeros((0, 1), np.int16)
