"""Why a conversation has no connection: taken down while the peer that failed still knows."""

import logging

from smallrtc_cli.protocol.session import CloseReason, Role
from smallrtc_cli.rtc.diagnosis import Cause, Diagnosis, diagnose
from smallrtc_cli.rtc.evidence import evidence
from smallrtc_cli.rtc.peer import Peer

logger = logging.getLogger(__name__)

_FAILURES = {CloseReason.ICE_TIMEOUT, CloseReason.CONNECT_TIMEOUT, CloseReason.DTLS_ERROR}


class Verdict:
    """The diagnosis of the last peer connection that failed."""

    def __init__(self, name: str, role: Role) -> None:
        self._name, self._role = name, role
        self.diagnosis: Diagnosis | None = None

    def reach(self, reason: CloseReason, peer: Peer | None) -> None:
        """Take down why it failed, if it did; said once for each peer connection that fails."""
        if reason not in _FAILURES or peer is None:
            return
        self.diagnosis = self.preview(peer)
        told_otherwise = self._role is Role.OFFER or self.diagnosis.cause is Cause.WENT_SILENT
        level = logging.INFO if told_otherwise else logging.WARNING
        logger.log(level, "%s: %s: %s", self._name, reason, self.diagnosis)

    def preview(self, peer: Peer) -> Diagnosis:
        """What it would be now."""
        return diagnose(evidence(peer, self._role))
