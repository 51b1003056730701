"""The datagram socket below a candidate pair, for packets that must not be cut on their way, and for some that may be.

Packets leave in one synchronous burst, so that whatever is changed on the socket for them is never seen by others.
"""

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from aioice.ice import CandidatePair

from smallrtc_cli.rtc import aiortc_internals

Option = tuple[int, int, int]
"Level, name and value of a socket option."

_WHOLE: Final[dict[str, dict[int, Option]]] = {
    "linux": {4: (socket.IPPROTO_IP, 10, 3), 6: (socket.IPPROTO_IPV6, 23, 3)},  # IP_MTU_DISCOVER: IP_PMTUDISC_PROBE
    "darwin": {4: (socket.IPPROTO_IP, 28, 1), 6: (socket.IPPROTO_IPV6, 62, 1)},  # IP_DONTFRAG
    "win32": {4: (socket.IPPROTO_IP, 14, 1), 6: (socket.IPPROTO_IPV6, 14, 1)},  # IP_DONTFRAGMENT
}
_FRAGMENTED_4: Final[Option] = (socket.IPPROTO_IP, 10, 0)  # IP_PMTUDISC_DONT: routers may cut it
_SMALLEST_IPV6: Final = 1280  # RFC 8200 section 5
_IPV6_MTU: Final = 24  # set: where our own system cuts; connected, read: the path's
_IP_MTU: Final = 14


@dataclass(frozen=True, slots=True)
class Wire:
    """The first leg of a pair: our UDP socket, or the connection to a TURN server. Close it."""

    leg: aiortc_internals.FirstLeg
    socket: socket.socket | None
    "A second handle of the UDP socket; None over TCP."

    family: int
    to: tuple[str, int] | None
    "Where datagrams are sent; None on a connected socket."

    @classmethod
    def of(cls, pair: CandidatePair) -> "Wire":
        """The wire below a nominated pair; raises `ConnectionError` where there is none (any more)."""
        leg = aiortc_internals.first_leg(pair)
        below = leg.transport.get_extra_info("socket")
        if below is None or leg.transport.is_closing():
            raise ConnectionError("the socket is closed")
        family = 6 if below.family == socket.AF_INET6 else 4
        if leg.relay in ("tcp", "tls"):
            return cls(leg, None, family, None)
        return cls(leg, below.dup(), family, pair.remote_addr if leg.relay is None else None)

    def close(self) -> None:
        """Give the handle back."""
        if self.socket is not None:
            self.socket.close()

    # Sending

    def send_whole(self, datagrams: Sequence[bytes]) -> int | None:
        """Send in one burst, none to be cut; returns which was the first that our own system refuses as too long.

        Those behind it are not sent. One that the system has no room for is lost, as it may be later, too.
        """
        with self._option(_WHOLE.get(sys.platform, {}).get(self.family)):
            return self._send(datagrams)

    def send_in_pieces(self, datagrams: Sequence[bytes], mtu: int) -> None:
        """Send in one burst, to be cut on the way, or at `mtu` by our own system where it can (IPv6)."""
        with self._option(self._fragmenting(mtu)):
            self._send(datagrams)

    def let_be_cut(self, mtu: int) -> bool:
        """From now on what is too long for the path may be cut, where the system can be told so."""
        option = self._fragmenting(mtu)
        if self.socket is None or option is None:
            return False
        self.socket.setsockopt(*option)
        return True

    def _fragmenting(self, mtu: int) -> Option | None:
        if sys.platform != "linux":
            return None
        return _FRAGMENTED_4 if self.family == 4 else (socket.IPPROTO_IPV6, _IPV6_MTU, max(mtu, _SMALLEST_IPV6))

    def _send(self, datagrams: Sequence[bytes]) -> int | None:
        for number, datagram in enumerate(datagrams):
            try:
                self._send_one(self.leg.framed(datagram))
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    return number
        return None

    def _send_one(self, datagram: bytes) -> None:
        if self.socket is None:
            assert isinstance(self.leg.transport, asyncio.WriteTransport)
            self.leg.transport.write(datagram)
        elif self.to is None:
            self.socket.send(datagram)
        else:
            self.socket.sendto(datagram, self.to)

    @contextlib.contextmanager
    def _option(self, option: Option | None) -> Iterator[None]:
        if self.socket is None or option is None:
            yield
            return
        level, name, value = option
        before = 0 if (level, name) == (socket.IPPROTO_IPV6, _IPV6_MTU) else self.socket.getsockopt(level, name)
        self.socket.setsockopt(level, name, value)
        try:
            yield
        finally:
            self.socket.setsockopt(level, name, before)

    # What the system knows

    def known_mtu(self) -> int | None:
        """What our own system takes for the path's MTU: that of the interface, or what a router has told (ICMP)."""
        if self.socket is None or sys.platform != "linux":
            return None
        level, name = (socket.IPPROTO_IP, _IP_MTU) if self.family == 4 else (socket.IPPROTO_IPV6, _IPV6_MTU)
        with contextlib.suppress(OSError), socket.socket(self.socket.family, socket.SOCK_DGRAM) as asking:
            asking.bind((self.socket.getsockname()[0], 0))
            asking.connect(self.to or self.socket.getpeername()[:2])
            return asking.getsockopt(level, name)
        return None
