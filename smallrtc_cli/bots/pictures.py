"""The pictures of a person's call: those of a file or a test card go out, the bot's are kept."""

import asyncio
import contextlib
from collections.abc import Callable, Generator
from pathlib import Path

import av

from smallrtc_cli.audio.ahead import one_ahead
from smallrtc_cli.bots import colour_bars, video_file
from smallrtc_cli.bots.video_file import Picture
from smallrtc_cli.bots.video_recording import BROKEN, VideoRecording
from smallrtc_cli.errors import UnreadableVideo
from smallrtc_cli.protocol.session import State
from smallrtc_cli.rtc.transport import SmallWebRTCTransport

TEST = "test"
"In place of a file: the test card."

CAMERA = 1
"The `receiver_index` of `trackStatus`."

_LATE = 0.2
"Seconds by which a picture may be late; beyond that the film goes on from there, and does not hurry."


def require_video(what: str | Path) -> None:
    """Raises `UnreadableVideo` unless there are pictures in it."""
    with contextlib.closing(_pictures(str(what))) as pictures:
        next(pictures)


class Camera:
    """Sends pictures, a file's again and again at their own pace, while it is on."""

    def __init__(
        self,
        transport: SmallWebRTCTransport,
        what: str | Path,
        on_trouble: Callable[[str], object] | None = None,
    ) -> None:
        """`what` is a file that libav reads, or `test`; `on_trouble` is told in a sentence why there is no more."""
        self._transport, self._what, self._on_trouble = transport, str(what), on_trouble
        self.on = True

    def switch(self, on: bool) -> None:
        """Send pictures or none from now on, and tell the other side."""
        self.on = on
        if not on:
            self._transport.hide_image()
        self._transport.connection.set_track_enabled(CAMERA, on)

    async def run(self) -> None:
        """Until the conversation is over, or the file breaks off."""
        try:
            async with contextlib.aclosing(one_ahead(_pictures(self._what))) as pictures:
                began = asyncio.get_running_loop().time()
                async for picture in pictures:
                    began = await _due(picture.at, began)
                    if self._transport.connection.state is State.CLOSED:
                        return
                    if self.on:
                        await self._transport.send_image(picture.image)
        except UnreadableVideo as error:
            if self._on_trouble is not None:
                self._on_trouble(f"no more pictures are sent: {error}")


async def _due(at: float, began: float) -> float:
    """Wait until a picture is due; returns when the film began, which is later where pictures were late."""
    now = asyncio.get_running_loop().time()
    if now > began + at + _LATE:
        return now - at
    await asyncio.sleep(began + at - now)
    return began


def _pictures(what: str) -> Generator[Picture]:
    return _test_card() if what == TEST else video_file.pictures(what)


def _test_card() -> Generator[Picture]:
    number = 0
    while True:
        image = av.VideoFrame.from_ndarray(colour_bars.picture(number), format="rgb24")
        yield Picture(image.reformat(format="yuv420p"), number / colour_bars.RATE)
        number += 1


async def keep_pictures(transport: SmallWebRTCTransport, path: Path, on_trouble: Callable[[str], object]) -> None:
    """Write the bot's pictures into a file until the conversation is over; `require_place` has found it good.

    What is missing in it is told in a sentence.
    """
    loop, came = asyncio.get_running_loop(), False
    recording = VideoRecording(path)
    try:
        async for frame in transport.images():
            came = True
            recording.add(frame, loop.time())
    except BROKEN as error:
        on_trouble(f"the pictures in `{path}` end here: {(getattr(error, 'strerror', None) or str(error)).lower()}")
    finally:
        await recording.close()
        if recording.dropped:
            on_trouble(f"{recording.dropped} pictures are missing in `{path}`: this machine was too slow for them")
        if not came:
            on_trouble(f"the bot showed no picture: there is no `{path}`")
