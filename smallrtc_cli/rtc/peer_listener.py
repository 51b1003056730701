"""The seam between a peer and the conversation that goes over it."""

from typing import TYPE_CHECKING, Any, Protocol

from aioice import Candidate

from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.rtc.path import PathReport

if TYPE_CHECKING:
    from smallrtc_cli.rtc.peer import Peer


class PeerListener(Protocol):
    """Who is told what happens to a peer."""

    def peer_connected(self, peer: "Peer") -> None: ...
    def peer_failed(self, peer: "Peer", reason: CloseReason) -> None: ...
    def peer_closed(self, peer: "Peer") -> None: ...
    def channel_opened(self, peer: "Peer") -> None: ...
    def channel_closed(self, peer: "Peer") -> None: ...
    def message_received(self, peer: "Peer", payload: str | bytes) -> None: ...
    def track_started(self, peer: "Peer", index: int) -> None: ...
    def candidate_found(self, peer: "Peer", candidate: Candidate | None) -> None: ...
    def path_found(self, peer: "Peer", report: PathReport) -> None: ...
    def channel_stalled(self, peer: "Peer", sentence: str) -> None: ...
    def channel_flows(self, peer: "Peer") -> None: ...


def _ignored(*_: Any, **__: Any) -> None:
    """Nothing is to be done."""


class Nobody:
    """Is told what happens to a peer that is closed."""

    peer_connected = peer_failed = peer_closed = staticmethod(_ignored)
    channel_opened = channel_closed = channel_stalled = channel_flows = staticmethod(_ignored)
    message_received = track_started = candidate_found = path_found = staticmethod(_ignored)
