"""Records of DTLS 1.2 (RFC 6347 section 4.1) as bytes: told from each other without a key."""

from typing import Final

_APPLICATION_DATA: Final = 23
"Handshakes are 22, alerts 21; of DTLS 1.3 the type of a protected record cannot be seen, its first byte is another."

_HEADER: Final = 13


def is_application_data(datagram: bytes) -> bool:
    """Whether it is one record of application data and nothing beside."""
    if len(datagram) <= _HEADER or datagram[0] != _APPLICATION_DATA:
        return False
    return len(datagram) == _HEADER + int.from_bytes(datagram[_HEADER - 2 : _HEADER], "big")
