"""Sessions as Prometheus text (exposition format 0.0.4): `metrics_text` is a pure function of snapshots.

Each session's figures are gauges with the first characters of its id as label, for no more than `MOST_SESSIONS`
sessions, so that a scrape stays small; what is counted over all sessions has no such label. Times are in seconds,
ratios from 0 to 1.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from smallrtc_cli.protocol.session import CloseReason, State

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

MOST_SESSIONS: Final = 100
"Sessions with figures of their own; the others are counted."

_SHORTEST: Final = 8  # characters of an id, if that tells the sessions apart

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """One session at one moment; `report` is what `rtc.stats.stats` gives."""

    session_id: str
    state: str
    seconds: float
    "How long it has been going on."
    report: Mapping[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Totals:
    """What was counted since the start."""

    closed: Mapping[str, int] = field(default_factory=dict)
    "Conversations that ended, by `CloseReason`."
    bot_failures: int = 0


def metrics_text(sessions: Sequence[SessionSnapshot], totals: Totals) -> str:
    """The text of a scrape, to be sent as `CONTENT_TYPE`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshots(sessions, totals))
    return generate_latest(registry).decode()


class _Snapshots:
    """What prometheus-client calls a collector."""

    def __init__(self, sessions: Sequence[SessionSnapshot], totals: Totals) -> None:
        self._sessions, self._totals = sessions, totals

    def describe(self) -> Iterable[Metric]:
        """Nothing to check for duplicates: the registry is this scrape's own."""
        return []

    def collect(self) -> Iterable[Metric]:
        yield _states(self._sessions)
        yield _closed(self._totals)
        failures = CounterMetricFamily("smallrtc_bot_failures", "Bots that ended with an exception.")
        failures.add_metric([], self._totals.bot_failures)
        yield failures
        shown = self._sessions[:MOST_SESSIONS]
        labels = short_ids([session.session_id for session in shown])
        yield from _of_sessions(dict(zip(labels, shown, strict=True)))


def short_ids(ids: Sequence[str]) -> list[str]:
    """The shortest beginnings, of eight characters or more, that tell all ids apart."""
    longest = max(map(len, ids), default=0)
    for length in range(_SHORTEST, longest):
        shortened = [full[:length] for full in ids]
        if len(set(shortened)) == len(ids):
            return shortened
    return list(ids)


def _states(sessions: Sequence[SessionSnapshot]) -> Metric:
    family = GaugeMetricFamily("smallrtc_sessions", "Sessions now, by state.", labels=["state"])
    known = [state.value for state in State if state is not State.CLOSED]
    found = Counter(session.state for session in sessions)
    for state in dict.fromkeys([*known, *found]):
        family.add_metric([state], found[state])
    return family


def _closed(totals: Totals) -> Metric:
    """Every reason is there from the start: a counter that appears with its first event hides that event."""
    family = CounterMetricFamily("smallrtc_calls", "Conversations that ended, by reason.", labels=["reason"])
    for reason in dict.fromkeys([*(reason.value for reason in CloseReason), *totals.closed]):
        family.add_metric([reason], totals.closed.get(reason, 0))
    return family


_Value = tuple[tuple[str, ...], float]


def _of_sessions(sessions: Mapping[str, SessionSnapshot]) -> Iterable[Metric]:
    for name, meaning, labels, values in _FIGURES:
        family = GaugeMetricFamily(f"smallrtc_session_{name}", meaning, labels=["session", *labels])
        for label, session in sessions.items():
            for rest, value in values(session):
                family.add_metric([label, *rest], value)
        if family.samples:
            yield family


def _entries(session: SessionSnapshot, kind: str) -> list[Entry]:
    return [entry for entry in session.report.values() if entry["type"] == kind]


def _duration(session: SessionSnapshot) -> Iterable[_Value]:
    yield (), session.seconds


def _round_trip(session: SessionSnapshot) -> Iterable[_Value]:
    for entry in _entries(session, "candidate-pair"):
        if "currentRoundTripTime" in entry:
            yield (), entry["currentRoundTripTime"]


def _streams(session: SessionSnapshot) -> Iterable[tuple[tuple[str, ...], Entry]]:
    """`in` is what we receive, `out` what the other side says of ours."""
    for direction, kind in (("in", "inbound-rtp"), ("out", "remote-inbound-rtp")):
        for entry in _entries(session, kind):
            yield (direction, str(entry.get("kind", "")), str(entry.get("mid", ""))), entry


def _jitter(session: SessionSnapshot) -> Iterable[_Value]:
    return [(labels, entry["jitter"]) for labels, entry in _streams(session) if "jitter" in entry]


def _lost(session: SessionSnapshot) -> Iterable[_Value]:
    for labels, entry in _streams(session):
        expected = entry.get("packetsReceived", 0) + entry.get("packetsLost", 0)
        if expected > 0:
            yield labels, max(0.0, entry.get("packetsLost", 0) / expected)  # copies make it negative (RFC 3550)


def _levels(session: SessionSnapshot) -> Iterable[_Value]:
    for direction, kind in (("in", "inbound-rtp"), ("out", "media-source")):
        levels = [entry["audioLevel"] for entry in _entries(session, kind) if "audioLevel" in entry]
        if levels:
            yield (direction,), max(levels)


def _bytes(session: SessionSnapshot) -> Iterable[_Value]:
    for entry in _entries(session, "transport"):
        yield ("in",), entry.get("bytesReceived", 0)
        yield ("out",), entry.get("bytesSent", 0)


_STREAM: Final = ["direction", "kind", "mid"]
_FIGURES: Final[Sequence[tuple[str, str, list[str], Callable[[SessionSnapshot], Iterable[_Value]]]]] = (
    ("duration_seconds", "How long a session has been going on.", [], _duration),
    ("round_trip_seconds", "Round trip of the last consent check.", [], _round_trip),
    ("jitter_seconds", "Interarrival jitter (RFC 3550).", _STREAM, _jitter),
    ("packets_lost_ratio", "Packets lost since the start of the stream.", _STREAM, _lost),
    ("audio_level", "Root mean square of the last 100 ms, 1 is full scale.", ["direction"], _levels),
    ("transport_bytes", "Bytes over the present peer connection.", ["direction"], _bytes),
)
