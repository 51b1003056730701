"""What the kernel knows of the way to an address, from a connected socket that sends nothing."""

import socket
import sys
from dataclasses import dataclass
from typing import Final

_LINUX_MTU: Final = {
    socket.AF_INET: (socket.IPPROTO_IP, 14),  # IP_MTU; Python has no names for these
    socket.AF_INET6: (socket.IPPROTO_IPV6, 24),  # IPV6_MTU
}


@dataclass(frozen=True, slots=True)
class Route:
    """The own address that packets leave from, and the path MTU in bytes of IP packets as far as it is known.

    The MTU is that of the interface, or what a router has told (ICMP) of the path; a black hole tells nothing.
    """

    source: str
    mtu: int | None


def route(host: str, port: int) -> Route | None:
    """The way to a literal address; None where there is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, port))
            return Route(probe.getsockname()[0], _mtu(probe))
        except OSError:
            return None


def _mtu(connected: socket.socket) -> int | None:
    if sys.platform != "linux":
        return None
    return connected.getsockopt(*_LINUX_MTU[connected.family])
