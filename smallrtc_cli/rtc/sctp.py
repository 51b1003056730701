"""aiortc's SCTP transport with a sender and a receiver of ours."""

from smallrtc_cli.rtc.sctp_receiver import SctpReceiver
from smallrtc_cli.rtc.sctp_sender import SctpSender


class Sctp(SctpSender, SctpReceiver):
    """What `aiortc_internals.PeerConnection` runs its data channels over."""
