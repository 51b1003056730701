"""The sections of a description: their order, which is their meaning, their codecs, and what is sent in them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiortc import RTCDataChannel, RTCPeerConnection, RTCRtpSender

from smallrtc_cli.errors import UsageError
from smallrtc_cli.rtc import aiortc_audio
from smallrtc_cli.rtc.peer_sound import PeerSound
from smallrtc_cli.rtc.slot import Slot

AUDIO_TRANSCEIVER_INDEX = 0
VIDEO_TRANSCEIVER_INDEX = 1
SCREEN_VIDEO_TRANSCEIVER_INDEX = 2

CHANNEL_LABEL = "chat"
"As Pipecat's JavaScript client names it; servers accept any."


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """What the dialing side offers."""

    video: bool = True
    "Offer camera and screen beside the microphone, as browsers do."

    audio_codec: str | None = None
    video_codec: str | None = None
    "Offer only this codec, such as `PCMU` or `H264`."


def add_sections(pc: RTCPeerConnection, media: MediaOptions) -> RTCDataChannel:
    """Add what is offered, and the data channel, which is returned; raises `UsageError` for an unknown codec."""
    directions = {AUDIO_TRANSCEIVER_INDEX: ("audio", "sendrecv")}
    if media.video:
        directions[VIDEO_TRANSCEIVER_INDEX] = ("video", "sendrecv")
        directions[SCREEN_VIDEO_TRANSCEIVER_INDEX] = ("video", "sendonly")
    for kind, direction in directions.values():
        transceiver = pc.addTransceiver(kind, direction)
        codec = media.audio_codec if kind == "audio" else media.video_codec
        if codec is not None:
            transceiver.setCodecPreferences(_only(kind, codec))
    return pc.createDataChannel(CHANNEL_LABEL, ordered=True)


def fill_sections(
    pc: RTCPeerConnection, slots: Mapping[int, Slot], sound: PeerSound, before: Callable[[], Awaitable[None]]
) -> None:
    """Have what plays in each slot sent in the section of its place, if that is of its kind; `before` comes first."""
    for index, transceiver in enumerate(pc.getTransceivers()):
        slot = slots.get(index)
        if slot is None or slot.kind != transceiver.kind or transceiver.sender.track is not None:
            continue
        if slot.kind == "audio":
            sound.send(transceiver, slot)
        else:
            transceiver.sender.replaceTrack(slot.track())
        aiortc_audio.send_after(transceiver.sender, before)


def force_directions(pc: RTCPeerConnection) -> None:
    """Send and receive on the first two transceivers, only receive on others (a shared screen)."""
    for index, transceiver in enumerate(pc.getTransceivers()):
        transceiver.direction = "sendrecv" if index <= VIDEO_TRANSCEIVER_INDEX else "recvonly"


def _only(kind: str, name: str) -> list[Any]:
    """The codecs to offer when one is wanted: that one and its retransmission format."""
    codecs = RTCRtpSender.getCapabilities(kind).codecs
    chosen = [c for c in codecs if c.mimeType.partition("/")[2].lower() == name.lower()]
    if not chosen:
        known = ", ".join(sorted({c.mimeType.partition("/")[2] for c in codecs} - {"rtx"}))
        raise UsageError(f"there is no {kind} codec `{name}`", hint=f"choose one of {known}")
    return chosen + [c for c in codecs if c.mimeType.lower().endswith("/rtx")]
