"""Why a connection did not come up, in words: from what both sides offered and what the checks showed.

`diagnose` is a pure function of `Evidence`. It names the first cause of `_RULES` that fits, the most certain ones
first, says what to do, and lists what it knows: candidates, pairs, servers.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from smallrtc_cli.errors import CouldNotConnect
from smallrtc_cli.rtc.attempt import End, Evidence, Tried, home_network, is_private, udp_ends
from smallrtc_cli.rtc.facts import counted, facts

__all__ = ["Cause", "Diagnosis", "End", "Evidence", "NoConnection", "Tried", "diagnose"]

_TURN: Final = "a TURN server (`--ice-servers`)"
_ANSWERED: Final = "succeeded"


class Cause(StrEnum):
    """What is missing, for scripts and tests."""

    WENT_SILENT = "went-silent"
    DTLS_REFUSED = "dtls-refused"
    DTLS_SILENT = "dtls-silent"
    NO_RELAY = "no-relay"
    NOTHING_OFFERED_HERE = "nothing-offered-here"
    NOTHING_OFFERED_THERE = "nothing-offered-there"
    TCP_ONLY = "tcp-only"
    NAMES_UNRESOLVED = "names-unresolved"
    FAMILIES_DIFFER = "families-differ"
    NO_PAIR = "no-pair"
    STRANGE_CHECKS = "strange-checks"
    NOT_CHOSEN = "not-chosen"
    ONE_WAY = "one-way"
    CANNOT_SEND = "cannot-send"
    LOOPBACK_ONLY = "loopback-only"
    SAME_NETWORK = "same-network"
    PRIVATE_ONLY = "private-only"
    PRIVATE_HERE = "private-here"
    UDP_BLOCKED = "udp-blocked"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A cause, a sentence and a cure, and the facts behind them."""

    cause: Cause
    sentence: str
    hint: str
    facts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([self.sentence, *(f"  {fact}" for fact in self.facts), f"  hint: {self.hint}"])

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"cause": self.cause.value, "facts": list(self.facts)}


class NoConnection(CouldNotConnect):
    """No peer connection came up, and `diagnosis` says why."""

    def __init__(self, sentence: str, diagnosis: Diagnosis) -> None:
        super().__init__(f"{sentence}: {diagnosis.sentence}", hint=diagnosis.hint)
        self.diagnosis = diagnosis


def diagnose(evidence: Evidence) -> Diagnosis:
    """Say why there is no connection."""
    for rule in _RULES:
        found = rule(evidence)
        if found is not None:
            break
    else:
        found = _blocked(evidence)
    return Diagnosis(*found, tuple(facts(evidence)))


_Finding = tuple[Cause, str, str]


def _went_silent(e: Evidence) -> _Finding | None:
    if not e.was_connected:
        return None
    sentence = f"the connection was up, and then nothing more came from the {e.other}"
    return Cause.WENT_SILENT, sentence, f"the {e.other} crashed, was closed without a goodbye, or lost its network"


def _dtls(e: Evidence) -> _Finding | None:
    if e.dtls == "failed":
        sentence = "ICE connected, but the DTLS handshake failed"
        return (
            Cause.DTLS_REFUSED,
            sentence,
            "the certificate is not the one in the session description: is that mixed up?",
        )
    if e.selected is None or e.dtls == "new":  # chosen by late checks, when ICE had given up
        return None
    sentence = f"ICE connected ({e.selected}), but the DTLS handshake did not end"
    return Cause.DTLS_SILENT, sentence, "small packets pass and large ones may not: is the path's MTU below 1000 bytes?"


def _no_relay(e: Evidence) -> _Finding | None:
    if not e.relay_only or any(end.type == "relay" for end in e.local):
        return None
    sentence = "relay only, and no TURN server gave a relay"
    return (
        Cause.NO_RELAY,
        sentence,
        "name a `turn:` server whose user name and credential are right, or allow all candidates",
    )


def _nothing_here(e: Evidence) -> _Finding | None:
    if e.local:
        return None
    sentence = "this side had no candidate to offer"
    return (
        Cause.NOTHING_OFFERED_HERE,
        sentence,
        "is there a network interface, and are `--interface` and `--udp-ports` right?",
    )


def _nothing_there(e: Evidence) -> _Finding | None:
    if e.remote or (e.checks_heard and e.selected is None):
        return None
    sentence = f"the {e.other} offered no candidates"
    hint = f"do its trickled candidates arrive here? Where it may only use a relay, it needs {_TURN}"
    return Cause.NOTHING_OFFERED_THERE, sentence, hint


def _tcp_only(e: Evidence) -> _Finding | None:
    if not e.remote or any(end.transport == "udp" for end in e.remote) or e.checks_heard:
        return None
    sentence = f"the {e.other} offered TCP candidates only, and this side speaks UDP"
    return Cause.TCP_ONLY, sentence, f"let it use UDP, or give it {_TURN} that it reaches over TCP"


def _names(e: Evidence) -> _Finding | None:
    udp = udp_ends(e.remote)
    if not udp or e.checks_heard or any(end.family != "name" or end.address in e.resolved for end in udp):
        return None
    sentence = f"the {e.other} offered only mDNS names (`{udp[0].address}`) that cannot be resolved here"
    hint = (
        f"let the {e.other}'s checks arrive here: open the UDP ports, use `--public-ip` or {_TURN};"
        " a page that may use the microphone offers addresses instead of names"
    )
    return Cause.NAMES_UNRESOLVED, f"{sentence}, and its own checks do not arrive", hint


