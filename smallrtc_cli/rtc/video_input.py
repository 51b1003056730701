"""The other side's pictures, over restarts of the peer connection."""

import asyncio
from typing import TYPE_CHECKING, Self

import av
from aiortc.mediastreams import MediaStreamError

from smallrtc_cli.rtc.connection import VIDEO_TRANSCEIVER_INDEX
from smallrtc_cli.rtc.tracks import SmallWebRTCTrack

if TYPE_CHECKING:
    from smallrtc_cli.rtc.transport import SmallWebRTCTransport

_OFF = 0.1
"Seconds after which a camera that was switched off is looked at again."


class VideoInput:
    """`async for frame in transport.images()`: `av.VideoFrame`s as they arrive, until the conversation is over.

    A slow reader loses the oldest pictures beyond 200 ms.
    """

    def __init__(self, transport: "SmallWebRTCTransport") -> None:
        self._transport = transport
        self._track: SmallWebRTCTrack | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> av.VideoFrame:
        await self._transport.start()
        ended: SmallWebRTCTrack | None = None
        while True:
            if self._track is None:
                self._track = await self._transport.connection.next_track(VIDEO_TRANSCEIVER_INDEX, after=ended)
            if self._track is None:
                raise StopAsyncIteration
            try:
                frame = await self._track.recv()
            except MediaStreamError:
                ended, self._track = self._track, None
                continue
            if isinstance(frame, av.VideoFrame):
                return frame
            await asyncio.sleep(_OFF)
