"""The figures of a call: what its view shows, what scripts get, and the three lines at its end."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from smallrtc_cli.report.figures import duration, figure
from smallrtc_cli.report.vitals import Report, Vitals

_KEPT = 3600
"Round trips that the summary looks at: an hour of one a second."

_DRAWN = 10

_DTLS = {"FEFF": "1.0", "FEFD": "1.2", "FEFC": "1.3"}
"By its version on the wire, as statistics have it."


class Figures:
    """Follows the statistics of a call, a report at a time. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.vitals = Vitals()
        self.report: Report = {}
        self.kbit_per_s: deque[float] = deque(maxlen=_DRAWN)
        self._round_trips: deque[float] = deque(maxlen=_KEPT)
        self._before: tuple[float, int] | None = None

    def update(self, report: Report, now: float) -> None:
        """The next report."""
        self.report, self.vitals = report, Vitals.of(report)
        if self.vitals.round_trip_ms is not None:
            self._round_trips.append(self.vitals.round_trip_ms)
        if self._before is not None and now > self._before[0] and self.vitals.bytes >= self._before[1]:
            self.kbit_per_s.append((self.vitals.bytes - self._before[1]) * 8 / 1000 / (now - self._before[0]))
        self._before = (now, self.vitals.bytes)

    @property
    def round_trip(self) -> Mapping[str, float] | None:
        """Of all of the call, in milliseconds."""
        return percentiles(self._round_trips)

    def rows(self) -> list[tuple[str, str]]:
        """What stands behind the figures, name and value."""
        return [*_path(self.report), *_media(self.report), *_channel(self.report)]


def percentiles(values: Sequence[float] | deque[float]) -> dict[str, float] | None:
    """The median and the 95th percentile (nearest rank); None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1) for name, share in _SHARES}


_SHARES = (("p50", 0.5), ("p95", 0.95))


def summary(
    seconds: float, why: str, figures: Figures, answers: Sequence[float], sound: Mapping[str, int]
) -> list[str]:
    """Three lines: how long and why it ended; how good the path was; how fast the bot answered.

    `answers` are seconds from the end of my speech to the first sound of the bot's; `sound` counts what the devices
    lost, by name.
    """
    trip, vitals, answer = figures.round_trip, figures.vitals, percentiles([each * 1000 for each in answers])
    path = f"round trip {trip['p50']:.0f} ms (p95 {trip['p95']:.0f})" if trip else "round trip not measured"
    lost = "".join(f" · {count} {name}" for name, count in sound.items() if count)
    turns = f"{len(answers)} turn{'' if len(answers) == 1 else 's'}"
    return [
        f"call of {duration(seconds)}, ended: {why}",
        f"{path} · loss {figure(vitals.loss_percent, '%', digits=1)} · jitter {figure(vitals.jitter_ms, 'ms')}{lost}",
        f"end of my speech to first bot sound: {answer['p50']:.0f} ms (p95 {answer['p95']:.0f}) over {turns}"
        if answer
        else "end of my speech to first bot sound: no turn was heard",
    ]


def _path(report: Report) -> list[tuple[str, str]]:
    rows = []
    for name, title in (("local-candidate", "here"), ("remote-candidate", "there")):
        if (entry := report.get(name)) is not None:
            kind = f"{entry['candidateType']} {entry['protocol']}"
            rows.append((title, f"{entry['address']}:{entry['port']}  {kind}"))
    security = [
        ("security", f"{_version(entry['tlsVersion'])} {entry['dtlsCipher']}, {entry['srtpCipher']}")
        for entry in _of(report, "transport")
        if "dtlsCipher" in entry
    ]
    return [*rows, *security]


def _version(on_the_wire: str) -> str:
    return f"DTLS {_DTLS.get(on_the_wire, on_the_wire)}"


def _media(report: Report) -> list[tuple[str, str]]:
    inbound = [
        (
            f"{entry['kind']} in",
            f"{entry['packetsReceived']} packets, {entry['packetsLost']} lost{_codec(report, entry)}",
        )
        for entry in _of(report, "inbound-rtp")
        if entry.get("packetsReceived")
    ]
    outbound = [
        (f"{entry['kind']} out", f"{entry['packetsSent']} packets{_codec(report, entry)}")
        for entry in _of(report, "outbound-rtp")
        if entry.get("packetsSent")
    ]
    return [*inbound, *outbound]


def _codec(report: Report, entry: Mapping[str, Any]) -> str:
    codec = report.get(entry.get("codecId", ""))
    return f", {codec['mimeType'].partition('/')[2]} {codec['clockRate']} Hz" if codec else ""


def _channel(report: Report) -> list[tuple[str, str]]:
    return [
        (
            f"channel `{entry['label']}`",
            f"{entry['state']}, {entry['messagesSent']} messages out, {entry['messagesReceived']} in",
        )
        for entry in _of(report, "data-channel")
    ]


def _of(report: Report, kind: str) -> list[Mapping[str, Any]]:
    return [entry for entry in report.values() if entry["type"] == kind]
