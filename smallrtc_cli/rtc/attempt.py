"""An attempt to connect, as values: the ends of both sides, the pairs that were tried, and what was seen of them."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class End:
    """One candidate of one side; `address` may be an mDNS name."""

    type: str
    address: str
    port: int = 0
    transport: str = "udp"

    def __str__(self) -> str:
        tcp = "" if self.transport == "udp" else f"/{self.transport}"
        return f"{self.type}{tcp} {self.address}"

    @property
    def family(self) -> str:
        """`IPv4`, `IPv6`, or `name`."""
        address = _address(self.address)
        return "name" if address is None else f"IPv{address.version}"

    @property
    def scope(self) -> str:
        """From where it can be reached: `loopback`, `private`, `public`; `name` where nobody knows."""
        address = _address(self.address)
        if address is None:
            return "name"
        if address.is_loopback:
            return "loopback"
        return "public" if address.is_global else "private"


@dataclass(frozen=True, slots=True)
class Tried:
    """A pair of candidates and how far its check came (`frozen`, `waiting`, `in-progress`, `succeeded`, `failed`)."""

    local: End
    remote: End
    state: str

    def __str__(self) -> str:
        return f"{self.local} → {self.remote}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an attempt to connect."""

    other: str = "client"
    "Who the other side is: the `client` or the `server`."
    local: Sequence[End] = ()
    remote: Sequence[End] = ()
    "What the other side offered, an mDNS name as it came."
    resolved: frozenset[str] = frozenset()
    "mDNS names that an address was found for."
    pairs: Sequence[Tried] = ()
    relay_only: bool = False
    servers: Sequence[str] = ()
    server_errors: Mapping[str, str] = field(default_factory=dict)
    host_errors: Mapping[str, str] = field(default_factory=dict)
    send_errors: Sequence[str] = ()
    "What the system said when it would not send."
    requests_heard: int = 0
    "Checks that arrived, from anybody."
    checks_heard: int = 0
    "Checks that arrived with the right password."
    responses_heard: int = 0
    "Answers to our checks."
    selected: Tried | None = None
    "The pair that ICE chose."
    dtls: str = "new"
    was_connected: bool = False


def udp_ends(side: Sequence[End]) -> list[End]:
    return [end for end in side if end.transport == "udp"]


def is_private(side: Sequence[End]) -> bool:
    """Whether nothing of a side can be reached from the Internet, as far as one can see."""
    scopes = {end.scope for end in udp_ends(side)}
    return (
        bool(scopes)
        and scopes <= {"private", "loopback", "name"}
        and not any(end.type in ("srflx", "relay") for end in side)
    )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def home_network(text: str) -> str | None:
    """The network that a private address is probably in: /24 or /64, as nearly all home and office networks are."""
    address = _address(text)
    if address is None or address.is_loopback:
        return None
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 64}", strict=False))
