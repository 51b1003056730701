"""Findings of a probe, made up for tests of what is made of them."""

from typing import Any

from smallrtc_cli.commands.probe_mtu.findings import Measured, Pair, Way
from smallrtc_cli.commands.probe_mtu.options import Present
from smallrtc_cli.protocol.mtu import Finding, Outcome
from smallrtc_cli.protocol.packet_sizes import LARGEST_CHUNK, Layers
from smallrtc_cli.rtc.diagnosis import End
from smallrtc_cli.rtc.path import Limit, PathReport

PIPECATS = Present(1100, None)
PAIR = Pair(End("host", "10.0.0.5", 4000), End("srflx", "203.0.113.9", 5000))


def report(
    mtu: int = 1280,
    limit: Limit = Limit.BLACK_HOLE,
    *,
    pieces: bool | None = False,
    method: str = "sctp",
    **layers: Any,
) -> PathReport:
    """What a probe finds on a path that carries so much."""
    below = Layers(**layers)
    chunk = below.largest_chunk(mtu)
    refused = None if chunk == LARGEST_CHUNK else chunk + 4
    finding = Finding(Outcome.FOUND, chunk, refused, exact=True, local=False, probes=55, seconds=0.09)
    if refused is None:
        limit, pieces = Limit.NONE, None
    return PathReport(finding, below, method, limit, pieces, 1500, 0.001)


def nothing(outcome: Outcome, method: str = "sctp") -> PathReport:
    """A probe that finds no size that passes."""
    refused = 456 if outcome is Outcome.BELOW else None
    finding = Finding(outcome, None, refused, exact=False, local=False, probes=30, seconds=1.0)
    limit = Limit.BLACK_HOLE if refused else Limit.NONE
    return PathReport(finding, Layers(), method, limit, None, None, 0.001)


def measured(*reports: PathReport, down: Way | None = None, present: Present = PIPECATS, **more: Any) -> Measured:
    return Measured(pair=PAIR, reports=reports or (report(),), down=down, present=present, **more)
