"""How long a packet is on the wire: user bytes of a data channel's chunk, and what each layer below adds.

    user bytes → DATA chunk (16, padded to 4) → SCTP packet (12) → DTLS record → TURN (4) → UDP (8) → IP (20 or 40)

A *chunk* is the number of user bytes, an *IP packet* the whole length that a link's MTU limits. Measured on the wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from smallrtc_cli.errors import UsageError
from smallrtc_cli.protocol.messages import printable

SCTP_OVERHEAD: Final = 28  # common header 12, DATA chunk header 16
UDP_HEADER: Final = 8
CHANNEL_DATA: Final = 4
"Header of TURN's ChannelData (RFC 8656 section 12.4), between us and a TURN server over UDP."

CAUTIOUS_MTU: Final = 1200
"What is taken for granted before the path has been probed; QUIC's choice too (RFC 9000 section 14)."

SMALLEST_MTU: Final = 576
"What every IPv4 host takes (RFC 791); below it nothing is looked for."

LARGEST_CHUNK: Final = 1432
"aiortc reads and writes DTLS records of up to 1500 bytes."

LARGEST_PAYLOAD: Final = 1300
"aiortc's own limit for a packet of video."

RTP_OVERHEAD: Final = 48
"Header 12, extensions 12, SRTP tag 16 at most, original number of a retransmission 2; the rest is room to spare."

COMMON_MTUS: Final = (
    736, 896, 1056, CAUTIOUS_MTU, 1240, 1280, 1320, 1360, 1400, 1420, 1440, 1460, 1480, 1492, 1500,
)  # fmt: skip
"What tunnels and access networks leave (WireGuard 1420, PPPoE 1492), and steps of 160 at most between them."

_RECORD_HEADER, _TAG = 13, 16
_AES_BLOCK, _SHA1 = 16, 20


def floor4(size: int) -> int:
    """The next multiple of four below: chunks are padded to that."""
    return size // 4 * 4


def pad4(size: int) -> int:
    """The next multiple of four above."""
    return -(-size // 4) * 4


def dtls_overhead(cipher: str, length: int) -> int:
    """What a DTLS 1.2 record adds to `length` bytes; `cipher` is OpenSSL's name."""
    if "CHACHA20" in cipher:
        return _RECORD_HEADER + _TAG
    if cipher.endswith("SHA"):  # CBC: vector, padding to whole blocks, MAC of what is encrypted (RFC 7366)
        padding = _AES_BLOCK - length % _AES_BLOCK
        return _RECORD_HEADER + _AES_BLOCK + padding + _SHA1
    return _RECORD_HEADER + 8 + _TAG  # AEAD with an explicit nonce


@dataclass(frozen=True, slots=True)
class Layers:
    """What lies below the SCTP packets of one connection."""

    family: int = 4
    "4 or 6: IPv4 or IPv6, between us and the next host, which may be a TURN server."

    relay: str | None = None
    "How our TURN server is reached: udp, tcp or tls; None without one."

    cipher: str = "ECDHE-ECDSA-AES128-GCM-SHA256"

    @property
    def below_dtls(self) -> int:
        """Bytes that IP, UDP and TURN add."""
        return (20 if self.family == 4 else 40) + UDP_HEADER + (CHANNEL_DATA if self.relay == "udp" else 0)

    def udp_payload(self, chunk: int) -> int:
        """The DTLS record of a packet with one chunk."""
        packet = pad4(chunk) + SCTP_OVERHEAD
        return packet + dtls_overhead(self.cipher, packet)

    def ip_packet(self, chunk: int) -> int:
        """The IP packet of a chunk."""
        return self.udp_payload(chunk) + self.below_dtls

    def largest_chunk(self, mtu: int) -> int:
        """The longest chunk that fits into an IP packet of that length, a multiple of four; 0 where none does."""
        least = self.below_dtls + SCTP_OVERHEAD + _RECORD_HEADER + _TAG
        chunk = floor4(max(0, min(LARGEST_CHUNK, mtu - least)))
        while chunk > 0 and self.ip_packet(chunk) > mtu:
            chunk -= 4
        return chunk

    @property
    def cautious_chunk(self) -> int:
        """What is sent before the path is known."""
        return self.largest_chunk(CAUTIOUS_MTU)

    def video_payload(self, mtu: int) -> int:
        """The longest RTP payload of video that fits, headers, authentication tag and retransmission included."""
        return min(LARGEST_PAYLOAD, mtu - self.below_dtls - RTP_OVERHEAD)

    def ladder(self) -> list[int]:
        """The chunks of all common MTUs, ascending, from the smallest that is looked for to the largest possible."""
        return sorted({self.largest_chunk(mtu) for mtu in (SMALLEST_MTU, *COMMON_MTUS)} | {LARGEST_CHUNK})


SMALLEST_CHUNK: Final = Layers(family=6, relay="udp").largest_chunk(SMALLEST_MTU)


def chosen_sctp_chunk(flag: str | None, environment: Mapping[str, str]) -> int | None:
    """A flag wins over SMALLRTC_SCTP_MAX_CHUNK_SIZE, that over PIPECAT_SCTP_MAX_CHUNK_SIZE; None: have it measured.

    Raises `UsageError`.
    """
    if flag is not None:
        return parse_sctp_chunk(flag, "--sctp-chunk")
    for variable in ("SMALLRTC_SCTP_MAX_CHUNK_SIZE", "PIPECAT_SCTP_MAX_CHUNK_SIZE"):
        if environment.get(variable):
            return parse_sctp_chunk(environment[variable], variable)
    return None


def parse_sctp_chunk(text: str, source: str) -> int | None:
    """Read `auto` (None) or the user bytes of a chunk; `source` is the flag or variable; raises `UsageError`."""
    written = text.strip()
    if written.lower() == "auto":
        return None
    number = int(written) if written.isascii() and written.isdigit() and len(written) < 9 else -1
    if floor4(number) >= SMALLEST_CHUNK and number <= LARGEST_CHUNK:
        return floor4(number)
    hint = f"write a number from {SMALLEST_CHUNK} to {LARGEST_CHUNK}, or `auto` to have the path measured"
    raise UsageError(f"`{source}` is `{printable(written)}`, which is no size of an SCTP chunk", hint=hint)
