"""`smallrtc loopback`: a real call on this machine, and what became of the sound.

Dials an echo bot of its own through a real HTTP server (or in process), plays a known sound, compares by value what
came back, tries the messages, and reports. One call or many; each is made and ended by itself.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli import console
from smallrtc_cli.audio import files, signals
from smallrtc_cli.audio.analysis import analyse
from smallrtc_cli.audio.recording import Recording
from smallrtc_cli.bots.caller import PARAMS, RATE, Call, call
from smallrtc_cli.bots.echo import echo
from smallrtc_cli.bots.supervisor import Supervisor
from smallrtc_cli.commands import loopback_report
from smallrtc_cli.commands.garbage import spare_imports
from smallrtc_cli.commands.loopback_limits import DURATION, LONGEST, limits_for
from smallrtc_cli.commands.loopback_report import Connect, Measured, Network
from smallrtc_cli.errors import CannotRun, ExitCode
from smallrtc_cli.protocol.signalling import Exchange
from smallrtc_cli.report import github, junit
from smallrtc_cli.report.checks import Limit, exit_code, override
from smallrtc_cli.report.document import Report, encode
from smallrtc_cli.report.table import table
from smallrtc_cli.rtc.addresses import require_interface
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.dialer import Dialer
from smallrtc_cli.rtc.request_handler import SmallWebRTCRequestHandler
from smallrtc_cli.rtc.stats import of_type, stats
from smallrtc_cli.rtc.transport import SmallWebRTCTransport
from smallrtc_cli.web.client import HttpExchange
from smallrtc_cli.web.server import SignallingServer


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopbackOptions:
    """The command line; `duration` is as `loopback_limits.parse_duration` gave it."""

    in_process: bool = False
    play_from: Path | None = None
    duration: float | None = None
    record_to: Path | None = None
    limits: tuple[str, ...] = ()
    json: bool = False
    junit: Path | None = None
    repeat: int = 1


def run(options: LoopbackOptions) -> ExitCode:
    """Make the calls, print the report, and say what came of it."""
    limits = override(limits_for(own_sound=options.play_from is not None), options.limits)
    sound = _sound(options)
    require_interface()
    spare_imports()
    for path, option in ((options.record_to, "--record-to"), (options.junit, "--junit")):
        _require_place(path, option)
    runs = [_run_once(path, limits, sound, in_process=options.in_process) for path in _recordings(options)]
    report = runs[0] if len(runs) == 1 else loopback_report.summed_up(runs)
    if options.junit is not None:
        junit.write_junit(report, options.junit)
    github.publish(report)
    if options.json:
        console.show(encode(report))
    else:
        rows = loopback_report.rows(report, limits)
        faults = [fault for fault in report.faults if fault not in report.headline]
        width = console.width()
        console.show(table(report.verdict, report.headline, report.seconds, rows, width=width, faults=faults))
    return exit_code(report.verdict)


def _sound(options: LoopbackOptions) -> NDArray[np.int16]:
    """What to play: shape `(n, 1 or 2)` at 48 kHz."""
    if options.play_from is None:
        return signals.measuring_signal(options.duration or DURATION)
    return files.read(options.play_from, RATE, limit_seconds=options.duration or LONGEST)


def _recordings(options: LoopbackOptions) -> list[Path | None]:
    """Where the recording of each call goes; those of several are numbered as the runs of the report are."""
    path, calls = options.record_to, options.repeat
    if path is None or calls == 1:
        return [path] * calls
    return [path.with_stem(f"{path.stem}-{number}") for number in range(1, calls + 1)]


def _run_once(
    record_to: Path | None, limits: tuple[Limit, ...], sound: NDArray[np.int16], *, in_process: bool
) -> Report:
    started = time.monotonic()
    made, connect, network = asyncio.run(_call(sound, in_process=in_process))
    if record_to is not None:
        _write(record_to, made)
    measured = Measured(connect, analyse(made.sent, made.received), made.messages, network)
    return loopback_report.judged(measured, limits, time.monotonic() - started)


async def _call(sound: NDArray[np.int16], *, in_process: bool) -> tuple[Call, Connect, Network]:
    async with _echo_server(in_process=in_process) as exchange:
        dialer = Dialer(exchange)
        connection = await dialer.dial()
        try:
            transport = SmallWebRTCTransport(connection, PARAMS)
            cpu, wall = time.process_time(), time.monotonic()
            made = await call(transport, sound)
            share = (time.process_time() - cpu) / (time.monotonic() - wall)
            return made, _connect(dialer, connection, made), await _network(connection, share)
        finally:
            await connection.disconnect()


@contextlib.asynccontextmanager
async def _echo_server(*, in_process: bool) -> AsyncIterator[Exchange]:
    """The other end: a server on a free port and a client for it, or both without HTTP."""
    supervisor = Supervisor(lambda: echo, SmallWebRTCRequestHandler())
    server = SignallingServer(supervisor)
    try:
        if in_process:
            yield supervisor
        else:
            async with HttpExchange(await server.start()) as exchange:
                yield exchange
    finally:
        await supervisor.close()
        await server.close()


def _connect(dialer: Dialer, connection: SmallWebRTCConnection, made: Call) -> Connect:
    stages = connection.peer.stages

    def between(earlier: float | None, later: float | None) -> float | None:
        return None if earlier is None or later is None else (later - earlier) * 1000

    return Connect(
        signalling_ms=None if dialer.signalling_seconds is None else dialer.signalling_seconds * 1000,
        ice_ms=between(stages.described, stages.ice),
        dtls_ms=between(stages.ice, stages.connected),
        data_channel_ms=between(stages.started, stages.channel),
        first_audio_ms=between(stages.started, made.first_sound),
    )


async def _network(connection: SmallWebRTCConnection, cpu: float) -> Network:
    report = await stats(connection)
    here, there = of_type(report, "inbound-rtp", "audio"), of_type(report, "remote-inbound-rtp", "audio")
    trips = [entry["roundTripTime"] * 1000 for entry in there if "roundTripTime" in entry]
    return Network(
        packets_sent=sum(entry["packetsSent"] for entry in of_type(report, "outbound-rtp", "audio")),
        packets_received=sum(entry["packetsReceived"] for entry in here),
        packets_lost=sum(entry["packetsLost"] for entry in (*here, *there)) if here else None,
        jitter_ms=max((entry["jitter"] * 1000 for entry in here), default=None),
        rtcp_round_trip_ms=max(trips, default=None),
        cpu_percent=cpu * 100,
    )


def _require_place(path: Path | None, option: str) -> None:
    """Find out before the call that a result could not be kept after it."""
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise _unwritable(path, option, "it is a directory" if path.is_dir() else f"`{folder}` is no place for it")


def _unwritable(path: Path, option: str, reason: str) -> CannotRun:
    hint = f"give `{option}` a file in a directory that exists and is yours to write"
    return CannotRun(f"`{path}` cannot be written: {reason}", hint=hint)


def _write(path: Path, made: Call) -> None:
    try:
        files.write_wav(path, _side_by_side(made.sent, made.received), RATE)
    except OSError as error:
        raise _unwritable(path, "--record-to", (error.strerror or str(error)).lower()) from error


def _side_by_side(sent: Recording, received: Recording) -> NDArray[np.int16]:
    """Left what was sent, right what came back, as much later as it did."""
    delay = received.began - sent.began if sent.marks and received.marks else 0.0
    offset = round(delay * RATE)
    tracks = [(sent, max(0, -offset)), (received, max(0, offset))]
    both = np.zeros((max(len(tape.samples) + start for tape, start in tracks), 2), np.int16)
    for column, (tape, start) in enumerate(tracks):
        both[start : start + len(tape.samples), column] = tape.samples.mean(axis=1)
    return both
