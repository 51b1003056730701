"""The video of one peer connection: packets that fit the path, and key frames."""

from collections.abc import Callable

from aiortc import RTCPeerConnection

from smallrtc_cli.protocol.packet_sizes import CAUTIOUS_MTU, Layers
from smallrtc_cli.rtc import aiortc_internals
from smallrtc_cli.rtc.path import PathReport


class PeerVideo:
    """What there is to say to the video transceivers."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self._pc = pc
        self._limits: dict[int, Callable[[int], None]] = {}

    def limit(self) -> None:
        """Video, too, leaves in packets that fit: the cautious size, until the path is known."""
        cautious = Layers(family=6, relay="udp").video_payload(CAUTIOUS_MTU)
        for index, transceiver in enumerate(self._pc.getTransceivers()):
            if transceiver.kind == "video" and index not in self._limits:
                change = aiortc_internals.limit_payload(transceiver, cautious)
                if change is not None:
                    self._limits[index] = change

    def fit(self, report: PathReport) -> None:
        """Use what the path was found to carry."""
        for change in self._limits.values():
            if report.ip_packet is not None:
                change(report.layers.video_payload(report.ip_packet))

    async def request_keyframes(self) -> None:
        """Ask for a picture that needs no earlier one, on every video track."""
        for transceiver in self._pc.getTransceivers():
            if transceiver.kind == "video":
                await aiortc_internals.request_keyframe(transceiver.receiver)
