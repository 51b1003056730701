"""The seam between a conversation and whoever dialed it."""

from typing import Protocol

from aioice import Candidate

from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.rtc.peer import Peer


class DialingSide(Protocol):
    """What a dialed connection asks for, and the answering side never does."""

    def renegotiate(self) -> None:
        """Make a new offer on the same peer connection."""

    def redial(self, reason: CloseReason) -> None:
        """Make a new peer connection."""

    def is_redialing(self) -> bool:
        """Whether a new peer connection is under way."""

    def candidate_found(self, peer: Peer, candidate: Candidate | None) -> None:
        """Tell the other side of a candidate that came after the offer."""
