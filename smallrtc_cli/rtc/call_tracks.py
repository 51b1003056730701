"""The tracks of a conversation, both ways, over all its peer connections.

What the bot sends has a `Slot` for each place, which stays. What the bot reads is a track of the present peer
connection: it is made when somebody asks for it, and ends with that.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial

from aiortc import MediaStreamTrack

from smallrtc_cli.config import InboundAudio
from smallrtc_cli.rtc.media_sections import (
    AUDIO_TRANSCEIVER_INDEX,
    SCREEN_VIDEO_TRANSCEIVER_INDEX,
    VIDEO_TRANSCEIVER_INDEX,
)
from smallrtc_cli.rtc.peer import Peer
from smallrtc_cli.rtc.slot import Slot
from smallrtc_cli.rtc.tracks import FrameTap, SmallWebRTCTrack

logger = logging.getLogger(__name__)

SOURCES = {
    AUDIO_TRANSCEIVER_INDEX: "microphone",
    VIDEO_TRANSCEIVER_INDEX: "camera",
    SCREEN_VIDEO_TRANSCEIVER_INDEX: "screen",
}


class CallTracks:
    """Slots and open tracks, by transceiver: 0 microphone, 1 camera, 2 screen."""

    def __init__(self, name: str, settings: InboundAudio, is_enabled: Callable[[int], bool]) -> None:
        """`is_enabled` tells whether the other side says that it sends."""
        self._name, self._settings, self._is_enabled = name, settings, is_enabled
        self.slots = {
            AUDIO_TRANSCEIVER_INDEX: Slot("audio"),
            VIDEO_TRANSCEIVER_INDEX: Slot("video"),
            SCREEN_VIDEO_TRANSCEIVER_INDEX: Slot("video"),
        }
        self._open: dict[int, SmallWebRTCTrack] = {}
        self._heard: FrameTap | None = None

    @property
    def open(self) -> Mapping[int, SmallWebRTCTrack]:
        """The tracks that have been asked for."""
        return dict(self._open)

    @property
    def frames_dropped(self) -> int:
        """By the tracks that are open."""
        return sum(track.frames_dropped for track in self._open.values())

    def present(self, peer: Peer | None, index: int) -> SmallWebRTCTrack | None:
        """The track of a place, the same object until the peer is another one; None if none was negotiated."""
        receiver = peer.receiver(index) if peer else None
        if peer is None or receiver is None:
            return None
        if index not in self._open:
            is_enabled = partial(self._is_enabled, index)
            self._open[index] = SmallWebRTCTrack(receiver, is_enabled, self._settings, peer.sound.player(index))
            if index == AUDIO_TRANSCEIVER_INDEX:
                self._open[index].tap = self._heard
        return self._open[index]

    def input(self, peer: Peer | None, index: int) -> SmallWebRTCTrack | None:
        """`present`, with a warning where that is None: somebody counts on it."""
        track = self.present(peer, index)
        if track is None:
            logger.warning("%s: no %s was negotiated", self._name, SOURCES[index])
        return track

    def listen_in(self, heard: FrameTap, said: FrameTap) -> None:
        """Show the sound of both directions, as the bot has it, from now on."""
        self._heard = heard
        self.slots[AUDIO_TRANSCEIVER_INDEX].tap = said
        if AUDIO_TRANSCEIVER_INDEX in self._open:
            self._open[AUDIO_TRANSCEIVER_INDEX].tap = heard

    def replace(self, index: int, track: MediaStreamTrack | None) -> None:
        """Send another track, or none, from now on."""
        self.slots[index].replace(track)

    def release(self) -> list[SmallWebRTCTrack]:
        """Another peer has come: end what was read of the one before; returns that."""
        ended = list(self._open.values())
        for track in ended:
            track.stop()
        self._open.clear()
        return ended

    def end(self) -> None:
        """The conversation is over, in both directions."""
        for track in self._open.values():
            track.stop()
        for slot in self.slots.values():
            slot.end()
