"""One call, from the first offer to its summary: what runs beside the sound, and what ends it.

Whatever ends a call first (`q`, the time, a file, what was expected, a failure, the other side) settles its `Ending`;
the rest is taken down after it. Everything that runs here is a task of the call's own.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from smallrtc_cli.audio.turns import Turns
from smallrtc_cli.bots.person import AUDIBLE, Person
from smallrtc_cli.bots.supervisor import carried, how_connected
from smallrtc_cli.commands.connect import outcome
from smallrtc_cli.commands.connect.figures import Figures
from smallrtc_cli.commands.connect.options import ConnectOptions
from smallrtc_cli.commands.connect.outcome import Ending
from smallrtc_cli.commands.connect.script import Script, new_id, within
from smallrtc_cli.commands.connect.story import Story
from smallrtc_cli.protocol import rtvi
from smallrtc_cli.protocol.session import CloseReason, State
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.dialer import Dialer
from smallrtc_cli.rtc.stats import stats
from smallrtc_cli.rtc.transport import SmallWebRTCTransport

Work = Callable[[], Coroutine[Any, Any, None]]
"Makes a task of the call's own."

MEASURE = 1.0
"Seconds between two looks at the statistics."

SETTLED = 2.0
"Seconds of the bot's silence after which what it said to a file is over."

LONGEST_ANSWER = 120.0
"Seconds after which it is over in any case: there are bots that never stop."


class Call:
    """Dials, holds the line, and says how it ended."""

    def __init__(
        self,
        dialer: Dialer,
        transport: SmallWebRTCTransport,
        person: Person,
        story: Story,
        script: Script,
        options: ConnectOptions,
    ) -> None:
        self._dialer, self.transport, self.person, self.story = dialer, transport, person, story
        self._script, self._options = script, options
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._greeted = False
        self._last_bot_sound = 0.0
        self.figures, self.turns = Figures(), Turns()
        self._began: float | None = None
        self._follow()

    @property
    def connection(self) -> SmallWebRTCConnection:
        return self._dialer.connection

    @property
    def seconds(self) -> float | None:
        """Since the call was up first."""
        return None if self._began is None else self._now() - self._began

    @property
    def state(self) -> str:
        """In words."""
        if self._began is None:
            return "calling"
        if self._dialer.is_redialing() and self.connection.state is not State.CLOSED:
            return "calling again"
        return str(self.connection.state)

    # From the beginning to the end

    async def run(self, around: list[Work], beside: list[Work]) -> Ending:
        """Call, and return how it ended; raises if no call comes about.

        What `around` makes runs while it is dialed, too, what `beside` makes during the call.
        """
        self.story.event("dialing", url=self._options.url)
        try:
            for work in around:
                self.own(work())
            # Joining before dialing: what the bot says first is not missed.
            await self.transport.start()
            if await self._comes_up():
                self._began = self._now()
                for work in (self.person.run, self._watch, self._measure, self._talk, *self._waits(), *beside):
                    self.own(work())
            return await asyncio.shield(self._ending)
        finally:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)
            await self.connection.disconnect()

    async def _comes_up(self) -> bool:
        """Dial; whether that came to its end before somebody ended the call."""
        dialing = asyncio.create_task(self._dialer.dial())
        self._ending.add_done_callback(lambda _: dialing.cancel())
        try:
            await dialing
        except asyncio.CancelledError:
            if not self._ending.done():
                raise
            return False
        return True

    def end(self, ending: Ending) -> None:
        """The first one counts."""
        if not self._ending.done():
            self._ending.set_result(ending)

    def own(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done as a part of the call."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self._ending.done():
            self._ending.set_exception(error)

    # What happens

    def _follow(self) -> None:
        connection, tell = self.connection, self.story.event
        connection.add_event_handler("lost", lambda _: tell("lost"))
        connection.add_event_handler("resumed", lambda _: tell("resumed"))
        connection.add_event_handler("path", lambda _, report: tell("path", **carried(connection, report)))
        connection.add_event_handler("stalled", lambda _, why: tell("stalled", why=why))
        connection.add_event_handler("flowing", lambda _: tell("flowing"))
        self._dialer.on_redialing = lambda reason: tell("redialing", reason=_reason(reason))
        self._dialer.on_refused = lambda error: tell("refused", sentence=f"calling again failed: {error}")
        self.transport.add_event_handler("on_client_connected", lambda *_: self._connected("connected"))
        self.transport.add_event_handler("on_client_reconnected", lambda *_: self._connected("reconnected"))
        self.transport.add_event_handler("on_app_message", lambda _, message, __: self._received(message))
        self.story.on_unwritable = self._fail
        self.person.on_trouble = self.story.trouble
        self.person.on_said = self.turns.said
        self.person.on_heard = self._heard

    def _connected(self, event: str) -> None:
        how = how_connected(self.connection)
        path = f"{how['local']} to {how['remote']}, {how['protocol']}" if "local" in how else ""
        self.story.event(event, pc_id=self.connection.pc_id, path=path, **how)
        if event == "reconnected" and not self._greeted:
            self.own(self._greet())

    def begun_anew(self) -> None:
        """The server has forgotten the call and began another one: its bot waits for the hello of a client."""
        self._greeted = False

    def _received(self, message: dict[str, Any]) -> None:
        self.story.received(message)
        for met in self._script.heard(message):
            self.story.event("expected", expected=met)
        data = message.get("data")
        if rtvi.is_rtvi(message) and message.get("type") == "error" and isinstance(data, dict) and data.get("fatal"):
            self.end(outcome.bot_failed(data))

    def _heard(self, dbfs: float, start: float, seconds: float) -> None:
        first, before = self.person.first_bot_sound, self._last_bot_sound
        if first is not None and dbfs > AUDIBLE:
            self._last_bot_sound = self._now()
            if not before and self._began is not None:
                self.story.event("first-audio", milliseconds=round((first - self._began) * 1000, 1))
        known = len(self.turns.answers)
        self.turns.heard(dbfs, start, seconds)
        for answer in self.turns.answers[known:]:
            self.story.event("answer", milliseconds=round(answer * 1000, 1))

    # What runs during the call

    async def _watch(self) -> None:
        """The other side may end it."""
        await self.connection.wait_closed()
        await self.connection.settled()  # what it said last is told first
        reason = self.connection.close_reason or CloseReason.PEER_CLOSED
        self.end(
            outcome.ended_by_the_other_side(
                reason, self._dialer.last_refusal, seconds=self.seconds or 0.0, is_script=self._options.is_script
            )
        )

    async def _measure(self) -> None:
        """Look at the statistics; tell them as often as the script wants."""
        every, told = self._options.stats, self._now()
        while True:
            report = await stats(self.connection)
            self.figures.update(report, self._now())
            if every is not None and self._now() - told >= every - MEASURE / 2:
                told = self._now()
                self.story.event("statistics", stats=report)
            await asyncio.sleep(min(MEASURE, every or MEASURE))

    async def _talk(self) -> None:
        """Say hello as every client does, then what a script says, and wait for what it expects."""
        await self._greet()
        await self._script.say(self.send)
        if not self._script.expects:
            return
        ending = await self._script.wait()
        if ending.error is not None or not (self._options.duration or self._options.exit_after_play):
            self.end(ending)

    async def _greet(self) -> None:
        await self._channel_open()
        if not self._greeted:
            self._greeted = True
            self.connection.send_app_message(rtvi.client_ready(new_id()))

    async def _channel_open(self) -> None:
        """A peer that is lost before its channel was open is no peer without one: then the next one counts."""
        connection, timeout = self.connection, self.connection.settings.timing.channel_timeout
        while True:
            peer = connection.peer
            if await within(timeout, connection.wait_for(lambda: connection.peer.stages.channel is not None)):
                return
            if peer is connection.peer and connection.state is State.CONNECTED and not self._dialer.is_redialing():
                self.end(outcome.no_channel(timeout))

    async def send(self, message: dict[str, Any]) -> None:
        """A message of the person's."""
        await self.transport.send_message(message)
        self.story.sent(message)

    def _waits(self) -> list[Work]:
        """What the options say of when to do what."""
        options = self._options
        waits = {
            self._time_is_up: options.duration,
            self._expect_audio: options.expect_audio,
            self._restart: options.restart_after,
            self._played: options.play_from,
        }
        return [wait for wait, wanted in waits.items() if wanted is not None]

    async def _time_is_up(self) -> None:
        await asyncio.sleep(self._options.duration or 0.0)
        await self._script.all_heard()  # or `_talk` ends the call
        self.end(outcome.TIME_IS_UP)

    async def _expect_audio(self) -> None:
        await asyncio.sleep(self._options.expect_audio or 0.0)
        if self.person.first_bot_sound is None:
            self.end(outcome.no_sound(self._options.expect_audio or 0.0))

    async def _restart(self) -> None:
        await asyncio.sleep(self._options.restart_after or 0.0)
        self._dialer.restart()

    async def _played(self) -> None:
        """A file has ended, and then what the bot says to it."""
        await self.person.source_ended.wait()
        self.story.event("played")
        if not self._options.exit_after_play:
            return
        await within(LONGEST_ANSWER, self._silence())
        await self._script.all_heard()  # or `_talk` ends the call
        self.end(outcome.PLAYED)

    async def _silence(self) -> None:
        """The bot says nothing, or nothing more."""
        began = self._now()
        while (rest := max(began, self._last_bot_sound) + SETTLED - self._now()) > 0:  # noqa: ASYNC110 - it moves on
            await asyncio.sleep(rest)

    def mute(self, muted: bool) -> None:
        """Send silence, and tell the server; or sound again."""
        self.person.mute(muted)
        self.story.event("muted", muted=muted)

    def reconnect(self) -> None:
        """Replace the peer connection, as the key and `--restart-after` want it; there must be one."""
        if self._began is not None:
            self._dialer.restart()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _reason(reason: CloseReason) -> str:
    return "you asked for it" if reason is CloseReason.CLIENT_ENDED else str(reason)
