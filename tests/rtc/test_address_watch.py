"""Whether addresses have changed: by value over a socket pair, and with a real address in a network namespace."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from smallrtc_cli.rtc import address_watch, addresses
from smallrtc_cli.rtc.address_watch import AddressWatch
from smallrtc_cli.rtc.addresses import Interface

PACKAGE = Path(__file__).resolve().parents[2]


@pytest.fixture
def system(monkeypatch):
    """The end on which the system tells; the other one is the next watch's."""
    ours, theirs = socket.socketpair(type=socket.SOCK_DGRAM)
    ours.setblocking(False)
    monkeypatch.setattr(address_watch, "_notices", lambda: ours)
    yield theirs
    ours.close()
    theirs.close()


def test_without_a_notice_nothing_has_changed(system):
    assert not AddressWatch().changed()


def test_many_notices_are_one_change(system):
    watch = AddressWatch()
    for _ in range(3):
        system.send(b"RTM_NEWADDR")
    assert [watch.changed(), watch.changed()] == [True, False]


class Overrun:
    """A socket whose buffer was too small for all notices."""

    def __init__(self, error: int) -> None:
        self.errors = [OSError(error, "recv"), BlockingIOError()]
        self.is_left = False

    def detach(self) -> None:
        self.is_left = True

    def recv(self, size: int) -> bytes:
        raise self.errors.pop(0)


def test_notices_that_were_dropped_are_a_change(monkeypatch):
    monkeypatch.setattr(address_watch, "_notices", lambda: Overrun(errno.ENOBUFS))
    assert AddressWatch().changed()


def test_where_the_system_tells_no_more_addresses_are_asked_for_each_time(monkeypatch):
    """A bot may have closed descriptors that are not its own."""
    broken = Overrun(errno.EBADF)
    monkeypatch.setattr(address_watch, "_notices", lambda: broken)
    watch = AddressWatch()
    assert [watch.changed(), watch.changed()] == [True, True]
    assert broken.is_left


def test_where_the_system_tells_nothing_anything_may_have_changed(monkeypatch):
    monkeypatch.delattr(socket, "AF_NETLINK", raising=False)
    watch = AddressWatch()
    assert [watch.changed(), watch.changed()] == [True, True]


def test_a_closed_watch_knows_nothing(system):
    watch = AddressWatch()
    watch.close()
    watch.close()
    assert watch.changed()


def test_the_system_is_asked_for_interfaces_once_for_each_change(system, monkeypatch):
    asked = iter([(Interface("eth0", ("10.0.0.3",)),), ()])
    monkeypatch.setattr(addresses, "_asked_for", lambda: next(asked))
    known = addresses._Known()
    first, second = known.interfaces(), known.interfaces()
    assert first is second
    system.send(b"RTM_DELADDR")
    assert known.interfaces() == ()


def test_the_loopback_addresses_are_not_how_others_reach_this_machine(monkeypatch):
    found = (Interface("lo", ("127.0.0.1", "::1", "10.1.1.1")), Interface("eth0", ("10.0.0.3", "fd00::2")))
    monkeypatch.setattr(addresses, "local_interfaces", lambda: found)
    assert addresses.own_addresses() == ["10.1.1.1", "10.0.0.3", "fd00::2"]


NEW_ADDRESS = """
import fcntl, socket, struct
from smallrtc_cli.rtc.addresses import own_addresses

def tell(request, *ifreq):
    with socket.socket(type=socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, request, struct.pack(*ifreq))

tell(0x8914, "16sh14x", b"lo", 1)  # SIOCSIFFLAGS, IFF_UP
print(own_addresses(), own_addresses())
tell(0x8916, "16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton("10.99.0.1"))  # SIOCSIFADDR
print(own_addresses())
"""


def test_an_address_that_the_machine_gets_is_seen_at_once():
    alone = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("this kernel allows no network namespace here")
    told = subprocess.run(
        [*alone, sys.executable, "-W", "error", "-c", NEW_ADDRESS],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (told.stdout.splitlines(), told.stderr) == (["[] []", "['10.99.0.1']"], "")
