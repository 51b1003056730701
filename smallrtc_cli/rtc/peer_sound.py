"""The sound of one peer connection, both ways: who plays what comes, who sends what goes, and how it is wanted."""

from collections.abc import Callable

from aiortc import RTCRtpReceiver, RTCRtpTransceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport

from smallrtc_cli.config import Settings
from smallrtc_cli.protocol.opus_fmtp import OpusParameters, read_opus
from smallrtc_cli.protocol.sdp import sections
from smallrtc_cli.rtc import aiortc_internals
from smallrtc_cli.rtc.audio_receiver import AudioReceiver, Demultiplexer
from smallrtc_cli.rtc.audio_sender import AudioSender
from smallrtc_cli.rtc.slot import Slot

OFFERED = OpusParameters(fec=True, stereo=True, sends_stereo=True)
"How the dialing side wants its sound, and sends it: as it was made."


class PeerSound:
    """Players by transceiver, and senders."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._demultiplexer: Demultiplexer | None = None
        self._players: dict[int, AudioReceiver] = {}
        self._senders: list[AudioSender] = []

    def play(self, index: int, receiver: RTCRtpReceiver, dtls: RTCDtlsTransport) -> Callable[[bytes], bool]:
        """Play what a receiver gets; returns what datagrams are to be shown to first."""
        if self._demultiplexer is None:
            self._demultiplexer = Demultiplexer(dtls)
        self._players[index] = AudioReceiver(receiver, self._settings.playout)
        self._demultiplexer.add(self._players[index])
        return self._demultiplexer.take

    def player(self, index: int) -> AudioReceiver | None:
        """What plays the sound of that place, if there is sound."""
        return self._players.get(index)

    def send(self, transceiver: RTCRtpTransceiver, slot: Slot) -> None:
        """Send what plays in a slot."""
        self._senders.append(AudioSender(transceiver, slot.track(), self._settings.opus))

    def obey(self, remote: str) -> None:
        """Send as the other side's description wants it."""
        by_mid = {section.attribute("mid"): section for section in sections(remote)}
        for sender in self._senders:
            section, codec = by_mid.get(sender.transceiver.mid), aiortc_internals.codec(sender.transceiver)
            if section is not None and codec is not None:
                sender.obey(read_opus(section, aiortc_internals.payload_type(codec)))

    @property
    def is_stereo(self) -> bool:
        """Whether the other side says that what it sends is; else its packets are mono, and need no more."""
        return any(each.parameters.sends_stereo for each in self._senders)

    @property
    def answered(self) -> OpusParameters:
        """How the answering side wants it: stereo only from one who offers that, for a browser's microphone is mono."""
        stereo = any(each.parameters.stereo or each.parameters.sends_stereo for each in self._senders) or None
        return OpusParameters(fec=True, stereo=stereo, sends_stereo=stereo)

    def close(self) -> None:
        """Nothing is played any more."""
        for player in self._players.values():
            player.close()
