"""The few figures of a statistics report that people look at."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

Report = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Vitals:
    """Of a report with W3C's names (`rtc.stats`); None is not known. Levels are dBFS, of the last tenth of a second."""

    round_trip_ms: float | None = None
    loss_percent: float | None = None
    jitter_ms: float | None = None
    level_in: float | None = None
    level_out: float | None = None
    bytes: int = 0
    "Both ways, all that went over the transport."

    path: str = ""
    "`host to srflx, udp`."

    @classmethod
    def of(cls, report: Report) -> Self:
        """Read them off."""
        entries = list(report.values())
        audio = [entry for entry in entries if entry.get("kind") == "audio"]
        inbound = [entry for entry in audio if entry["type"] == "inbound-rtp"]
        lost, got = (sum(entry.get(name, 0) for entry in inbound) for name in ("packetsLost", "packetsReceived"))
        transport = [entry for entry in entries if entry["type"] == "transport"]
        return cls(
            round_trip_ms=_milliseconds(entries, "remote-inbound-rtp", "roundTripTime")
            or _milliseconds(entries, "candidate-pair", "currentRoundTripTime"),
            loss_percent=100 * lost / (lost + got) if lost + got else None,
            jitter_ms=_milliseconds(audio, "inbound-rtp", "jitter"),
            level_in=_level(audio, "inbound-rtp"),
            level_out=_level(audio, "media-source"),
            bytes=sum(entry.get("bytesSent", 0) + entry.get("bytesReceived", 0) for entry in transport),
            path=_path(report),
        )


def _milliseconds(entries: Iterable[Mapping[str, Any]], kind: str, name: str) -> float | None:
    values = [entry[name] * 1000 for entry in entries if entry["type"] == kind and name in entry]
    return max(values) if values else None


def _level(entries: Iterable[Mapping[str, Any]], kind: str) -> float | None:
    values = [entry["audioLevel"] for entry in entries if entry["type"] == kind and "audioLevel" in entry]
    return (20 * math.log10(values[0]) if values[0] > 0 else float("-inf")) if values else None


def _path(report: Report) -> str:
    ends = [report.get(name) for name in ("local-candidate", "remote-candidate")]
    kinds = [end["candidateType"] for end in ends if end]
    return f"{kinds[0]} to {kinds[1]}, udp" if len(kinds) == 2 else ""
