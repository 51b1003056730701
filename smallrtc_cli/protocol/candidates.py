"""ICE candidates as text (RFC 8839 section 5.1), read so strictly that nothing below can stumble over one.

What browsers add after the type (`generation`, `ufrag`, `network-cost`) is allowed and left out. A candidate
that cannot be read is None, to be skipped and counted: one bad line never costs the others.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

CandidateType: TypeAlias = Literal["host", "srflx", "prflx", "relay"]

LONGEST_CANDIDATE: Final = 1024  # characters; a browser's longest, with an IPv6 relay, have about 250
HIGHEST_PRIORITY: Final = 2**32 - 1
HIGHEST_PORT: Final = 65_535

_PREFIX = re.compile(r"(a=)?candidate:")
_GRAMMAR = re.compile(
    r"(?P<foundation>[!-~]{1,64}) (?P<component>[0-9]{1,3}) (?P<protocol>[A-Za-z]{1,16}) "
    r"(?P<priority>[0-9]{1,10}) (?P<address>[0-9A-Za-z.:_-]{1,255}) (?P<port>[0-9]{1,5}) "
    r"typ (?P<type>host|srflx|prflx|relay)(?P<rest>( [!-~]+)*)"
)


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """One way to reach a peer; `address` may be a name that ends in `.local` (mDNS)."""

    foundation: str
    component: int
    protocol: str
    priority: int
    address: str
    port: int
    type: CandidateType
    related_address: str | None = None
    related_port: int | None = None
    tcp_type: str | None = None

    def to_sdp(self) -> str:
        """The value of an `a=candidate` line, without the prefix."""
        extensions = (
            ("raddr", self.related_address),
            ("rport", self.related_port),
            ("tcptype", self.tcp_type),
        )
        tail = "".join(f" {name} {value}" for name, value in extensions if value is not None)
        head = f"{self.foundation} {self.component} {self.protocol} {self.priority} {self.address}"
        return f"{head} {self.port} typ {self.type}{tail}"


def parse_candidate(line: str) -> CandidateLine | None:
    """Read a candidate with or without its `candidate:` or `a=candidate:`; None if it is not one."""
    if len(line) > LONGEST_CANDIDATE:
        return None
    match = _GRAMMAR.fullmatch(_PREFIX.sub("", " ".join(line.split()), count=1))
    if match is None:
        return None
    names = match["rest"].split()
    extensions = dict(zip(names[::2], names[1::2], strict=False))
    candidate = _build(match, extensions)
    return candidate if candidate is not None and _in_range(candidate) else None


def _build(match: re.Match[str], extensions: dict[str, str]) -> CandidateLine | None:
    related_port = extensions.get("rport")
    if related_port is not None and not re.fullmatch(r"[0-9]{1,5}", related_port):
        return None
    return CandidateLine(
        foundation=match["foundation"],
        component=int(match["component"]),
        protocol=match["protocol"].lower(),
        priority=int(match["priority"]),
        address=match["address"],
        port=int(match["port"]),
        type=match["type"],  # type: ignore[arg-type]  # the pattern has no other words
        related_address=extensions.get("raddr"),
        related_port=None if related_port is None else int(related_port),
        tcp_type=extensions.get("tcptype"),
    )


def _in_range(candidate: CandidateLine) -> bool:
    return (
        1 <= candidate.component <= 256
        and candidate.priority <= HIGHEST_PRIORITY
        and candidate.port <= HIGHEST_PORT
        and (candidate.related_port or 0) <= HIGHEST_PORT
    )
