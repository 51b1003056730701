"""What a client sends, as a bot reads it: decoded only while somebody reads, and never more than a short backlog.

Behind the seam `AudioReceiver` does the work for sound, and aiortc's own receiver for pictures.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import av
from aiortc import MediaStreamTrack, RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError

from smallrtc_cli.audio.piece import Piece
from smallrtc_cli.config import InboundAudio
from smallrtc_cli.rtc import aiortc_internals
from smallrtc_cli.rtc.audio_receiver import AudioReceiver, SoundFormat
from smallrtc_cli.rtc.levels import RecentSound

_FRAME = {"audio": 0.02, "video": 1 / 30}
"Seconds in a decoded frame: what every WebRTC sender packs, and how many pictures it sends."

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
        return got.frame if isinstance(got, Piece) else got

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
                self.tap(got.frame)
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
