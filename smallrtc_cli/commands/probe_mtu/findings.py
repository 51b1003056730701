"""What was measured, and what it means: pure values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from smallrtc_cli.commands.probe_mtu.options import Present
from smallrtc_cli.errors import CouldNotConnect, ExitCode
from smallrtc_cli.protocol.messages import PathReportMessage
from smallrtc_cli.protocol.mtu import Outcome
from smallrtc_cli.protocol.packet_sizes import SCTP_OVERHEAD, UDP_HEADER, Layers, dtls_overhead, pad4
from smallrtc_cli.report.document import VERSION, plain
from smallrtc_cli.rtc.diagnosis import End
from smallrtc_cli.rtc.flow import Holdup, Throughput
from smallrtc_cli.rtc.path import Limit, PathReport

COMMAND: Final = "probe-mtu"


class Verdict(StrEnum):
    """What a probe came to."""

    FOUND = "found"
    BELOW = "below"
    "The other side is there, and not even 576 bytes pass in one piece."

    STALLED = "stalled"
    "Nothing that is sent is acknowledged, whatever the path carries."

    INCONCLUSIVE = "inconclusive"


EXIT_CODES: Final[Mapping[Verdict, ExitCode]] = {
    Verdict.FOUND: ExitCode.OK,
    Verdict.BELOW: ExitCode.FAILED,
    Verdict.STALLED: ExitCode.FAILED,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}


class Fate(StrEnum):
    """What becomes of a packet on a path."""

    FITS = "fits"
    IN_PIECES = "passes in fragments only"
    STALLS = "stalls"


class NoChannel(CouldNotConnect):
    """The connection is up, and no data channel comes."""


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of a path: user bytes of the largest chunk that passes, and lengths of IP packets."""

    chunk: int | None
    ip_packet: int | None = None
    refused: int | None = None
    "The shortest packet that surely does not pass; None where nothing was refused."

    limit: Limit | None = None
    pieces_pass: bool | None = None

    @classmethod
    def up(cls, report: PathReport) -> "Way":
        """From here to the other side, as we have measured it."""
        if not believable(report):
            return cls(None)
        return cls(report.chunk, report.ip_packet, report.refused_ip_packet, report.limit, report.pieces_pass)

    @classmethod
    def down(cls, told: PathReportMessage) -> "Way":
        """From the other side to here, as it tells."""
        limit = Limit(told.limit) if told.limit in set(Limit) else None
        return cls(told.chunk, told.ip_packet, told.refused_ip_packet, limit, told.pieces_pass)

    @property
    def is_known(self) -> bool:
        return self.chunk is not None or self.refused is not None

    def fate(self, chunk: int) -> Fate:
        """What becomes of chunks of that size, sent by a program that sets nothing on its sockets.

        Its system cuts packets where it knows of the limit; in a black hole it does not.
        """
        if self.chunk is not None and chunk <= self.chunk:
            return Fate.FITS
        told = self.limit in (Limit.LOCAL, Limit.ICMP)
        return Fate.IN_PIECES if told and self.pieces_pass else Fate.STALLS


def believable(report: PathReport) -> bool:
    """Whether it proves something: an ICE agent may answer short requests only, whatever the path carries."""
    outcome = report.finding.outcome
    return outcome is Outcome.FOUND or (outcome is Outcome.BELOW and report.method == "sctp")


@dataclass(frozen=True, slots=True)
class Pair:
    """The candidate pair in use, and how it is protected."""

    local: End
    remote: End
    dtls: str = "DTLS 1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All that is known of one path."""

    pair: Pair
    reports: Sequence[PathReport]
    "Of each probe; there is one at least."

    down: Way | None
    "None: the other side does not tell."

    holdup: Holdup | None = None
    speeds: Sequence[Throughput] = ()
    present: Present

    @property
    def report(self) -> PathReport:
        """The most careful of them."""
        return min(self.reports, key=lambda report: report.chunk or 0)

    @property
    def layers(self) -> Layers:
        return self.report.layers

    @property
    def up(self) -> Way:
        return Way.up(self.report)

    @property
    def agreed(self) -> bool:
        """Whether all probes have said the same."""
        return len({report.chunk for report in self.reports}) == 1

    @property
    def seconds(self) -> float:
        return sum(report.finding.seconds for report in self.reports)

    @property
    def probes(self) -> int:
        return sum(report.finding.probes for report in self.reports)

    @property
    def narrow(self) -> Way:
        """The direction that carries less, as far as both are known."""
        down = [self.down] if self.down is not None and self.down.is_known else []
        return min([self.up, *down], key=lambda way: way.chunk or 0)

    @property
    def verdict(self) -> Verdict:
        if not believable(self.report):
            return Verdict.INCONCLUSIVE
        if self.narrow.chunk is None:
            return Verdict.BELOW
        if self.holdup is not None:
            return Verdict.STALLED
        return Verdict.FOUND if self.agreed else Verdict.INCONCLUSIVE

    @property
    def advised(self) -> int | None:
        """A size that passes in both directions."""
        return self.narrow.chunk if self.verdict is Verdict.FOUND else None


def no_channel(state: str, report: PathReport | None, waited: float) -> NoChannel:
    """Why there is no data channel on a connection that is up; `state` is that of SCTP, `report` what the path says."""
    what = "no data channel was opened" if state == "connected" else "SCTP was not established"
    sentence, hint = f"connected, but {what} within {waited:g} s", "does the server take data channels at all?"
    if report is not None and report.finding.outcome is Outcome.FOUND:
        return NoChannel(f"{sentence}; {report.ip_packet} bytes pass, so the MTU is not the problem", hint=hint)
    if report is not None and believable(report):
        return NoChannel(f"{sentence}; not even 576 bytes pass in one piece", hint="a tunnel or VPN is in between")
    return NoChannel(f"{sentence}, and the path does not tell its MTU", hint=hint)


# For scripts


def document(found: Measured) -> dict[str, Any]:
    """The finding as JSON values, in the order in which they are printed."""
    up, layers = found.up, found.layers
    document = {
        "version": VERSION,
        "command": COMMAND,
        "verdict": found.verdict,
        "path": {
            "local": _end(found.pair.local),
            "remote": _end(found.pair.remote),
            "family": layers.family,
            "relay": layers.relay,
        },
        "up": way_document(up),
        "down": None if found.down is None else way_document(found.down),
        "cause": found.narrow.limit,
        "fragments_pass": found.narrow.pieces_pass,
        "overhead": overhead(layers, up.chunk or 0),
        "seconds": round(found.seconds, 4),
        "probes": found.probes,
    }
    return {name: plain(value) for name, value in document.items()}


def way_document(way: Way) -> dict[str, Any]:
    return {"chunk": way.chunk, "ip_packet": way.ip_packet}


def _end(end: End) -> dict[str, Any]:
    return {"type": end.type, "address": end.address, "port": end.port}


def overhead(layers: Layers, chunk: int) -> dict[str, int]:
    """What each layer adds to a chunk, in bytes; without what pads it to four."""
    dtls = dtls_overhead(layers.cipher, pad4(chunk) + SCTP_OVERHEAD)
    turn = 4 if layers.relay == "udp" else 0
    ip = layers.below_dtls - UDP_HEADER - turn
    return {"sctp": SCTP_OVERHEAD, "dtls": dtls, "turn": turn, "udp": UDP_HEADER, "ip": ip}
