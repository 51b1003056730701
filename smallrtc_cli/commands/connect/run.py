"""`smallrtc connect`: composes client, core, person and terminal, makes the call, and says how it ended."""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from smallrtc_cli import console
from smallrtc_cli.bots.person import Person, person_params
from smallrtc_cli.bots.pictures import Camera, keep_pictures, require_video
from smallrtc_cli.bots.stereo_recording import recording
from smallrtc_cli.bots.video_recording import require_place
from smallrtc_cli.commands.connect import options as typed
from smallrtc_cli.commands.connect import outcome
from smallrtc_cli.commands.connect.call import Call, Work
from smallrtc_cli.commands.connect.ends import Ends, open_ends
from smallrtc_cli.commands.connect.figures import percentiles, summary
from smallrtc_cli.commands.connect.log import CallLog
from smallrtc_cli.commands.connect.options import ConnectOptions
from smallrtc_cli.commands.connect.outcome import Ending
from smallrtc_cli.commands.connect.screen import Screen
from smallrtc_cli.commands.connect.script import Script, new_id
from smallrtc_cli.commands.connect.story import Story
from smallrtc_cli.commands.garbage import spare_imports
from smallrtc_cli.commands.headers import headers
from smallrtc_cli.config import Redial, Settings
from smallrtc_cli.errors import ExitCode, SmallRTCError
from smallrtc_cli.protocol import rtvi
from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.report.call_view import CallView
from smallrtc_cli.rtc.addresses import require_interface
from smallrtc_cli.rtc.diagnosis import NoConnection
from smallrtc_cli.rtc.dialer import Dialer, DialOptions
from smallrtc_cli.rtc.peer import MediaOptions
from smallrtc_cli.rtc.transport import SmallWebRTCTransport
from smallrtc_cli.web.start import Begun, SessionExchange, begin


@dataclass(frozen=True, slots=True)
class _Plan:
    """What was typed, read."""

    headers: dict[str, str]
    body: Any
    messages: list[dict[str, Any]]
    expects: list[dict[str, Any]]
    ice_servers: tuple[IceServerSpec, ...]
    settings: Settings


def run(options: ConnectOptions) -> ExitCode:
    """Make the call; raises `SmallRTCError` for one that did not come about or did not end as it should."""
    typed.check(options)
    typed.check_pipes(options, sys.stdin, sys.stdout)
    texts = [rtvi.send_text(new_id(), text) for text in options.texts]
    plan = _Plan(
        headers=headers(options.headers, options.token, os.environ),
        body=typed.body(options.body),
        messages=[*texts, *typed.objects(options.messages, "--message")],
        expects=typed.objects(options.expects, "--expect"),
        ice_servers=options.network.servers(os.environ),
        settings=Settings(redial=Redial(attempts=options.reconnect), path_mtu=options.network.path_mtu(os.environ)),
    )
    options.network.ends()
    require_interface()
    spare_imports()
    return asyncio.run(_connect(options, plan))


async def _connect(options: ConnectOptions, plan: _Plan) -> ExitCode:
    log = CallLog(console.show if options.json_lines else console.say, as_json=options.json_lines)
    is_drawn = console.is_live() and not options.json_lines and options.record_to != typed.PIPE
    story = Story(log)
    try:
        call, ends, ending = await _called(options, plan, story, is_drawn=is_drawn)
    except SmallRTCError as error:
        _failed(error, log)
        raise
    story.end()
    _told(call, ending, ends, log)
    if ending.error is not None:
        raise ending.error
    return ending.exit_code


async def _called(options: ConnectOptions, plan: _Plan, story: Story, *, is_drawn: bool) -> tuple[Call, Ends, Ending]:
    """Open what is needed, call, and close it again."""
    async with AsyncExitStack() as stack:
        ends = await open_ends(options, stack, story.trouble)
        if options.video_from is not None:
            require_video(options.video_from)
        if options.record_video is not None:
            require_place(options.record_video)
        begun = await begin(options.url, headers=plan.headers, verify=not options.insecure, body=plan.body)
        await stack.enter_async_context(begun.exchange)
        call = _call(options, plan, begun, story, ends)
        if isinstance(begun.exchange, SessionExchange):
            begun.exchange.on_begun_anew = call.begun_anew
        return call, ends, await _made(options, call, story, ends, stack, is_drawn=is_drawn)


