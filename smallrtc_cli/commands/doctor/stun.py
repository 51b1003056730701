"""What STUN servers showed: whether they answer, and what kind of NAT is in between."""

from collections.abc import Sequence
from typing import Final

from smallrtc_cli.commands.doctor.bounds import STEP
from smallrtc_cli.commands.doctor.places import place, shown
from smallrtc_cli.report.stages import Mark, Stage, skipped
from smallrtc_cli.rtc.reflexive import Reflection
from smallrtc_cli.rtc.refusals import Reason

NAT: Final = "nat"

_TURN: Final = "a TURN server (`--ice-servers`)"


def judge(found: Reflection) -> Stage:
    """One server."""
    name = shown(found.server)
    if found.refusal is None:
        (seen, *_) = found.mapped.values()
        return Stage(name, Mark.OK, f"{name} sees this machine as {place(*seen)}", None, found.seconds)
    match found.refusal.reason:
        case Reason.NAME:
            detail, cure = "the host has no address", "is the name right, and does DNS answer?"
        case Reason.SILENT:
            detail, cure = f"no answer in {STEP:g} s", "it is down, or UDP to that host is blocked"
        case Reason.REFUSED:
            detail, cure = "connection refused", "nothing listens at that UDP port: is it the right one?"
        case _:
            detail, cure = found.refusal.words, "is there a route to it, and is it a STUN server?"
    return Stage(name, Mark.FAIL, f"{name}: {detail}", cure, found.seconds)


def judge_nat(found: Sequence[Reflection]) -> Stage:
    """The mapping as several destinations see it."""
    mapped = {asked: seen for each in found for asked, seen in each.mapped.items()}
    if not mapped:
        return skipped(NAT, "NAT", "a STUN server that answers")
    seconds = max(each.seconds for each in found if each.mapped)
    seen = list(dict.fromkeys(mapped.values()))
    if len(seen) > 1:
        listed = ", ".join(place(*each) for each in seen)
        detail = f"symmetric NAT: each destination sees another address ({listed})"
        cure = f"what STUN finds is of no use behind it: calls need {_TURN}, or an open network at the other end"
        return Stage(NAT, Mark.WARN, detail, cure, seconds)
    if any(each.source == seen[0][0] for each in found if each.mapped):
        return Stage(NAT, Mark.OK, f"no NAT: {seen[0][0]} is this machine's own address", None, seconds)
    if len(mapped) > 1:
        detail = f"NAT that keeps its mapping: {len(mapped)} destinations see {place(*seen[0])}"
        return Stage(NAT, Mark.OK, detail, None, seconds)
    detail = f"NAT: seen as {place(*seen[0])}; one destination alone cannot tell whether others see the same"
    return Stage(NAT, Mark.OK, detail, "name a second STUN server to find out", seconds)
