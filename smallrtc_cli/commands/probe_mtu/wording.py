"""What was found, in words."""

from collections.abc import Iterator
from typing import Final

from smallrtc_cli.commands.probe_mtu.findings import Fate, Measured, Verdict, Way, overhead
from smallrtc_cli.commands.probe_mtu.options import PIPECAT_CHUNK, VARIABLE
from smallrtc_cli.rtc.path import Limit

OTHERS: Final = ((PIPECAT_CHUNK, "Pipecat"), (1160, "aiortc 1.16"), (1200, "aiortc before 1.16"))
"Sizes that programs send by themselves."


def line_to_copy(chunk: int) -> str:
    """For a shell, and for a `.env` file."""
    return f"{VARIABLE}={chunk}"


def lines(found: Measured) -> list[str]:
    """The evidence, to be printed below the line to copy; where there is none the answer comes first."""
    rows = [("path", _path(found)), ("up", _way(found.up)), ("down", _down(found.down)), *_more(found)]
    answer = [] if found.verdict is Verdict.FOUND else [headline(found), ""]
    took = f"{'found' if found.up.chunk else 'searched'} in {max(0.01, found.seconds):.2f} s with {found.probes} probes"
    asked = "" if found.report.method == "sctp" else ", by STUN alone: the other side does not answer SCTP's"
    return [*answer, *(f" {label:<9} {text}" for label, text in rows), f" {took}{asked}"]


def headline(found: Measured) -> str:
    """The verdict in one sentence."""
    match found.verdict:
        case Verdict.FOUND:
            return f"chunks of {found.advised} bytes pass"
        case Verdict.BELOW:
            return "below 576: the other side is there, and not even the smallest packet passes in one piece"
        case Verdict.STALLED:
            return f"stalled, and the MTU is not the problem: {_holdup(found)}"
        case Verdict.INCONCLUSIVE if not found.agreed:
            sizes = ", ".join(str(report.chunk or "none") for report in found.reports)
            return f"inconclusive: the probes do not agree on the largest chunk ({sizes})"
        case _:
            return "inconclusive: the other side answers no probes"


def _holdup(found: Measured) -> str:
    assert found.holdup is not None
    if found.holdup.window == 0:
        return "the other side takes no more (its receive window is full: its program does not read)"
    return f"the other side acknowledges nothing, though packets of {found.up.ip_packet} bytes reach it"


def _path(found: Measured) -> str:
    pair, layers = found.pair, found.layers
    leg = f", by a TURN server over {layers.relay.upper()}" if layers.relay else ""
    cipher = layers.cipher.removeprefix("ECDHE-ECDSA-")
    security = f"{pair.dtls} {cipher} ({overhead(layers, found.up.chunk or 0)['dtls']} bytes)"
    kinds = f"{pair.local.type} → {pair.remote.type}"
    return f"{pair.local.address} → {pair.remote.address}   udp{layers.family}, {kinds}{leg}, {security}"


def _way(way: Way, *, far: bool = False) -> str:
    why = f" ({_why(way.limit, far=far)})" if way.limit is not None else ""
    if way.chunk is None:
        return "not known" if way.refused is None else f"{way.refused} bytes do not fit{why}"
    fits = f"{way.ip_packet} bytes fit"
    if way.refused is not None:
        return f"{fits}, {way.refused} do not{why}   chunk {way.chunk}"
    return f"{fits}, more was not tried   chunk {way.chunk}"


def _why(limit: Limit, *, far: bool) -> str:
    return "the limit of its own interface" if far and limit is Limit.LOCAL else limit.words


def _down(way: Way | None) -> str:
    return "not told: the other side is not smallrtc" if way is None else _way(way, far=True)


def _more(found: Measured) -> Iterator[tuple[str, str]]:
    narrow = found.narrow
    if narrow.pieces_pass is not None:
        yield "fragments", "pass: longer packets arrive where they may be cut" if narrow.pieces_pass else "do not pass"
    if narrow.chunk is not None:
        yield "you use", _present(found)
        yield "", " · ".join(f"{size} ({who}) {narrow.fate(size)}" for size, who in OTHERS)
        yield "speed", _speeds(found)


def _present(found: Measured) -> str:
    chunk, fate = found.present.chunk, found.narrow.fate(found.present.chunk)
    where = f"{chunk} ({found.present.source or 'as Pipecat does: nothing is set'})"
    if fate is Fate.STALLS:
        return f"{where} stalls: messages longer than {found.narrow.chunk} bytes never arrive here"
    return f"{where} {fate}"


def _speeds(found: Measured) -> str:
    if not found.speeds:
        return "not measured" if found.down else "not measured: only smallrtc takes what that needs"
    return ", ".join(f"{_rate(speed.bytes_per_second)} in chunks of {speed.chunk}" for speed in found.speeds)


def _rate(bytes_per_second: float) -> str:
    if bytes_per_second >= 1e6:
        return f"{bytes_per_second / 1e6:.1f} MB/s"
    return f"{bytes_per_second / 1e3:.0f} kB/s" if bytes_per_second else "nothing"


def change(before: Measured, now: Measured) -> str | None:
    """What has become of the path; None where it is as it was."""
    told = []
    for label, old, new in (("up", before.up, now.up), ("down", before.down, now.down)):
        if new is not None and old is not None and new.chunk != old.chunk:
            told.append(f"{label} {_way(new, far=label == 'down')} ({old.chunk or 'nothing'} before)")
    if now.verdict is not before.verdict and (now.verdict is not Verdict.FOUND or not told):
        return headline(now)
    return "; ".join(told) or None
