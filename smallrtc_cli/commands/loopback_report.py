"""What a loopback call measured, as checks, a document and the rows of a table. Pure."""

import importlib.metadata
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from smallrtc_cli.audio.analysis import AudioAnalysis, Channels
from smallrtc_cli.audio.speed import NORMAL
from smallrtc_cli.bots.caller import Messages
from smallrtc_cli.report.checks import Check, Limit, Verdict, judge, overall, worst
from smallrtc_cli.report.document import Report
from smallrtc_cli.report.table import Row

COMMAND = "loopback"

_PACKAGES = ("smallrtc-cli", "aiortc", "aioice", "av", "numpy", "aiohttp")


@dataclass(frozen=True, slots=True)
class Connect:
    """How long each stage took, in milliseconds; the data channel and the first sound since the call began."""

    signalling_ms: float | None
    ice_ms: float | None
    dtls_ms: float | None
    data_channel_ms: float | None
    first_audio_ms: float | None


@dataclass(frozen=True, slots=True)
class Network:
    """What the connection counted; both ends of the call burn the CPU of one process."""

    packets_sent: int
    packets_received: int
    packets_lost: int | None
    jitter_ms: float | None
    rtcp_round_trip_ms: float | None
    cpu_percent: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything about one call."""

    connect: Connect
    audio: AudioAnalysis
    messages: Messages
    network: Network


def judged(measured: Measured, limits: Sequence[Limit], seconds: float) -> Report:
    """Hold one call against the limits."""
    values = _values(measured)
    sure = measured.audio.enough and measured.audio.located > 0 and measured.audio.speed == NORMAL
    checks = tuple(judge(limit, values[limit.name], sure or limit.name not in _DOUBTFUL) for limit in limits)
    verdict = overall(checks)
    faults = measured.audio.faults()
    return Report(
        command=COMMAND,
        verdict=verdict,
        headline=_headline(verdict, faults, checks),
        seconds=seconds,
        checks=checks,
        measurements=_measurements(measured),
        environment=environment(),
        faults=faults if verdict is not Verdict.PASSED else (),
    )


_DOUBTFUL = frozenset(
    {"round_trip_p95_ms", "gaps", "lost_samples", "inserted_samples", "cut_off_ms", "drift_ppm", "level_change_db"}
)
"What has no meaning while the sound is not recognised at its own speed."

_WHOLE_SOUND = frozenset(
    {"recognised_pct", "pitch_error_pct", "channel_faults", "gaps", "lost_samples", "inserted_samples", "cut_off_ms"}
)
"What `AudioAnalysis.faults` has sentences for, which say more than the figures."


def _values(measured: Measured) -> dict[str, float | None]:
    audio, trips = measured.audio, _all_trips(measured.messages)
    return {
        "recognised_pct": _recognised(audio),
        "pitch_error_pct": (audio.rate_ratio - 1) * 100 if audio.located or audio.speed != NORMAL else None,
        "channel_faults": _channel_faults(audio),
        "round_trip_p95_ms": audio.round_trip_ms.p95 if audio.round_trip_ms else None,
        "snr_db": audio.snr_db,
        "gaps": audio.gaps,
        "lost_samples": audio.lost_samples,
        "inserted_samples": audio.inserted_samples,
        "cut_off_ms": audio.head_ms + audio.tail_ms,
        "drift_ppm": audio.drift_ppm,
        "level_change_db": audio.level_change_db,
        "first_audio_ms": measured.connect.first_audio_ms,
        "data_channel_ms": measured.connect.data_channel_ms,
        "message_round_trip_p99_ms": _percentile(trips, 99),
        "messages_lost": measured.messages.lost if measured.messages.sent else None,
        "messages_reordered": measured.messages.reordered if measured.messages.sent else None,
        "packets_lost": measured.network.packets_lost,
    }


def _recognised(audio: AudioAnalysis) -> float | None:
    """None when too little was sent to judge; otherwise silence in place of sound counts as not recognised."""
    if not audio.enough:
        return None
    judgeable = audio.located + audio.unrecognised
    return 100 * audio.located / judgeable if judgeable else 0.0


def _channel_faults(audio: AudioAnalysis) -> float | None:
    if audio.channels is None:
        return None
    return float(audio.channels not in (Channels.OK, Channels.MONO))


def _all_trips(messages: Messages) -> list[float]:
    return [trip * 1000 for trips in messages.round_trips.values() for trip in trips]


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def _headline(verdict: Verdict, faults: Sequence[str], checks: Sequence[Check]) -> str:
    match verdict:
        case Verdict.PASSED:
            return "the audio path is healthy"
        case Verdict.INCONCLUSIVE:
            return "there is too little to judge: " + _first(checks, Verdict.INCONCLUSIVE)
        case Verdict.FAILED:
            told = any(check.verdict is Verdict.FAILED and check.name in _WHOLE_SOUND for check in checks)
            return faults[0] if told and faults else _first(checks, Verdict.FAILED)


def _first(checks: Sequence[Check], verdict: Verdict) -> str:
    return next(check.detail for check in checks if check.verdict is verdict)


def _measurements(measured: Measured) -> dict[str, Any]:
    audio, messages, network = measured.audio, measured.messages, measured.network
    trips = _all_trips(messages)
    return {
        "connect": asdict(measured.connect),
        "audio": {
            "round_trip_ms": asdict(audio.round_trip_ms) if audio.round_trip_ms else _NO_TRIPS,
            "jitter_ms": audio.jitter_ms,
            "snr_db": audio.snr_db,
            "level_change_db": audio.level_change_db,
            "gaps": audio.gaps,
            "gap_ms": audio.gap_ms,
            "lost_samples": audio.lost_samples,
            "inserted_samples": audio.inserted_samples,
            "drift_ppm": audio.drift_ppm,
            "rate_ratio": audio.rate_ratio,
            "channels": audio.channels,
            "recognised_pct": _recognised(audio),
        },
        "data": {
            "round_trip_ms": {"p50": _percentile(trips, 50), "p99": _percentile(trips, 99)},
            "round_trip_by_size_ms": {
                str(size): float(np.median(each)) * 1000 for size, each in messages.round_trips.items()
            },
            "sent": messages.sent,
            "lost": messages.lost,
            "reordered": messages.reordered,
        },
        "network": {
            "packets_sent": network.packets_sent,
            "packets_received": network.packets_received,
            "packets_lost": network.packets_lost,
            "jitter_ms": network.jitter_ms,
            "rtcp_round_trip_ms": network.rtcp_round_trip_ms,
        },
        "cpu_percent": network.cpu_percent,
    }


_NO_TRIPS = {"p50": None, "p95": None, "max": None, "samples": 0}


def environment() -> dict[str, str]:
    """What the call was made with."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "platform": platform.platform(), **versions}


