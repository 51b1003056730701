"""Asks all STUN and TURN servers at once, and UDP itself beside them."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smallrtc_cli.commands.doctor import stun, turn, udp
from smallrtc_cli.commands.doctor.bounds import STEP, Tell, tried
from smallrtc_cli.commands.doctor.turn import Attempt, Way
from smallrtc_cli.commands.doctor.udp import Passage
from smallrtc_cli.report.stages import Stage
from smallrtc_cli.rtc.ice import IceOptions, host_addresses
from smallrtc_cli.rtc.reflexive import Reflection, reflections
from smallrtc_cli.rtc.refusals import Reason, Refusal
from smallrtc_cli.rtc.relays import allocate
from smallrtc_cli.rtc.servers import resolve
from smallrtc_cli.rtc.udp import passes

_OWN_BOUND = 1.0
"Seconds for a packet that does not leave the machine."


@dataclass(frozen=True, slots=True)
class _Asked:
    """What all servers said; `by_tcp` are those STUN servers that took a TCP connection."""

    reflections: Sequence[Reflection]
    attempts: Sequence[Attempt]
    by_tcp: Sequence[udp.Server]


async def examine(ice: IceOptions, tell: Tell) -> None:
    """STUN servers, the NAT, TURN servers, and UDP itself."""
    own, asked = await asyncio.gather(_own(ice), _asked(ice))
    for stage in _stages(asked):
        tell(stage)
    tell(udp.judge(_passage(own, asked)))


async def examine_named(ice: IceOptions, tell: Tell) -> None:
    """The servers alone: those that another server told us to use."""
    for stage in _stages(await _asked(ice)):
        tell(stage)


def _stages(asked: _Asked) -> Iterable[Stage]:
    yield from map(stun.judge, asked.reflections)
    if asked.reflections:
        yield stun.judge_nat(asked.reflections)
    yield from turn.judge(asked.attempts)


async def _asked(ice: IceOptions) -> _Asked:
    source = next(iter(host_addresses(ice.interfaces)), None) if ice.interfaces else None
    hosts = dict.fromkeys((server.host, server.port) for server in ice.stun_servers)
    found, attempts, reached = await asyncio.gather(
        reflections(ice.stun_servers, STEP, source),
        asyncio.gather(*map(_attempt, turn.ways(ice.turn_servers))),
        asyncio.gather(*(_takes_tcp(*each) for each in hosts)),
    )
    by_tcp = [host for host, there in zip(hosts, reached, strict=True) if there]
    return _Asked(found, attempts, by_tcp)


async def _attempt(way: Way) -> Attempt:
    return Attempt(way, await allocate(way.server, STEP))


async def _takes_tcp(host: str, port: int) -> bool:
    async def connect() -> None:
        _, writer = await asyncio.open_connection(*await resolve(host, port))
        writer.transport.abort()

    return (await tried(connect())).error is None


async def _own(ice: IceOptions) -> Passage:
    addresses = host_addresses(ice.interfaces)
    found = await asyncio.gather(*(tried(passes(address), _OWN_BOUND) for address in addresses))
    own = {address: bool(each.value) for address, each in zip(addresses, found, strict=True)}
    return Passage(own, seconds=max((each.seconds for each in found), default=0.0))


def _passage(own: Passage, asked: _Asked) -> Passage:
    outcomes = [((each.server.host, each.server.port), each.refusal) for each in asked.reflections]
    by_udp = [each for each in asked.attempts if each.way.server.transport == "udp"]
    outcomes += [(_where(each), each.allocation.refusal) for each in by_udp]
    streams = [_where(each) for each in asked.attempts if each not in by_udp and _connected(each.allocation.refusal)]
    return Passage(
        own.own,
        answered=[server for server, refused in outcomes if _answers(refused)],
        silent=[server for server, refused in outcomes if refused is not None and refused.reason is Reason.SILENT],
        by_tcp=[*asked.by_tcp, *streams],
        seconds=own.seconds,
    )


def _where(attempt: Attempt) -> udp.Server:
    return attempt.way.server.host, attempt.way.server.port


def _answers(refused: Refusal | None) -> bool:
    """A `no` has come back as well as a `yes`."""
    return refused is None or refused.reason in {Reason.REFUSED, Reason.UNAUTHORIZED, Reason.SAID_NO}


def _connected(refused: Refusal | None) -> bool:
    """Whether there was a TCP connection at least."""
    return refused is None or refused.reason in {Reason.UNAUTHORIZED, Reason.SAID_NO, Reason.CERTIFICATE, Reason.TLS}
