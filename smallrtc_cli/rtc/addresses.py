"""Where host candidates live: the interfaces of this machine, the ports that may be used, the address announced.

The grammars and choices are pure; `local_interfaces` asks the system and `bind_udp` takes a port from it.
"""

import atexit
import errno
import ipaddress
import os
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import ifaddr
from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority

from smallrtc_cli.errors import CannotRun, UsageError
from smallrtc_cli.protocol.messages import printable
from smallrtc_cli.rtc.address_watch import AddressWatch

_PORTS: Final = re.compile(r"\s*([0-9]{1,5})\s*-\s*([0-9]{1,5})\s*", re.ASCII)
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)
_HIGHEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface and the addresses on it that a candidate can have."""

    name: str
    addresses: tuple[str, ...]

    def __str__(self) -> str:
        return f"`{self.name}` ({', '.join(self.addresses)})"


def parse_udp_ports(text: str) -> range:
    """Read `A-B`, both included; raises `UsageError`."""
    match = _PORTS.fullmatch(text)
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= first <= last <= _HIGHEST_PORT:
        hint = "write the first and the last port, such as `50000-50100`"
        raise UsageError(f"`{printable(text)}` is not a range of UDP ports", hint=hint)
    return range(first, last + 1)


def parse_public_ip(text: str) -> str:
    """Check an address or a host name to announce; raises `UsageError`. A name is looked up for each connection."""
    host = text.strip().removeprefix("[").removesuffix("]")
    address = parsed(host)
    if address is not None:
        if address.is_unspecified or address.is_multicast or address.is_link_local:
            raise UsageError(f"`{host}` is not an address that others could reach")
        return str(address)
    if _NAME.fullmatch(host) and not re.fullmatch(r"[0-9.]*", host):
        return host
    raise UsageError(f"`{printable(text)}` is neither an IP address nor a host name", hint="such as `203.0.113.7`")


def local_interfaces() -> tuple[Interface, ...]:
    """The interfaces that have an address; link-local IPv6 has none that works without naming the interface too."""
    return _known(os.getpid()).interfaces()


def own_addresses() -> list[str]:
    """The addresses of this machine by which others reach it: all but the two of the loopback interface."""
    return [a for each in local_interfaces() for a in each.addresses if a not in ("127.0.0.1", "::1")]


class _Known:
    """The interfaces as they were when they last changed."""

    def __init__(self) -> None:
        self._watch = AddressWatch()
        self._interfaces: tuple[Interface, ...] | None = None

    def close(self) -> None:
        self._watch.close()

    def interfaces(self) -> tuple[Interface, ...]:
        if self._watch.changed() or self._interfaces is None:
            self._interfaces = _asked_for()
        return self._interfaces


@cache
def _known(_process: int) -> _Known:
    """One to a process: a notice that a forked one has read would be missed here."""
    known = _Known()
    atexit.register(known.close)
    return known


def _asked_for() -> tuple[Interface, ...]:
    found: dict[str, list[str]] = {}
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            if isinstance(ip.ip, str):
                found.setdefault(adapter.nice_name, []).append(ip.ip)
            elif ip.ip[2] == 0:
                found.setdefault(adapter.nice_name, []).append(ip.ip[0])
    return tuple(Interface(name, tuple(addresses)) for name, addresses in found.items())


def require_interface() -> None:
    """Raises `CannotRun` on a machine that cannot even reach itself, as a new network namespace cannot."""
    if not local_interfaces():
        raise CannotRun(
            "this machine has no network interface that is up, not even the loopback one",
            hint="`ip link set lo up` brings that one up",
        )


def chosen_addresses(wanted: Iterable[str], interfaces: Sequence[Interface]) -> list[str]:
    """The addresses of the interfaces that are `wanted` by name or by address; raises `UsageError` for another."""
    chosen: dict[str, None] = {}
    for name in wanted:
        address = parsed(name)
        matches = [a for i in interfaces for a in i.addresses if i.name == name or (address and parsed(a) == address)]
        if not matches:
            known = ", ".join(map(str, interfaces)) or "no network interface"
            raise UsageError(f"no network interface is `{printable(name)}`", hint=f"there is {known}")
        chosen |= dict.fromkeys(matches)
    return list(chosen)


def check_interfaces(wanted: Iterable[str]) -> tuple[str, ...]:
    """The same names, once it is sure that each is an interface, or an address, of this machine."""
    names = tuple(wanted)
    if names:
        chosen_addresses(names, local_interfaces())
    return names


def bind_udp(address: str, ports: range | None = None) -> socket.socket:
    """A socket on the first free port of a range, or on any; raises `OSError` when none is free."""
    for port in ports or (0,):
        bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            bound.setblocking(False)
            bound.bind((address, port))
        except OSError as error:
            bound.close()
            if ports is None or error.errno != errno.EADDRINUSE:
                raise
        else:
            return bound
    raise OSError(errno.EADDRINUSE, f"all UDP ports from {ports[0]} to {ports[-1]} are in use" if ports else "")


def announced(host: Candidate, public: str) -> Candidate | None:
    """What a host candidate looks like from outside a 1:1 NAT that keeps the port; None for the other IP version.

    Of type srflx, as it would have come from a STUN server: aioice and browsers pair it with what the other side
    has, never use it as a source of checks of its own, and prefer the host candidate where both are in one network.
    """
    here, there = parsed(host.host), parsed(public)
    if here is None or there is None or here.version != there.version or here == there:
        return None
    return Candidate(
        foundation=candidate_foundation("srflx", "udp", host.host),
        component=host.component,
        transport="udp",
        priority=candidate_priority(host.component, "srflx"),
        host=public,
        port=host.port,
        type="srflx",
        related_address=host.host,
        related_port=host.port,
    )


def is_literal(host: str) -> bool:
    """Whether a text is an address, and no name."""
    return parsed(host) is not None


def parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a text is; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
