"""`smallrtc doctor`: makes all examinations side by side and tells what they find in one order."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from smallrtc_cli import console
from smallrtc_cli.commands.doctor import browser, call, door, ice_servers, interfaces, names, sound, versions
from smallrtc_cli.commands.doctor.bounds import Tell
from smallrtc_cli.commands.doctor.door import Door
from smallrtc_cli.commands.garbage import spare_imports
from smallrtc_cli.commands.headers import headers
from smallrtc_cli.commands.network import NetworkOptions
from smallrtc_cli.errors import ExitCode
from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.report.stage_lines import stage_lines
from smallrtc_cli.report.stages import Mark, Stage, encode, worst
from smallrtc_cli.rtc.addresses import chosen_addresses, local_interfaces
from smallrtc_cli.rtc.ice import IceOptions
from smallrtc_cli.rtc.links import links
from smallrtc_cli.web.urls import parse_url

COMMAND = "doctor"

Examination = Callable[[Tell], Awaitable[None]]
"Tells its stages in order."


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions:
    """The command line."""

    url: str | None = None
    json: bool = False
    insecure: bool = False
    token: str | None = None
    headers: tuple[str, ...] = ()
    network: NetworkOptions = field(default_factory=NetworkOptions)


@dataclass(slots=True)
class _Plan:
    """What was typed, read; `reached` is whether the server was, where one was named."""

    network: NetworkOptions
    named: tuple[IceServerSpec, ...]
    ice: IceOptions
    url: str | None
    door: Door | None
    reached: bool = True


def run(options: DoctorOptions) -> ExitCode:
    """Examine, and say what was found; raises `UsageError`."""
    plan = _read(options)
    spare_imports()
    stages: list[Stage] = []

    def tell(stage: Stage) -> None:
        stages.append(stage)
        if not options.json:
            console.show(stage_lines(stage))

    asyncio.run(side_by_side(_examinations(plan), tell))
    if options.json:
        console.show(encode(COMMAND, stages))
    _annotate(stages)
    if worst(stages) is not Mark.FAIL:
        return ExitCode.OK
    return ExitCode.FAILED if plan.reached else ExitCode.CANNOT_RUN


def _read(options: DoctorOptions) -> _Plan:
    named = options.network.servers(os.environ)
    asks_server = options.url is not None and not named  # its `/start` may name the TURN server that a relay needs
    ice = (replace(options.network, ice_policy="all") if asks_server else options.network).ice(named)
    if options.url is None:
        return _Plan(options.network, named, ice, None, None)
    sent = headers(options.headers, options.token, os.environ)
    entrance = Door(parse_url(options.url), sent, verify=not options.insecure)
    return _Plan(options.network, named, ice, options.url, entrance)


def _annotate(stages: Sequence[Stage]) -> None:
    if os.environ.get("GITHUB_ACTIONS"):
        for stage in stages:
            if stage.verdict is Mark.FAIL:
                console.annotate(stage.detail, f"smallrtc {COMMAND}")


def _examinations(plan: _Plan) -> list[Examination]:
    """In the order in which they are told."""
    url = None if plan.door is None else plan.door.target.offer
    stuns, turns = ([server.host for server in each] for each in (plan.ice.stun_servers, plan.ice.turn_servers))
    needed = [*stuns, *turns, *([] if plan.door is None else [plan.door.host])]

    async def machine(tell: Tell) -> None:
        tell(versions.judge(versions.software(os.environ)))
        chosen = chosen_addresses(plan.ice.interfaces, local_interfaces()) if plan.ice.interfaces else ()
        tell(interfaces.judge(links(), chosen))

    async def pages(tell: Tell) -> None:
        tell(browser.judge(url))

    found: list[Examination] = [
        machine,
        lambda tell: names.examine(needed, tell),
        lambda tell: ice_servers.examine(plan.ice, tell),
        pages,
        sound.examine,
    ]
    return found if plan.door is None else [*found, lambda tell: _server(plan, tell)]


async def _server(plan: _Plan, tell: Tell) -> None:
    assert plan.door is not None
    assert plan.url is not None
    missing = await door.examine(plan.door, tell)
    if missing is not None:
        plan.reached = False
        call.skip(tell, None, missing)
        return
    await call.examine(plan.door, plan.url, plan.network, plan.named, tell)


async def side_by_side(examinations: Sequence[Examination], tell: Tell) -> None:
    """Make all at once, and tell what each finds when those before it have told theirs."""
    queues: list[asyncio.Queue[Stage | None]] = [asyncio.Queue() for _ in examinations]
    async with asyncio.TaskGroup() as group:
        for examination, queue in zip(examinations, queues, strict=True):
            group.create_task(_queued(examination, queue))
        for queue in queues:
            while (stage := await queue.get()) is not None:
                tell(stage)


async def _queued(examination: Examination, queue: asyncio.Queue[Stage | None]) -> None:
    """A queue holds the stages of one examination, some twenty at most."""
    try:
        await examination(queue.put_nowait)
    finally:
        queue.put_nowait(None)
