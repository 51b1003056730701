"""Records of DTLS 1.2 (RFC 6347 section 4.1) as bytes: told from each other without a key."""

from typing import Final

_APPLICATION_DATA: Final = 23
"Handshakes are 22, alerts 21; of DTLS 1.3 the type of a protected record cannot be seen, its first byte is another."

_HEADER: Final = 13


def application_records(datagram: bytes) -> int:
    """How many records of application data it consists of (section 4.1.1 allows several); 0 with anything beside."""
    records = begin = 0
    while begin < len(datagram):
        body = begin + _HEADER
        if len(datagram) <= body or datagram[begin] != _APPLICATION_DATA:
            return 0
        begin = body + int.from_bytes(datagram[body - 2 : body], "big")
        records += 1
    return records if begin == len(datagram) else 0
