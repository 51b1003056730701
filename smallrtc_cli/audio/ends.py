"""The two ends of a person's call: where sound comes from and where it goes, and `pump`, which joins them.

A source gives 48 kHz mono, a sink takes 48 kHz stereo, both s16le bytes in pieces of any length.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Protocol

from smallrtc_cli.audio.pcm import BYTES_PER_SAMPLE

RATE = 48_000

STEREO_SAMPLE = 2 * BYTES_PER_SAMPLE


class Source(Protocol):
    """Where sound comes from. A failure is a `SmallRTCError` or an `OSError` out of the iteration."""

    @property
    def name(self) -> str:
        """What people see: `MacBook Microphone`, `talk.wav`."""

    @property
    def live(self) -> bool:
        """Whether it is sound of now, as from a device, or sound that can wait, as from a file."""

    @property
    def latency(self) -> float:
        """Seconds from the last sample of a piece at the microphone to the piece; 0 for what can wait."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Sink(Protocol):
    """Where sound goes. A failure is a `SmallRTCError` or an `OSError` out of `write`."""

    @property
    def name(self) -> str:
        """What people see."""

    @property
    def delay(self) -> float:
        """Seconds until what is written now is heard."""

    async def write(self, audio: bytes) -> None:
        """Take a piece; returns at once, and what cannot be played is dropped."""


class Nowhere:
    """A sink that only counts."""

    name = "nowhere"
    delay = 0.0

    def __init__(self) -> None:
        self.samples = 0
        "Per channel."

    async def write(self, audio: bytes) -> None:
        self.samples += len(audio) // STEREO_SAMPLE


async def pump(source: AsyncIterable[bytes], write: Callable[[bytes], Awaitable[None]]) -> None:
    """Write all that a source gives, until it ends; a source that is left half-way is closed."""
    pieces = aiter(source)
    try:
        async for piece in pieces:
            await write(piece)
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()
