"""Whether the addresses of this machine have changed: Linux says so, and so they are asked for only then.

To ask for them takes 0.2 ms, a tenth of an answer. A system that tells nothing is asked each time.
"""

import contextlib
import errno
import logging
import socket
from typing import Final

logger = logging.getLogger(__name__)

_GROUPS: Final = 0x1 | 0x10 | 0x100
"Links, IPv4 addresses, IPv6 addresses: RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR of `rtnetlink.h`."

_MESSAGE: Final = 4096
"Bytes to read of a notice; what it says does not matter."


class AddressWatch:
    """A socket on which the system tells of changes, in the network namespace in which it was made."""

    def __init__(self) -> None:
        self._notices = _notices()

    def changed(self) -> bool:
        """Whether there may have been a change since the last call; always, where the system tells nothing."""
        if self._notices is None:
            return True
        found = False
        while self._notices is not None and self._read(self._notices):
            found = True
        return found or self._notices is None

    def _read(self, notices: socket.socket) -> bool:
        """Whether there was a notice, or so many that the system has dropped some (ENOBUFS)."""
        try:
            notices.recv(_MESSAGE)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                logger.debug("changes of this machine's addresses are not told any more: %s", error)
                notices.detach()  # not to be closed: the number may be somebody else's by now
                self._notices = None
                return False
        return True

    def close(self) -> None:
        """Give the socket back; from here on every call says that there may have been a change."""
        if self._notices is not None:
            self._notices.close()
            self._notices = None


def _notices() -> socket.socket | None:
    """None on another system, or where a sandbox forbids it."""
    if not hasattr(socket, "AF_NETLINK"):
        return None
    with contextlib.suppress(OSError):
        notices = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)  # NETLINK_ROUTE
        try:
            notices.setblocking(False)
            notices.bind((0, _GROUPS))
        except OSError:
            notices.close()
            raise
        return notices
    return None
