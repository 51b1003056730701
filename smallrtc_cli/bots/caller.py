"""The bot that measures: it plays a known sound and keeps what comes back, then sends messages and counts them.

It speaks to any bot that echoes sound and application messages. What it kept is for `audio.analysis` to judge.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.pcm import BYTES_PER_SAMPLE, InputAudioRawFrame, OutputAudioRawFrame, level_dbfs
from smallrtc_cli.audio.recording import Recording
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams

RATE = 48_000
FRAME = 0.02
"Seconds that are written at once."

PARAMS = TransportParams(
    audio_in_enabled=True,
    audio_in_sample_rate=RATE,
    audio_in_channels=2,
    audio_out_enabled=True,
    audio_out_sample_rate=RATE,
    audio_out_channels=2,
)

AUDIBLE = -50.0
"dBFS; what is louder counts as sound that came back."

QUIET = 0.3
LONGEST_TAIL = 2.0
"Seconds of silence after which an echo counts as over, and how long it is waited for at most."

SIZES = (1, 100, 1_000, 10_000, 64_000)
"Characters of padding in a message."

MESSAGES_A_SIZE = 20
BURST = 100
"Messages sent without waiting for any, to see whether all come back in order."

MESSAGE_TIMEOUT = 5.0


class Tape:
    """Sound as it passes, with the time of each frame."""

    def __init__(self) -> None:
        self._pieces: list[NDArray[np.int16]] = []
        self._marks: list[tuple[int, float]] = []
        self._length = 0
        self.first_sound: float | None = None
        self.last_sound: float | None = None

    def add(self, audio: bytes, time: float) -> None:
        """Keep stereo s16 samples whose first one belongs to `time`."""
        samples = np.frombuffer(audio, dtype="<i2").reshape(-1, 2)
        self._marks.append((self._length, time))
        self._pieces.append(samples)
        self._length += len(samples)
        if level_dbfs(samples) > AUDIBLE:
            self.first_sound = self.first_sound or time
            self.last_sound = time

    def add_left(self, audio: bytes, position: int, time: float) -> None:  # noqa: ARG002
        """The same for what leaves at `time`: it was said just before that, as long as it lasts."""
        self.add(audio, time - len(audio) / (2 * BYTES_PER_SAMPLE * RATE))

    def recording(self) -> Recording:
        """All of it."""
        samples = np.concatenate(self._pieces) if self._pieces else np.zeros((0, 2), np.int16)
        return Recording(samples, RATE, tuple(self._marks))


@dataclass(slots=True)
class Messages:
    """What became of the messages; round trips in seconds."""

    sent: int = 0
    lost: int = 0
    reordered: int = 0
    round_trips: dict[int, list[float]] = field(default_factory=dict)
    "By the characters of padding."


@dataclass(frozen=True, slots=True)
class Call:
    """What a call gave."""

    sent: Recording
    received: Recording
    first_sound: float | None
    "When the first audible frame came back, in loop time."

    messages: Messages


async def call(transport: SmallWebRTCTransport, sound: NDArray[np.int16]) -> Call:
    """Play `sound`, shape `(n, 1 or 2)` at 48 kHz, to an echo; then try the messages. The transport has `PARAMS`."""
    sent, received = Tape(), Tape()
    transport.output().listen(sent.add_left)
    listening = asyncio.create_task(_listen(transport, received))
    try:
        for piece in _pieces(sound):
            await transport.output().write(piece)
        await transport.output().drain()
        await _echo_over(received)
        transport.output().listen(None)
        messages = await _try_messages(transport)
    finally:
        listening.cancel()
        await asyncio.wait({listening})
    if not listening.cancelled():
        listening.result()
    return Call(sent.recording(), received.recording(), received.first_sound, messages)


async def _listen(transport: SmallWebRTCTransport, tape: Tape) -> None:
    loop = asyncio.get_running_loop()
    frame: InputAudioRawFrame
    async for frame in transport.input():
        tape.add(frame.audio, loop.time())


def _pieces(sound: NDArray[np.int16]) -> Iterator[OutputAudioRawFrame]:
    step = round(RATE * FRAME)
    for start in range(0, len(sound), step):
        piece = np.ascontiguousarray(sound[start : start + step])
        yield OutputAudioRawFrame(piece.astype("<i2").tobytes(), RATE, sound.shape[1])


async def _echo_over(tape: Tape) -> None:
    """Wait until nothing audible has come for a while: an echo of unknown delay has ended then."""
    loop = asyncio.get_running_loop()
    spoken = loop.time()
    while loop.time() < spoken + LONGEST_TAIL:
        quiet_at = max(spoken, tape.last_sound or 0.0) + QUIET
        if loop.time() >= quiet_at:
            return
        await asyncio.sleep(quiet_at - loop.time())


async def _try_messages(transport: SmallWebRTCTransport) -> Messages:
    probe = _MessageProbe(transport)
    for size in SIZES:
        for _ in range(MESSAGES_A_SIZE):
            if not await probe.round_trip(size):
                break  # the channel is reliable: what did not come back in time stands for all of its size
    await probe.burst()
    return probe.result()


class _MessageProbe:
    """Numbers messages and recognises them when they come back."""

    def __init__(self, transport: SmallWebRTCTransport) -> None:
        self._transport = transport
        self._result = Messages()
        self._back: list[int] = []
        self._waiting: dict[int, asyncio.Future[float]] = {}
        transport.add_event_handler("on_app_message", self._came_back)

    def _came_back(self, transport: SmallWebRTCTransport, message: dict[str, Any], sender: str) -> None:  # noqa: ARG002
        number = message.get("loopback")
        if isinstance(number, int) and number in self._waiting:
            self._back.append(number)
            self._waiting.pop(number).set_result(asyncio.get_running_loop().time())

    async def _send(self, size: int) -> asyncio.Future[float]:
        number, self._result.sent = self._result.sent, self._result.sent + 1
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._transport.send_message({"loopback": number, "padding": "x" * size})
        return answer

    async def round_trip(self, size: int) -> bool:
        """Send one message and wait for it; whether it came back in time."""
        started = asyncio.get_running_loop().time()
        answer = await self._send(size)
        done, _ = await asyncio.wait({answer}, timeout=MESSAGE_TIMEOUT)
        if done:
            self._result.round_trips.setdefault(size, []).append(answer.result() - started)
        return bool(done)

    async def burst(self) -> None:
        """Send many without waiting, then wait for all."""
        answers = [await self._send(SIZES[n % 3]) for n in range(BURST)]
        await asyncio.wait(answers, timeout=MESSAGE_TIMEOUT)

    def result(self) -> Messages:
        self._result.lost = len(self._waiting)
        self._result.reordered = sum(a > b for a, b in zip(self._back, self._back[1:], strict=False))
        return self._result
