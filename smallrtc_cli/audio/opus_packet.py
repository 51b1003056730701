"""What an Opus packet tells about itself without being decoded (RFC 6716 section 3).

The first byte, the table of contents:

    configuration   mode     bandwidth              a frame lasts
    0 … 11          SILK     narrow, medium, wide   10, 20, 40, 60 ms
    12 … 15         hybrid   superwide, full        10, 20 ms
    16 … 31         CELT     narrow … full          2.5, 5, 10, 20 ms

in its upper five bits, one bit for stereo, two for the number of frames: 1, 2, 2, or as the next byte says.
"""

from smallrtc_cli.errors import UndecodablePacket

SHORTEST = 400
"A duration is a multiple of 2.5 ms: of `rate / 400` samples."

LONGEST = 0.120
"Seconds that a packet may last (RFC 6716 section 3.2.5, rule 5)."


def packet_samples(payload: bytes, rate: int) -> int:
    """Samples per channel that a packet decodes to at `rate` Hz; raises `UndecodablePacket` if it cannot be."""
    if not payload:
        raise UndecodablePacket("an Opus packet has no bytes")
    samples = _frames(payload) * _frame_samples(payload[0], rate)
    if not 0 < samples <= rate * LONGEST:
        raise UndecodablePacket("an Opus packet does not last from 2.5 to 120 ms")
    return samples


def has_recovery(payload: bytes) -> bool:
    """Whether the packet also carries the one before it, coarser (in-band FEC, the LBRR flags of section 4.2.4)."""
    first = _first_frame(payload)
    if not first or payload[0] >> 3 >= 16:
        return False
    blocks = max(_frame_samples(payload[0], 1000) // 20, 1)  # SILK works in blocks of 20 ms, each with a flag
    middle = first[0] >> (7 - blocks) & 1
    side = first[0] >> (6 - 2 * blocks) & 1 if payload[0] & 4 else 0
    return bool(middle or side)


def _frame_samples(toc: int, rate: int) -> int:
    configuration = toc >> 3
    if configuration >= 16:
        return (rate << (configuration & 3)) // SHORTEST
    if configuration >= 12:
        return rate // (50 if configuration & 1 else 100)
    return rate * (10, 20, 40, 60)[configuration & 3] // 1000


def _frames(payload: bytes) -> int:
    code = payload[0] & 3
    if code < 3:
        return 2 if code else 1
    if len(payload) < 2:
        raise UndecodablePacket("an Opus packet ends before it says how many frames it has")
    return payload[1] & 63


def _first_frame(payload: bytes) -> bytes:
    """The first frame of the packet, from its first byte on; empty if there is none (section 3.2)."""
    code, rest = payload[0] & 3 if payload else 0, payload[1:]
    if code == 2:
        size, rest = _length(rest)
        return rest[:size]
    if code == 3 and rest:
        variable, padded, count = rest[0] & 128, rest[0] & 64, rest[0] & 63
        rest = _without_padding_length(rest[1:]) if padded else rest[1:]
        sizes = []
        for _ in range(count - 1 if variable else 0):
            size, rest = _length(rest)
            sizes.append(size)
        return rest[: sizes[0]] if sizes else rest
    return rest


def _length(data: bytes) -> tuple[int, bytes]:
    """A length of one or two bytes, and what follows it (section 3.2.1)."""
    if len(data) > 1 and data[0] >= 252:
        return data[1] * 4 + data[0], data[2:]
    return (data[0] if data else 0), data[1:]


def _without_padding_length(data: bytes) -> bytes:
    """The padding itself is at the end; each 255 in front says that its length goes on."""
    return data.lstrip(b"\xff")[1:]
