"""The bot that is a person: what a microphone hears goes out, what the other side says comes to a speaker.

Both ends may be files, pipes or nothing. What goes wrong at one of them is told once, and the call goes on.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import numpy as np

from smallrtc_cli.audio.ends import RATE, Sink, Source, pump
from smallrtc_cli.audio.meter import Meter
from smallrtc_cli.audio.pcm import OutputAudioRawFrame, level_dbfs
from smallrtc_cli.errors import SmallRTCError
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams

MICROPHONE = 0
"The `receiver_index` of `trackStatus`."

AUDIBLE = -50.0
"dBFS; what is louder counts as the bot's first sound."

Spoken = Callable[[float, float, float], object]
"Told of each 20 ms: level in dBFS, loop time at which it began, seconds."


class Canceller(Protocol):
    """Takes the speaker's sound out of the microphone's; see `audio.echo.EchoCanceller`."""

    def heard(self, stereo: bytes) -> None:
        """What goes to the speaker."""

    def clean(self, mono: bytes) -> bytes:
        """What comes from the microphone, without the speaker; as much of it as is complete."""

    def set_delay(self, milliseconds: float) -> None:
        """From `heard` over loudspeaker and microphone to `clean`."""


def person_params(*, live: bool = False, video_in: bool = False, video_out: bool = False) -> TransportParams:
    """What the transport of a person needs; `live` as its source is."""
    return TransportParams(
        audio_in_enabled=True,
        audio_in_sample_rate=RATE,
        audio_in_channels=2,
        audio_out_enabled=True,
        audio_out_sample_rate=RATE,
        audio_out_channels=1,
        audio_out_live=live,
        video_in_enabled=video_in,
        video_out_enabled=video_out,
    )


class Person:
    """One person in one call. The transport has `person_params`; without a source silence is sent."""

    def __init__(
        self,
        transport: SmallWebRTCTransport,
        source: Source | None,
        sink: Sink | None,
        *,
        canceller: Canceller | None = None,
        muted: bool = False,
    ) -> None:
        self._transport, self._source, self._sink = transport, source, sink
        self._canceller = canceller
        self._latency = 0.0
        self._said, self._heard = Meter(), Meter()
        self.muted = False
        self.source_ended = asyncio.Event()
        "Set when the source has ended, or failed, and all of it was played out."
        self.first_bot_sound: float | None = None
        "When the bot could first be heard, in loop time."
        self.on_said: Spoken | None = None
        "What was sent, by the time at which it was at the microphone."
        self.on_heard: Spoken | None = None
        "What came, by the time at which it is at the speaker."
        self.on_trouble: Callable[[str], object] | None = None
        "Told in a sentence that the source or the sink has failed."
        transport.output().listen(self._left)
        if muted:
            self.mute(True)

    async def run(self) -> None:
        """Talk and listen until the conversation is over; a source that ends before leaves a listener."""
        await self._transport.start()
        async with asyncio.TaskGroup() as both:
            talking = both.create_task(self._talk())
            await self._listen()
            talking.cancel()

    def mute(self, muted: bool) -> None:
        """Send silence in place of sound from now on, and tell the other side; or sound again."""
        self.muted = muted
        if muted:
            self._transport.output().clear()
        self._transport.connection.set_track_enabled(MICROPHONE, not muted)

    @property
    def level_in(self) -> float:
        """dBFS of what goes out just now; −inf for silence."""
        return self._said.level(asyncio.get_running_loop().time())

    @property
    def level_out(self) -> float:
        """dBFS of what comes just now; −inf for silence."""
        return self._heard.level(asyncio.get_running_loop().time())

    async def _talk(self) -> None:
        if self._source is None:
            return
        try:
            await pump(self._source, self._say)
        except (SmallRTCError, OSError) as error:
            self._tell(f"the sound of `{self._source.name}` has ended: {_sentence(error)}")
        await self._transport.output().drain()
        self.source_ended.set()

    async def _say(self, audio: bytes) -> None:
        if self._canceller is not None:
            audio = self._canceller.clean(audio)
        if self.muted:
            audio = bytes(len(audio))
        if self._source is not None:
            self._latency = self._source.latency
        await self._transport.output().write(OutputAudioRawFrame(audio, RATE, 1))

    def _left(self, audio: bytes, position: int, now: float) -> None:  # noqa: ARG002
        """A piece of 20 ms or less leaves, sound or silence."""
        samples = np.frombuffer(audio, "<i2")
        dbfs, seconds = level_dbfs(samples), len(samples) / RATE
        self._said.note(dbfs, now)
        if self.on_said is not None:
            self.on_said(dbfs, now - seconds - self._latency, seconds)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        async for frame in self._transport.input():
            delay = self._sink.delay if self._sink is not None else 0.0
            self._note(frame.audio, frame.num_frames / RATE, loop.time(), delay)
            if self._canceller is not None:
                self._canceller.set_delay(1000 * (delay + self._latency))
                self._canceller.heard(frame.audio)
            if self._sink is not None:
                await self._play(self._sink, frame.audio)

    def _note(self, audio: bytes, seconds: float, now: float, delay: float) -> None:
        dbfs = level_dbfs(np.frombuffer(audio, "<i2"))
        self._heard.note(dbfs, now)
        if dbfs > AUDIBLE and self.first_bot_sound is None:
            self.first_bot_sound = now + delay
        if self.on_heard is not None:
            self.on_heard(dbfs, now + delay, seconds)

    async def _play(self, sink: Sink, audio: bytes) -> None:
        try:
            await sink.write(audio)
        except (SmallRTCError, OSError) as error:
            self._sink = None
            self._tell(f"the bot is not heard at `{sink.name}` any more: {_sentence(error)}")

    def _tell(self, sentence: str) -> None:
        if self.on_trouble is not None:
            self.on_trouble(sentence)


def _sentence(error: Exception) -> str:
    """Ours as it is: a name in it has its capitals."""
    return str(error) if isinstance(error, SmallRTCError) else (getattr(error, "strerror", None) or str(error)).lower()