def summed_up(runs: Sequence[Report]) -> Report:
    """Several calls as one report: the worst of them, and how many were like it."""
    verdict = worst(run.verdict for run in runs)
    shown = next(run for run in runs if run.verdict is verdict)
    alike = sum(run.verdict is verdict for run in runs)
    bad = f"{alike} of {len(runs)} calls {verdict}: {shown.headline}"
    healthy = f"all {len(runs)} calls are healthy"
    return Report(
        command=COMMAND,
        verdict=verdict,
        headline=healthy if verdict is Verdict.PASSED else bad,
        seconds=sum(run.seconds for run in runs),
        checks=shown.checks,
        measurements=shown.measurements,
        environment=shown.environment,
        faults=shown.faults,
        runs=tuple(runs),
    )


def rows(report: Report, limits: Sequence[Limit]) -> list[Row]:
    """The evidence for people; of several calls, that of the one that `summed_up` picked."""
    checks = {check.name: (check, str(limit)) for check, limit in zip(report.checks, limits, strict=True)}
    sound = [*_connect_rows(report.measurements, checks), *_audio_rows(report.measurements, checks)]
    return [*sound, *_message_rows(report.measurements, checks), *_network_rows(report.measurements, checks)]


_Checks = Mapping[str, tuple[Check, str]]


