"""A call within this process: what takes long in a real one."""

import asyncio
import contextlib

from calls import AUDIO_ONLY, Answering, answering, idle_bot, until

from smallrtc_cli.bots.person import Person, person_params
from smallrtc_cli.bots.tone import tone
from smallrtc_cli.commands.connect import call as call_module
from smallrtc_cli.commands.connect import outcome, script
from smallrtc_cli.commands.connect.call import Call
from smallrtc_cli.commands.connect.log import CallLog
from smallrtc_cli.commands.connect.options import ConnectOptions
from smallrtc_cli.commands.connect.script import Script
from smallrtc_cli.commands.connect.story import Story
from smallrtc_cli.config import Settings, Timing
from smallrtc_cli.rtc.dialer import Dialer
from smallrtc_cli.rtc.transport import SmallWebRTCTransport

HASTY = Settings(timing=Timing(channel_timeout=0.3))


class Exchange:
    """To a server whose first peer connection never says a word of SCTP; later offers are answered when `go` is set."""

    def __init__(self, server: Answering) -> None:
        self._server = server
        self._offers = 0
        self.go = asyncio.Event()

    async def offer(self, request):
        self._offers += 1
        if self._offers > 1:
            await self.go.wait()
            return await self._server.supervisor.offer(request)
        answer = await self._server.supervisor.offer(request)
        await until(lambda: self._server.arguments)
        self._server.connection.peer.pc.sctp.start = nothing
        return answer

    async def candidates(self, request):
        await self._server.supervisor.candidates(request)


async def nothing(*_):
    pass


@contextlib.asynccontextmanager
async def calling():
    """A call, its task, and the server's `go`."""
    async with answering(idle_bot) as server:
        exchange = Exchange(server)
        dialer = Dialer(exchange, AUDIO_ONLY, settings=HASTY)
        transport = SmallWebRTCTransport(dialer.connection, person_params())
        story = Story(CallLog(lambda _: None, as_json=False))
        person = Person(transport, None, None)
        call = Call(dialer, transport, person, story, Script(), ConnectOptions(url="http://localhost"))
        running = asyncio.create_task(call.run([], []))
        try:
            await until(lambda: call.seconds is not None, 20)
            yield call, running, exchange.go
        finally:
            call.end(outcome.HUNG_UP)
            await running


async def test_a_channel_that_never_opens_is_a_failure():
    async with calling() as (_, running, _):
        ending = await asyncio.wait_for(asyncio.shield(running), 20)
    assert isinstance(ending.error, outcome.NoChannel)


async def test_a_peer_that_is_replaced_before_its_channel_was_open_is_no_peer_without_one(monkeypatch):
    waits = []

    async def noted(seconds, awaitable):
        waits.append(await script.within(seconds, awaitable))
        return waits[-1]

    monkeypatch.setattr(call_module, "within", noted)
    async with calling() as (call, running, go):
        call.reconnect()
        await until(lambda: waits == [False], 20)
        go.set()
        await until(lambda: any(waits), 20)
        assert not running.done()


class Tone:
    """A tenth of a second of sound, as a file has it."""

    name, live, latency = "tone.wav", False, 0.0

    async def __aiter__(self):
        yield bytes(9600)


async def test_a_bot_that_never_stops_is_not_listened_to_for_ever(monkeypatch):
    monkeypatch.setattr(call_module, "LONGEST_ANSWER", 1.0)
    async with answering(tone) as server:
        dialer = Dialer(server.supervisor, AUDIO_ONLY)
        transport = SmallWebRTCTransport(dialer.connection, person_params())
        story, person = Story(CallLog(lambda _: None, as_json=False)), Person(transport, Tone(), None)
        options = ConnectOptions(url="http://localhost", play_from="tone.wav", exit_after_play=True)
        ending = await asyncio.wait_for(Call(dialer, transport, person, story, Script(), options).run([], []), 30)
    assert ending == outcome.PLAYED
