"""Pictures from a bot: the latest one, at a steady pace of monotonic time."""

import asyncio
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from smallrtc_cli.audio.pcm import FrameClock
from smallrtc_cli.config import OutboundAudio
from smallrtc_cli.errors import SmallRTCError

FRAME = 1 / 30
"Seconds for which a picture is shown."

_CLOCK_RATE = 90_000
"Hz of video timestamps (RFC 3551)."


class WrongPicture(SmallRTCError):
    """A picture whose bytes are not those of its size and format."""


@dataclass(frozen=True, slots=True)
class OutputImageRawFrame:
    """A picture for the client: `width * height * 3` bytes, packed RGB24, row by row."""

    image: bytes
    size: tuple[int, int]
    format: str = "RGB"


class BotVideoTrack(MediaStreamTrack):
    """Repeats the bot's present picture 30 times a second; nothing before the first one, and no burst after a stall."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._clock = FrameClock(OutboundAudio(frame=FRAME))
        self._picture: av.VideoFrame | None = None
        self._changed = asyncio.Event()

    def show(self, frame: OutputImageRawFrame | av.VideoFrame) -> None:
        """Show a picture from now on; raises `WrongPicture` and keeps the one before.

        An odd last row or column is left out: H.264 has even sizes only. A libav frame is taken as it is, in an even
        size: one in yuv420p costs the loop nothing.
        """
        self._picture = frame if isinstance(frame, av.VideoFrame) else _checked(frame)
        self._changed.set()

    def hide(self) -> None:
        """Show nothing, until the next picture."""
        self._picture = None
        self._changed.clear()

    def stop(self) -> None:
        super().stop()
        self._changed.set()

    async def recv(self) -> av.VideoFrame:
        """The present picture, when it is due; waits for the first one."""
        await self._changed.wait()
        picture = self._picture
        if picture is None or self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        tick = self._clock.next(loop.time())
        await asyncio.sleep(max(0.0, tick.due - loop.time()))
        frame = (self._picture or picture).reformat(format="yuv420p")
        frame.pts, frame.time_base = round(tick.index * FRAME * _CLOCK_RATE), Fraction(1, _CLOCK_RATE)
        return frame


def _checked(frame: OutputImageRawFrame) -> av.VideoFrame:
    width, height = frame.size
    if frame.format != "RGB":
        raise WrongPicture(f"a picture is in the format `{frame.format}`, not `RGB`")
    if width < 2 or height < 2 or len(frame.image) != width * height * 3:
        raise WrongPicture(f"a picture of {width} x {height} has {len(frame.image)} bytes, not {width * height * 3}")
    pixels = np.frombuffer(frame.image, dtype=np.uint8).reshape(height, width, 3)
    even = np.ascontiguousarray(pixels[: height - height % 2, : width - width % 2])
    return av.VideoFrame.from_ndarray(even, format="rgb24")