def _row(group: str, text: str, check: tuple[Check, str]) -> Row:
    return Row(group, text, check[1], check[0].verdict)


def _connect_rows(measurements: Mapping[str, Any], checks: _Checks) -> list[Row]:
    connect = measurements["connect"]
    stages = {"signalling": "signalling_ms", "ICE": "ice_ms", "DTLS": "dtls_ms"}
    took = " · ".join(f"{name} {_figure(connect[key])}" for name, key in stages.items())
    texts = {
        "data_channel_ms": f"data channel after {_figure(connect['data_channel_ms'])} ms",
        "first_audio_ms": f"first audio after {_figure(connect['first_audio_ms'])} ms",
    }
    return [Row("connect", f"{took} ms"), *(_row("connect", text, checks[name]) for name, text in texts.items())]


def _audio_rows(measurements: Mapping[str, Any], checks: _Checks) -> list[Row]:
    audio = measurements["audio"]
    trip = audio["round_trip_ms"]
    spread = f"(p95 {_figure(trip['p95'])}, max {_figure(trip['max'])})"
    texts = {
        "recognised_pct": f"recognised {_figure(audio['recognised_pct'])} %",
        "pitch_error_pct": f"pitch {audio['rate_ratio']:.3f}",
        "channel_faults": f"channels {audio['channels'] or '–'}",
        "round_trip_p95_ms": f"round trip {_figure(trip['p50'])} ms {spread}",
        "snr_db": f"signal to noise {_figure(audio['snr_db'])} dB",
        "gaps": f"gaps {audio['gaps']} ({_figure(audio['gap_ms'])} ms)",
        "lost_samples": f"lost {audio['lost_samples']} samples",
        "inserted_samples": f"inserted {audio['inserted_samples']} samples",
        "cut_off_ms": f"cut off {_figure(checks['cut_off_ms'][0].value)} ms",
        "drift_ppm": f"drift {_figure(audio['drift_ppm'])} ppm",
        "level_change_db": f"level change {_figure(audio['level_change_db'])} dB",
    }
    return [_row("audio", text, checks[name]) for name, text in texts.items()]


def _message_rows(measurements: Mapping[str, Any], checks: _Checks) -> list[Row]:
    data = measurements["data"]
    trip = data["round_trip_ms"]
    largest = max(data["round_trip_by_size_ms"].items(), key=lambda item: int(item[0]), default=None)
    size = f", {int(largest[0]) / 1000:g} kB {_figure(largest[1])}" if largest else ""
    texts = {
        "message_round_trip_p99_ms": f"round trip {_figure(trip['p50'])} ms (p99 {_figure(trip['p99'])}{size})",
        "messages_lost": f"lost {data['lost']} of {data['sent']}",
        "messages_reordered": f"reordered {data['reordered']}",
    }
    return [_row("messages", text, checks[name]) for name, text in texts.items()]


def _network_rows(measurements: Mapping[str, Any], checks: _Checks) -> list[Row]:
    network = measurements["network"]
    lost, total = network["packets_lost"], network["packets_sent"] + network["packets_received"]
    text = f"lost {'–' if lost is None else lost} of {total} packets"
    rest = (
        f"jitter {_figure(network['jitter_ms'])} ms · RTCP round trip {_figure(network['rtcp_round_trip_ms'])} ms · "
        f"CPU {_figure(measurements['cpu_percent'])} %"
    )
    return [_row("network", text, checks["packets_lost"]), Row("network", rest)]


def _figure(value: float | None) -> str:
    """Two digits or more, no more than a reader wants; nothing is below zero that is shown as zero."""
    if value is None or math.isnan(value):
        return "–"
    return f"{round(value, 1) + 0.0:.1f}" if abs(value) < 10 else f"{value:.0f}"