def _families(e: Evidence) -> _Finding | None:
    here, there = ({end.family for end in udp_ends(side)} - {"name"} for side in (e.local, e.remote))
    if not here or not there or here & there or e.checks_heard or e.resolved:
        return None
    sentence = f"this side has {_and(here)} only, and the {e.other} has {_and(there)} only"
    return Cause.FAMILIES_DIFFER, sentence, f"give one of them both kinds of address, or use {_TURN} that has both"


def _no_pair(e: Evidence) -> _Finding | None:
    if e.pairs or e.checks_heard:
        return None
    sentence = f"no candidate of this side could be paired with one of the {e.other}'s"
    return Cause.NO_PAIR, sentence, f"see what each side offered; {_TURN} for both sides pairs with everything"


def _strange(e: Evidence) -> _Finding | None:
    if e.checks_heard or not e.requests_heard:
        return None
    sentence = "checks arrive here, but with the password of another session"
    return (
        Cause.STRANGE_CHECKS,
        sentence,
        "offer and answer do not belong together: is one of them from an earlier attempt?",
    )


def _not_chosen(e: Evidence) -> _Finding | None:
    worked = [pair for pair in e.pairs if pair.state == _ANSWERED]
    if not worked:
        return None
    late = "only since ICE has given up" if e.selected else f"but the {e.other} did not choose it"
    sentence = f"a pair works ({worked[0]}), {late}"
    hint = f"checks may be lost on their way to the {e.other}'s decision: look at its own log, or try again"
    return Cause.NOT_CHOSEN, sentence, hint


def _one_way(e: Evidence) -> _Finding | None:
    if not e.checks_heard or e.responses_heard:
        return None
    sentence = f"checks of the {e.other} arrive here, but ours get no answer: packets pass in one direction only"
    return Cause.ONE_WAY, sentence, f"a firewall drops what this machine sends; open outgoing UDP, or use {_TURN}"


def _cannot_send(e: Evidence) -> _Finding | None:
    if not e.send_errors:
        return None
    sentence = f"this machine would not send: {e.send_errors[0].lower()}"
    return Cause.CANNOT_SEND, sentence, "is there a route to the other side, and does a local firewall allow UDP?"


def _loopback(e: Evidence) -> _Finding | None:
    here, there = ({end.scope for end in udp_ends(side)} for side in (e.local, e.remote))
    sides = [name for name, scopes in (("this side", here), (f"the {e.other}", there)) if scopes == {"loopback"}]
    if not sides:
        return None
    sentence = f"{' and '.join(sides)} offered loopback addresses only, which nobody else can reach"
    hint = "is its network interface up? Inside a container, publish the ports or use the host's network"
    return Cause.LOOPBACK_ONLY, sentence, hint


def _same_network(e: Evidence) -> _Finding | None:
    if not is_private(e.local) or not is_private(e.remote):
        return None
    here, there = (
        {network: end.address for end in udp_ends(side) if (network := home_network(end.address))}
        for side in (e.local, e.remote)
    )
    common = [network for network in here if network in there and here[network] != there[network]]
    if not common:
        return None
    sentence = f"both sides are in {common[0]}, and yet none of our checks was answered"
    hint = "a firewall on one of the two machines blocks UDP, or the network keeps its devices apart (guest Wi-Fi, VPN)"
    return Cause.SAME_NETWORK, sentence, hint


def _private_only(e: Evidence) -> _Finding | None:
    if not is_private(e.local) or not is_private(e.remote):
        return None
    sentence = "there are only private addresses on both sides, and they do not reach each other"
    hint = f"{_TURN} is needed, or `--public-ip` where this machine has an address that is known outside"
    return Cause.PRIVATE_ONLY, sentence, hint


def _private_here(e: Evidence) -> _Finding | None:
    if not is_private(e.local):
        return None
    sentence = f"this side offered only private addresses, and the {e.other} is somewhere else"
    return Cause.PRIVATE_HERE, sentence, f"use `--public-ip`, a STUN server or {_TURN}"


def _blocked(e: Evidence) -> _Finding:
    sentence = f"UDP is blocked: none of {counted(len(e.pairs), 'check')} was answered, and none came in"
    if any(end.type == "relay" for end in e.local):
        return Cause.UDP_BLOCKED, sentence, f"the relay does not reach the {e.other} either: give it {_TURN} too"
    hint = f"open the ports (`--udp-ports` keeps them to a few) in the firewall, or use {_TURN}"
    return Cause.UDP_BLOCKED, sentence, hint


_RULES: tuple[Callable[[Evidence], _Finding | None], ...] = (
    _went_silent,
    _dtls,
    _no_relay,
    _nothing_here,
    _nothing_there,
    _tcp_only,
    _names,
    _families,
    _no_pair,
    _strange,
    _not_chosen,
    _one_way,
    _cannot_send,
    _loopback,
    _same_network,
    _private_only,
    _private_here,
)


# Facts


def _and(words: Iterable[str]) -> str:
    return " and ".join(sorted(words))
