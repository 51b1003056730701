"""A bot's sound as it reads and writes it: what `SmallWebRTCTransport` gives as `input()` and `output()`."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from aiortc.mediastreams import MediaStreamError

from smallrtc_cli.audio.codecs import native_rate
from smallrtc_cli.audio.pcm import BYTES_PER_SAMPLE, AudioRawFrame, Converter, InputAudioRawFrame, check_format
from smallrtc_cli.audio.piece import TICKS
from smallrtc_cli.rtc.audio_receiver import SoundFormat
from smallrtc_cli.rtc.bot_audio_track import BotAudioTrack, Tap
from smallrtc_cli.rtc.tracks import SmallWebRTCTrack

if TYPE_CHECKING:
    from smallrtc_cli.rtc.transport import SmallWebRTCTransport


class AudioInput:
    """A client's sound: `async for frame in transport.input()`, until the client is gone.

    Frames come as they arrive, 20 ms each at the rate and channel count of the params. A slow reader loses the oldest
    sound beyond 200 ms. Restarts of the peer connection are not seen here.
    """

    def __init__(self, transport: "SmallWebRTCTransport", rate: int, channels: int) -> None:
        self._transport = transport
        self._rate, self._channels = rate, channels
        self._converter = Converter(rate, channels)
        self._track: SmallWebRTCTrack | None = None
        self._ended: SmallWebRTCTrack | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> InputAudioRawFrame:
        await self._transport.start()
        while (frame := await self._read()) is None:
            pass
        return frame

    async def _read(self) -> InputAudioRawFrame | None:
        if self._track is None:
            self._track = await self._transport.connection.next_audio_track(after=self._ended)
            if self._track is not None:
                self._track.prefer(SoundFormat(self._rate, self._channels))
        if self._track is None:
            self.release()
            raise StopAsyncIteration
        try:
            piece = await self._track.read()
        except MediaStreamError:
            self._ended, self._track = self._track, None
            return None
        audio = self._converter.convert(piece.samples.tobytes(), piece.rate, piece.channels)
        pts = piece.position * self._rate // TICKS
        return InputAudioRawFrame(audio, self._rate, self._channels, pts) if audio else None

    def release(self) -> None:
        """The conversation is over: libav's threads end now, not with the next garbage collection."""
        self._converter.reset()


class AudioOutput:
    """A bot's way to be heard: sound of any rate, one or two channels, any length.

    It goes to the codec at the rate of what is written first, and at a higher one from the first sound on that has it:
    nothing stands in the way of a bot that keeps to a rate that Opus has, and no other loses anything.
    """

    def __init__(self, transport: "SmallWebRTCTransport", track: BotAudioTrack, rate: int, channels: int) -> None:
        self._transport, self._track = transport, track
        self._rate, self._channels = rate, channels
        self._converter = Converter(track.rate, track.channels)
        self._format: tuple[int, int] | None = None
        "Rate and channels of what was written last."
        self._highest = 0
        "Hz of what was written so far."
        self._writing = asyncio.Lock()
        self._cleared = 0

    async def write(self, frame: AudioRawFrame | bytes) -> None:
        """Play a frame, or s16le bytes at the params' rate and channel count, behind what was written before.

        Returns when no more than 60 to 80 ms are still to be heard: a bot may write as fast as it likes. After the
        end of the conversation what is written goes nowhere, at the pace of speech. Raises `WrongFormat` for a frame
        that cannot be played.
        """
        await self._transport.start()
        if not isinstance(frame, AudioRawFrame):
            frame = AudioRawFrame(frame, self._rate, self._channels)
        if (frame.sample_rate, frame.num_channels) != self._format:
            self._follow(frame.sample_rate, frame.num_channels)
        cleared = self._cleared
        async with self._writing:
            for piece in _seconds_of(frame):
                if cleared == self._cleared:
                    await self._write(piece)
                if self._track.readyState != "live":
                    return

    async def _write(self, frame: AudioRawFrame) -> None:
        audio = self._converter.convert(frame.audio, frame.sample_rate, frame.num_channels)
        await self._track.write(audio, self._converter.rate)

    def _follow(self, rate: int, channels: int) -> None:
        check_format(rate, channels)
        self._format = (rate, channels)
        native = native_rate(rate)
        if native > self._highest:
            self._highest, self._converter = native, Converter(native, self._track.channels)

    def clear(self) -> None:
        """Be silent now: drop what was written and not heard, with a fade of 5 ms. A pending `write` returns."""
        self._cleared += 1
        self._converter.reset()
        self._track.clear()

    async def drain(self) -> None:
        """Return when all that was written has been played out."""
        await self._track.drain()

    def release(self) -> None:
        """The conversation is over: see `AudioInput.release`."""
        self._converter.reset()

    def listen(self, tap: Tap | None) -> None:
        """Have `tap(audio, position, loop_time)` see all that is sent, silence too: s16le at the track's rate."""
        self._track.tap = tap


def _seconds_of(frame: AudioRawFrame) -> Iterator[AudioRawFrame]:
    """Its seconds: minutes at once would hold up all calls while they are converted, and be copied with each packet."""
    second = frame.sample_rate * frame.num_channels * BYTES_PER_SAMPLE
    if len(frame.audio) <= second:
        yield frame
        return
    for start in range(0, len(frame.audio), second):
        yield AudioRawFrame(frame.audio[start : start + second], frame.sample_rate, frame.num_channels)
