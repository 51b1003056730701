"""What this process proves itself with in DTLS: one certificate and one TLS context for all its connections.

To make them takes a quarter of the time of an answer. One certificate ties calls of one process together for who sees
several of them, so there is a new one each day.
"""

import time
from typing import Any, Final

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCDtlsFingerprint
from OpenSSL import SSL

_LIFETIME: Final = 24 * 3600.0  # seconds


class Identity(RTCCertificate):
    """A certificate that computes its fingerprints once, and shares its TLS context."""

    _context: SSL.Context | None = None
    _fingerprints: tuple[RTCDtlsFingerprint, ...] = ()

    def getFingerprints(self) -> list[RTCDtlsFingerprint]:  # noqa: N802
        self._fingerprints = self._fingerprints or tuple(super().getFingerprints())
        return list(self._fingerprints)

    def _create_ssl_context(self, srtp_profiles: Any) -> SSL.Context:
        if self._context is None:
            self._context = super()._create_ssl_context(srtp_profiles)
            self._context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # nobody resumes one, and it would only grow
            self._context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # saves 33 to 49 KB a call, and a record takes no longer
        return self._context


class Identities:
    """Stands for `RTCCertificate` where a peer connection wants to make one."""

    def __init__(self) -> None:
        self._present: Identity | None = None
        self._made = 0.0

    def generateCertificate(self) -> Identity:  # noqa: N802 - aiortc's name
        return self.at(time.monotonic())

    def prepare(self) -> None:
        """Make all of it now: the first answer takes twice as long otherwise, as cryptography imports more for that."""
        identity = self.generateCertificate()
        identity.getFingerprints()
        identity._create_ssl_context(SRTP_PROFILES)

    def at(self, now: float) -> Identity:
        """The one of that day."""
        if self._present is None or now - self._made >= _LIFETIME:
            self._present, self._made = Identity.generateCertificate(), now
        return self._present


OF_THIS_PROCESS: Final = Identities()
