"""`smallrtc probe-mtu`: calls, has the path measured, and says what that means."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from smallrtc_cli import console
from smallrtc_cli.commands.connect.log import CallLog
from smallrtc_cli.commands.connect.options import body
from smallrtc_cli.commands.connect.script import within
from smallrtc_cli.commands.garbage import spare_imports
from smallrtc_cli.commands.headers import headers
from smallrtc_cli.commands.probe_mtu import wording
from smallrtc_cli.commands.probe_mtu.env_file import require_writable, write_setting
from smallrtc_cli.commands.probe_mtu.findings import COMMAND, EXIT_CODES, Measured, Verdict, document
from smallrtc_cli.commands.probe_mtu.listen import listen
from smallrtc_cli.commands.probe_mtu.measure import channel_open, measure
from smallrtc_cli.commands.probe_mtu.options import VARIABLE, Present, ProbeOptions, check, present
from smallrtc_cli.config import Redial, Settings
from smallrtc_cli.errors import ConnectionEnded, CouldNotConnect, ExitCode, SmallRTCError
from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.rtc.addresses import require_interface
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.diagnosis import NoConnection
from smallrtc_cli.rtc.dialer import Dialer, DialOptions
from smallrtc_cli.rtc.peer import MediaOptions
from smallrtc_cli.web.start import begin


@dataclass(frozen=True, slots=True)
class _Plan:
    """What was typed, read."""

    url: str
    headers: dict[str, str]
    body: Any
    ice_servers: tuple[IceServerSpec, ...]
    present: Present


def run(options: ProbeOptions) -> ExitCode:
    """Probe, or answer probes; raises `SmallRTCError` where there is nothing to measure."""
    check(options)
    options.network.ends()
    spare_imports()
    if options.write_env is not None:
        require_writable(options.write_env)
    if options.url is None:
        require_interface()
        return asyncio.run(listen(options))
    plan = _Plan(
        url=options.url,
        headers=headers(options.headers, options.token, os.environ),
        body=body(options.body),
        ice_servers=options.network.servers(os.environ),
        present=present(options.network.sctp_chunk, os.environ),
    )
    require_interface()
    return asyncio.run(_Probing(options, plan).run())


@asynccontextmanager
async def _called(options: ProbeOptions, plan: _Plan) -> AsyncIterator[SmallWebRTCConnection]:
    """A call with a data channel, hung up at the end. What is watched is called again when it breaks."""
    begun = await begin(plan.url, headers=plan.headers, verify=not options.insecure, body=plan.body)
    async with begun.exchange:
        dial = DialOptions(
            ice=options.network.ice(plan.ice_servers or begun.ice_servers),
            media=MediaOptions(video=False),
            request_data=None if begun.body_given else plan.body,
        )
        redial = Redial() if options.watch is not None else Redial(attempts=0)
        connection = await Dialer(begun.exchange, dial, settings=Settings(redial=redial)).dial()
        try:
            await channel_open(connection)
            yield connection
        finally:
            await connection.disconnect()


class _Probing:
    """One call, what is found on it, and what is told of that."""

    def __init__(self, options: ProbeOptions, plan: _Plan) -> None:
        self._options, self._plan = options, plan
        self._log = CallLog(console.show, as_json=options.json_lines)
        self._told: str | None = None
        "The line to copy that was told last."

    async def run(self) -> ExitCode:
        """Returns what the probe came to; watches until Ctrl-C if that is wanted."""
        try:
            self._event("dialing", url=self._plan.url)
            async with _called(self._options, self._plan) as connection:
                found = await self._first(connection)
                if self._options.watch is not None:
                    await self._watch(connection, found, self._options.watch)
            return EXIT_CODES[found.verdict]
        except ConnectionEnded as error:
            raise self._failed(CouldNotConnect(str(error))) from error
        except SmallRTCError as error:
            raise self._failed(error) from None

    async def _first(self, connection: SmallWebRTCConnection) -> Measured:
        found = await measure(connection, self._plan.present, self._event, confirm=self._options.confirm)
        self._event("result", **document(found))
        if self._options.json:
            console.show(json.dumps(document(found), indent=2))
        elif not self._options.json_lines:
            self._show(found)
        self._use(found)
        if EXIT_CODES[found.verdict] is ExitCode.FAILED and os.environ.get("GITHUB_ACTIONS"):
            console.annotate(wording.headline(found), f"smallrtc {COMMAND}")
        return found

    def _show(self, found: Measured) -> None:
        """The line to copy is data; the evidence is for people, on the terminal that they look at."""
        if found.advised is not None:
            self._copy(found.advised)
        if not sys.stdout.isatty():
            for line in wording.lines(found):
                console.say(line)
            return
        gap = [""] if found.advised is not None else []
        console.show("\n".join([*gap, *map(console.printable, wording.lines(found))]))

    def _copy(self, chunk: int) -> None:
        line = wording.line_to_copy(chunk)
        if line != self._told and not (self._options.json or self._options.json_lines):
            console.show(line)
        self._told = line

    def _use(self, found: Measured) -> None:
        path = self._options.write_env
        if path is None:
            return
        if found.advised is None:
            console.say(f"`{path}` is as it was: there is nothing sure to write")
            return
        write_setting(path, VARIABLE, str(found.advised))
        self._event("written", file=str(path), chunk=found.advised)
        if not self._is_for_programs:
            console.say(f"`{path}` has that line now")

    # Again and again

    async def _watch(self, connection: SmallWebRTCConnection, known: Measured, every: float) -> None:
        """Until Ctrl-C, or until the server has gone."""
        while not await within(every, connection.wait_closed()):
            try:
                asked = known.down is not None  # who has not answered once does not know the question
                now = await measure(connection, self._plan.present, _untold, ask=asked, speed=False)
            except ConnectionEnded:  # it is being called again
                continue
            now = replace(now, down=now.down or known.down)  # an answer that is late is no change
            sentence = wording.change(known, now)
            if sentence is not None:
                self._changed(now, sentence)
            known = now
        raise CouldNotConnect(f"the connection ended ({connection.close_reason})", hint="is the server still there?")

    def _changed(self, now: Measured, sentence: str) -> None:
        self._event("changed", sentence=sentence, **document(now))
        if not self._options.json_lines:
            console.say(f"{time.strftime('%H:%M:%S')}  {sentence}")
        if now.verdict is Verdict.FOUND and now.advised is not None:
            self._copy(now.advised)
            self._use(now)

    # What is told

    @property
    def _is_for_programs(self) -> bool:
        return self._options.json or self._options.json_lines

    def _event(self, event: str, **detail: Any) -> None:
        if self._options.json_lines:
            self._log.event(event, **detail)

    def _failed(self, error: SmallRTCError) -> SmallRTCError:
        """Nothing was measured: what stands behind the one line that is shown at the end."""
        facts = error.diagnosis.facts if isinstance(error, NoConnection) else ()
        self._event("failed", sentence=str(error), hint=error.hint, exit_code=int(error.exit_code), facts=facts)
        for fact in () if self._is_for_programs else facts:
            console.say(f"  {fact}")
        return error


def _untold(event: str, **detail: Any) -> None:
    """What is measured again and again is told when it has changed."""
