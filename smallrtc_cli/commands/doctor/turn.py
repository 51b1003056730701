"""What TURN servers showed: a relay by UDP, TCP and TLS, or the true reason why there is none."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from smallrtc_cli.commands.doctor.bounds import STEP
from smallrtc_cli.commands.doctor.places import place, shown
from smallrtc_cli.report.stages import Mark, Stage
from smallrtc_cli.rtc.refusals import Reason, Refusal
from smallrtc_cli.rtc.relays import Allocation
from smallrtc_cli.rtc.servers import TurnServer

_PORT, _SECURE_PORT = 3478, 5349  # of turn and of turns (RFC 7065 section 3.2)
_WAYS: Final = (("udp", False), ("tcp", False), ("tcp", True))
_WORDS: Final = {("udp", False): "UDP", ("tcp", False): "TCP", ("tcp", True): "TLS"}


@dataclass(frozen=True, slots=True)
class Way:
    """A way to a TURN server; one that is not `listed` is tried as well, for what it tells of the others."""

    server: TurnServer
    listed: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """A way, and what came of it."""

    way: Way
    allocation: Allocation


def ways(listed: Sequence[TurnServer]) -> tuple[Way, ...]:
    """All that are listed, and for each host UDP, TCP and TLS: where they are not listed, at the usual ports."""
    found = [Way(server, listed=True) for server in listed]
    for host in dict.fromkeys(server.host for server in listed):
        same = [server for server in listed if server.host == host]
        known = {(server.transport, server.secure) for server in same}
        port = next((server.port for server in same if not server.secure), _PORT)
        for transport, secure in _WAYS:
            if (transport, secure) not in known:
                other = replace(same[0], port=_SECURE_PORT if secure else port, transport=transport, secure=secure)
                found.append(Way(replace(other, url=shown(other)), listed=False))
    return tuple(found)


def judge(attempts: Sequence[Attempt]) -> list[Stage]:
    """Each way by itself; what works elsewhere on the same host is a cure."""
    return [_stage(each, attempts) for each in attempts]


def _stage(attempt: Attempt, all_: Sequence[Attempt]) -> Stage:
    found, name = attempt.allocation, shown(attempt.way.server)
    if found.refusal is not None:
        host = attempt.way.server.host
        working = [each for each in all_ if each.allocation.relay is not None and each.way.server.host == host]
        return (
            _failed(attempt, found.refusal, working) if attempt.way.listed else _aside(attempt, found.refusal, working)
        )
    assert found.relay is not None
    family = "IPv6" if ":" in found.relay[0] else "IPv4"
    unused = "" if attempt.way.listed else ", and is not in the list"
    detail = f"{name}: gives the relay {place(*found.relay)} ({family}){unused}"
    mark, cure = (Mark.WARN, _UNREACHABLE) if _is_hidden(found) else (Mark.OK, None)
    return Stage(name, mark, detail, cure, found.seconds)


def _failed(attempt: Attempt, refused: Refusal, working: Sequence[Attempt]) -> Stage:
    """A way that is listed; another that works is a cure."""
    name, (words, cure) = shown(attempt.way.server), _explained(attempt.way.server, refused)
    if working and refused.reason in _OF_THE_WAY:
        other = working[0].way
        cure = f"{cure}; {shown(other.server)} works" + ("" if other.listed else ": add it to the list")
    return Stage(name, Mark.FAIL, f"{name}: {words}", cure, attempt.allocation.seconds)


def _aside(attempt: Attempt, refused: Refusal, working: Sequence[Attempt]) -> Stage:
    """A way that nobody asked for is missed only where networks that block UDP are left without any."""
    name, (words, _) = shown(attempt.way.server), _explained(attempt.way.server, refused)
    missed = _is_stream(attempt) and not any(map(_is_stream, working))
    mark, cure = (Mark.WARN, _STREAMS) if missed else (Mark.OK, None)
    return Stage(name, mark, f"{name}: {words}, and is not in the list", cure, attempt.allocation.seconds)


_STREAMS: Final = "no relay by TCP or TLS: calls from networks that block UDP will fail"

_OF_THE_WAY: Final = frozenset({Reason.SILENT, Reason.REFUSED, Reason.CERTIFICATE, Reason.TLS, Reason.BROKEN})
"Refusals that another way to the same server may not meet."

_UNREACHABLE: Final = "that address is private, and the server is not: set its public one (coturn: `external-ip`)"


def _explained(server: TurnServer, refused: Refusal) -> tuple[str, str]:
    kind = _WORDS[server.transport, server.secure]
    match refused.reason:
        case Reason.NAME:
            return "the host has no address", "is the name right, and does DNS answer?"
        case Reason.SILENT:
            return f"no answer in {STEP:g} s", f"{kind} to that host is blocked, or it is down"
        case Reason.REFUSED:
            return "connection refused", f"nothing listens there for {kind}: is the port right?"
        case Reason.UNAUTHORIZED:
            return refused.words, _credentials(server)
        case Reason.CERTIFICATE:
            return f"the certificate is not to be trusted: {refused.words}", _certificate(refused.words)
        case Reason.TLS:
            return f"no TLS: {refused.words}", "does the server speak TLS at that port? `turn:` is for plain ones"
        case Reason.SAID_NO:
            return refused.words, "the server's log says why"
        case Reason.BROKEN:
            return refused.words, "is there a route to it, and is it a TURN server?"


def _credentials(server: TurnServer) -> str:
    if server.username is None or server.credential is None:
        return 'it asks for a user: {"urls": …, "username": …, "credential": …}'
    return "user name or credential is wrong, or has expired"


def _certificate(words: str) -> str:
    """OpenSSL's words for it, which say what is the matter."""
    if "expired" in words:
        return "the server needs a new certificate"
    if "mismatch" in words or "not valid for" in words:
        return "use the name that the certificate is for"
    if "not yet valid" in words:
        return "is the clock of this machine right?"
    return "get one that is signed, or have the variable SSL_CERT_FILE name its authority"


def _is_hidden(found: Allocation) -> bool:
    """Whether the relay is in a private network that its server is not in."""
    if found.relay is None or found.address is None:
        return False
    relay, server = (ipaddress.ip_address(each) for each in (found.relay[0], found.address))
    return server.is_global and not relay.is_global


def _is_stream(attempt: Attempt) -> bool:
    return attempt.way.server.transport == "tcp"
