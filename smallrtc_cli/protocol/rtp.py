"""RTP packets as bytes: read (RFC 3550 section 5.1), written, and told from what else comes through one socket."""

import struct
from collections.abc import Iterable
from typing import NamedTuple

_FIXED = struct.Struct("!BBHLL")
_EXTENSION = struct.Struct("!HH")

_ONE_BYTE, _TWO_BYTES = 0xBEDE, 0x1000
"The two forms of header extensions (RFC 8285 sections 4.2 and 4.3)."


class RtpPacket(NamedTuple):
    """What was received; header extensions are left out, nobody here reads them."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


def is_rtp(datagram: bytes) -> bool:
    """Whether it is RTP by its first byte (RFC 7983), and no RTCP by its second (RFC 5761 section 4)."""
    return len(datagram) >= _FIXED.size and 127 < datagram[0] < 192 and not 191 < datagram[1] < 224


def payload_type(datagram: bytes) -> int:
    """Of an RTP packet, whether protected or not."""
    return datagram[1] & 127


def parse_rtp(data: bytes) -> RtpPacket | None:
    """An unprotected packet for which `is_rtp` holds; None for one that is damaged."""
    first, second, sequence_number, timestamp, ssrc = _FIXED.unpack_from(data)
    start = _FIXED.size + 4 * (first & 15)
    if first & 16:
        if len(data) < start + _EXTENSION.size:
            return None
        start += _EXTENSION.size + 4 * _EXTENSION.unpack_from(data, start)[1]
    padding = data[-1] if first & 32 else 0
    end = len(data) - padding
    if start > end or (first & 32 and not padding):
        return None
    return RtpPacket(second & 127, sequence_number, timestamp, ssrc, data[start:end])


def rtp_header(packet: RtpPacket, *, marker: bool, extensions: bytes) -> bytes:
    """What goes before the payload; `extensions` are as `header_extensions` made them."""
    first = 0x90 if extensions else 0x80
    second = packet.payload_type | (0x80 if marker else 0)
    return _FIXED.pack(first, second, packet.sequence_number, packet.timestamp, packet.ssrc) + extensions


def header_extensions(elements: Iterable[tuple[int, bytes]]) -> bytes:
    """The block of header extensions, by their negotiated numbers; empty for none."""
    elements = list(elements)
    if not elements:
        return b""
    small = all(number < 15 and 0 < len(value) <= 16 for number, value in elements)
    if small:
        block = b"".join(bytes([number << 4 | len(value) - 1]) + value for number, value in elements)
    else:
        block = b"".join(bytes([number, len(value)]) + value for number, value in elements)
    block += bytes(-len(block) % 4)
    return _EXTENSION.pack(_ONE_BYTE if small else _TWO_BYTES, len(block) // 4) + block
