"""Whether UDP, which all media needs, leaves this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from smallrtc_cli.commands.doctor.places import place
from smallrtc_cli.report.stages import Mark, Stage

NAME: Final = "udp"

Server = tuple[str, int]
"Host and port."

_OPEN: Final = "open outgoing UDP in the firewall, or use a TURN server over TCP or TLS (`turns:`)"


@dataclass(frozen=True, slots=True)
class Passage:
    """What is known of it."""

    own: Mapping[str, bool]
    "Own addresses, and whether a packet from each to itself arrived."

    answered: Sequence[Server] = ()
    silent: Sequence[Server] = ()
    "Those that were asked over UDP."

    by_tcp: Sequence[Server] = ()
    "Those that took a TCP connection."

    seconds: float = 0.0


def judge(found: Passage) -> Stage:
    """A server that is silent by UDP and there by TCP is the proof; silence alone is none."""
    dropped = [address for address, arrived in found.own.items() if not arrived]
    servers = len(found.answered) + len(found.silent)
    if found.own and len(dropped) == len(found.own):
        detail = f"UDP is blocked: no packet from this machine to itself arrives ({', '.join(dropped)})"
        return Stage(NAME, Mark.FAIL, detail, "a firewall on this machine drops it", found.seconds)
    hosts = {host for host, _ in found.silent}
    proof = [place(*server) for server in found.by_tcp if server[0] in hosts]
    if proof and not found.answered:
        detail = f"UDP is blocked: {proof[0]} takes TCP, and nobody answers by UDP"
        return Stage(NAME, Mark.FAIL, detail, _OPEN, found.seconds)
    if dropped:
        detail = f"no packet to itself arrives on {', '.join(dropped)}"
        return Stage(NAME, Mark.WARN, detail, "a firewall on this machine drops it", found.seconds)
    if found.silent and not found.answered:
        listed = ", ".join(place(*server) for server in found.silent)
        detail = f"nobody answers by UDP, and nobody takes TCP ({listed})"
        return Stage(NAME, Mark.WARN, detail, "the servers are down, or this network lets nothing out", found.seconds)
    outside = f", and reaches {len(found.answered)} of {servers} servers" if servers else ""
    return Stage(NAME, Mark.OK, f"UDP passes on this machine{outside}", None, found.seconds)
