"""Measures the path of a call that is up: both directions, what holds it up, how fast it is."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from smallrtc_cli.commands.connect.script import within
from smallrtc_cli.commands.probe_mtu import findings
from smallrtc_cli.commands.probe_mtu.findings import Measured, Pair, Way, way_document
from smallrtc_cli.commands.probe_mtu.options import Present
from smallrtc_cli.errors import ConnectionEnded, CouldNotConnect
from smallrtc_cli.protocol.session import Role, State
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.evidence import evidence
from smallrtc_cli.rtc.flow import Throughput, holdup, throughput
from smallrtc_cli.rtc.path import PathReport, probe_path
from smallrtc_cli.rtc.stats import of_type, stats

Tell = Callable[..., None]
"Takes the name of an event and its details."

CHANNEL: Final = 5.0
"Seconds from the connection to an open data channel: two of SCTP's retransmissions."

FAR_SIDE: Final = 1.5
"Seconds that the other side gets to tell its direction, beside ten round trips: one retransmission."

ACKNOWLEDGED: Final = 3.0
"Seconds without any acknowledgement after which nothing flows."

_VERSIONS: Final = {"FEFF": "DTLS 1.0", "FEFD": "DTLS 1.2", "FEFC": "DTLS 1.3"}


async def channel_open(connection: SmallWebRTCConnection) -> None:
    """Return when messages can be sent; raises `NoChannel` with what the path has to do with it."""
    if await within(CHANNEL, connection.wait_for(lambda: _has_channel(connection) or _is_over(connection))):
        if _is_over(connection):
            raise CouldNotConnect(f"the connection ended before its data channel was open ({connection.close_reason})")
        return
    peer = connection.peer
    report = None
    if peer.agent is not None and peer.pc.association is not None:
        try:
            report = await probe_path(peer.agent, peer.pc.association)
        except OSError:
            report = None
    state = peer.pc.sctp.state if peer.pc.sctp is not None else "new"
    raise findings.no_channel(state, report, CHANNEL)


def _has_channel(connection: SmallWebRTCConnection) -> bool:
    return connection.current_peer is not None and connection.peer.path is not None


def _is_over(connection: SmallWebRTCConnection) -> bool:
    return connection.state is State.CLOSED


async def measure(
    connection: SmallWebRTCConnection,
    present: Present,
    tell: Tell,
    *,
    confirm: int = 1,
    ask: bool = True,
    speed: bool = True,
) -> Measured:
    """Probe `confirm` times, ask the other side, and try how fast it is where that is smallrtc.

    Raises `ConnectionEnded`.
    """
    pair = await _pair(connection)
    tell("connected", local=str(pair.local), remote=str(pair.remote))
    reports = [await _probed(connection, tell) for _ in range(confirm)]
    down = await _asked(connection, reports[-1]) if ask else None
    tell("down", **({"told": False} if down is None else {"told": True, **way_document(down)}))
    measured = Measured(pair=pair, reports=reports, down=down, present=present)
    measured = replace(measured, holdup=await holdup(connection, ACKNOWLEDGED))
    if not speed or down is None or measured.advised is None:
        return measured
    return replace(measured, speeds=await _speeds(connection, measured, tell))


async def _pair(connection: SmallWebRTCConnection) -> Pair:
    selected = evidence(connection.peer, Role.OFFER).selected
    (secured, *_) = of_type(await stats(connection), "transport") or [{}]
    if selected is None:
        raise ConnectionEnded("the connection ended before its path was probed")
    version: Any = secured.get("tlsVersion", "")
    return Pair(selected.local, selected.remote, _VERSIONS.get(version, "DTLS"))


async def _probed(connection: SmallWebRTCConnection, tell: Tell) -> PathReport:
    report = await connection.probe_path()
    tell("up", **way_document(Way.up(report)), seconds=round(report.finding.seconds, 4), probes=report.finding.probes)
    return report


async def _asked(connection: SmallWebRTCConnection, report: PathReport) -> Way | None:
    try:
        async with asyncio.timeout(FAR_SIDE + 10 * report.round_trip):
            told = await connection.far_path()
    except TimeoutError:
        return None
    return None if told is None else Way.down(told)


async def _speeds(connection: SmallWebRTCConnection, found: Measured, tell: Tell) -> list[Throughput]:
    """With the size that was found, then with the present one, which may get stuck."""
    assert found.up.chunk is not None
    sizes = [found.up.chunk]
    if found.present.chunk != found.up.chunk:
        sizes.append(found.present.chunk)
    speeds = []
    for size in sizes:
        speeds.append(await throughput(connection, size))
        tell("speed", chunk=size, bytes_per_second=round(speeds[-1].bytes_per_second))
    return speeds