def _call(options: ConnectOptions, plan: _Plan, begun: Begun, story: Story, ends: Ends) -> Call:
    """The core, and the person on it; nothing is dialed yet."""
    dialer = Dialer(begun.exchange, _dial_options(options, plan, begun), settings=plan.settings)
    params = person_params(
        live=ends.source is not None and ends.source.live,
        video_in=options.record_video is not None,
        video_out=options.video_from is not None,
    )
    transport = SmallWebRTCTransport(dialer.connection, params)
    person = Person(transport, ends.source, ends.sink, canceller=ends.canceller, muted=options.push_to_talk)
    script = Script(plan.messages, plan.expects, options.expect_timeout)
    return Call(dialer, transport, person, story, script, options)


def _dial_options(options: ConnectOptions, plan: _Plan, begun: Begun) -> DialOptions:
    return DialOptions(
        ice=options.network.ice(plan.ice_servers or begun.ice_servers),
        media=MediaOptions(audio_codec=options.audio_codec, video_codec=options.video_codec),
        wait_for_ice_gathering=options.wait_for_ice_gathering,
        request_data=None if begun.body_given else plan.body,
    )


async def _made(
    options: ConnectOptions, call: Call, story: Story, ends: Ends, stack: AsyncExitStack, *, is_drawn: bool
) -> Ending:
    """Make the call, with all that goes on beside it."""
    tell = story.trouble
    if options.record_to is not None:
        await stack.enter_async_context(recording(call.connection, options.record_to, tell))
    camera = Camera(call.transport, options.video_from, tell) if options.video_from is not None else None
    around: list[Work] = []
    beside: list[Work] = [camera.run] if camera is not None else []
    if options.record_video is not None:
        beside.append(partial(keep_pictures, call.transport, options.record_video, tell))
    if is_drawn:
        view = stack.enter_context(CallView())
        screen = Screen(view, call, story, ends, camera, place=options.url, push_to_talk=options.push_to_talk)
        around = [screen.draw, screen.read_keys]
    _obey_signals(call)
    return await call.run(around, beside)


def _obey_signals(call: Call) -> None:
    """Hang up and say how it was; a second Ctrl-C does not wait for that."""
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        call.end(outcome.INTERRUPTED)

    loop.add_signal_handler(signal.SIGTERM, call.end, outcome.STOPPED)
    loop.add_signal_handler(signal.SIGINT, interrupted)


def _failed(error: SmallRTCError, log: CallLog) -> None:
    """No call came about: what stands behind the one line that is shown at the end."""
    facts = error.diagnosis.facts if isinstance(error, NoConnection) else ()
    log.event("failed", sentence=str(error), hint=error.hint, exit_code=int(error.exit_code), facts=facts)
    for fact in facts:
        log.line(f"  {fact}")


def _told(call: Call, ending: Ending, ends: Ends, log: CallLog) -> None:
    """How it was: three lines, or the last object."""
    answers, lost = call.turns.answers, ends.counters()
    if not log.as_json:
        for line in summary(call.seconds or 0.0, ending.reason, call.figures, answers, lost):
            console.say(line)
        return
    log.event(
        "ended",
        reason=ending.reason,
        seconds=round(call.seconds or 0.0, 1),
        exit_code=int(ending.exit_code),
        round_trip_ms=call.figures.round_trip,
        loss_percent=call.figures.vitals.loss_percent,
        jitter_ms=call.figures.vitals.jitter_ms,
        answer_ms=percentiles([each * 1000 for each in answers]),
        turns=len(answers),
        **lost,
    )
