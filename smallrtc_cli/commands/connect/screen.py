"""The live view of a call and its keys: what a person at the terminal sees and can do."""

import asyncio
from collections import deque
from typing import Any

from smallrtc_cli.bots.pictures import Camera
from smallrtc_cli.commands.connect import outcome
from smallrtc_cli.commands.connect.call import Call
from smallrtc_cli.commands.connect.ends import Ends
from smallrtc_cli.commands.connect.keys import Keys
from smallrtc_cli.commands.connect.script import new_id
from smallrtc_cli.commands.connect.story import Story
from smallrtc_cli.errors import SmallRTCError
from smallrtc_cli.keyboard import Keyboard
from smallrtc_cli.report.call_picture import CallPicture, Line, Voice
from smallrtc_cli.report.call_view import CallView

REDRAW = 0.1
"Seconds between two pictures: a meter that follows a voice."

HINT = 4.0
"Seconds for which a key's answer is shown."

_LEVELS = 10


class Screen:
    """Draws a call, and is what its keys act on (`keys.Controls`)."""

    def __init__(
        self,
        view: CallView,
        call: Call,
        story: Story,
        ends: Ends,
        camera: Camera | None,
        *,
        place: str,
        push_to_talk: bool,
    ) -> None:
        """`push_to_talk`: the microphone is open only while the person holds the line open with the space bar."""
        self._view, self._call, self._story, self._ends, self._camera = view, call, story, ends, camera
        self._place, self._push_to_talk = place, push_to_talk
        self._keys = Keys(self, new_id)
        self._levels: tuple[deque[float], deque[float]] = (deque(maxlen=_LEVELS), deque(maxlen=_LEVELS))
        self._statistics = self._shows_keys = False
        self._hint, self._hint_until = "", 0.0

    async def draw(self) -> None:
        """Until the call is over."""
        while True:
            self._levels[0].append(self._call.person.level_in)
            self._levels[1].append(self._call.person.level_out)
            self._view.show(self._picture())
            await asyncio.sleep(REDRAW)

    async def read_keys(self) -> None:
        """Until the call is over."""
        async with Keyboard(suspended=self._view.suspend, resumed=self._view.resume) as keyboard:
            async for key in keyboard:
                self._keys.press(key)
                self._view.show(self._picture())

    def _picture(self) -> CallPicture:
        call, vitals = self._call, self._call.figures.vitals
        sink, answers = self._ends.sink, call.turns.answers
        return CallPicture(
            place=self._place,
            state=call.state,
            me=Voice(self._ends.source_name, tuple(self._levels[0]), call.person.level_in, self._muted()),
            bot=Voice(
                self._ends.sink_name,
                tuple(self._levels[1]),
                call.person.level_out,
                f"answered in {answers[-1] * 1000:.0f} ms" if answers else "",
            ),
            seconds=call.seconds,
            path=vitals.path,
            round_trip_ms=vitals.round_trip_ms,
            jitter_ms=vitals.jitter_ms,
            loss_percent=vitals.loss_percent,
            buffer_ms=None if sink is None else sink.delay * 1000,
            kbit_per_s=tuple(call.figures.kbit_per_s),
            lines=[_line(line) for line in self._story.lines],
            typing=self._keys.typing,
            statistics=[*call.figures.rows(), *self._ends.rows()] if self._statistics else None,
            keys=self._shows_keys,
            notice=self._hint if self._now() < self._hint_until else self._story.notice,
        )

    def _muted(self) -> str:
        if self._push_to_talk:
            return "space to talk" if self._call.person.muted else "talking, space to stop"
        return "muted" if self._call.person.muted else ""

    # What keys do

    def toggle_mute(self) -> None:
        self._call.mute(not self._call.person.muted)

    def toggle_talking(self) -> None:
        if self._push_to_talk:
            self.toggle_mute()
        else:
            self.tell("the microphone is open: `--push-to-talk` makes space a switch")

    def toggle_camera(self) -> None:
        if self._camera is None:
            self.tell("there is no camera: `--video-from FILE` or `--video-from test` is one")
        else:
            self._camera.switch(not self._camera.on)

    def toggle_statistics(self) -> None:
        self._statistics = not self._statistics

    def toggle_keys(self) -> None:
        self._shows_keys = not self._shows_keys

    def reconnect(self) -> None:
        self._call.reconnect()

    def hang_up(self) -> None:
        self._call.end(outcome.HUNG_UP)

    def send(self, message: dict[str, Any]) -> None:
        self._call.own(self._send(message))

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            await self._call.send(message)
        except SmallRTCError as error:
            self.tell(f"not sent: {error}")

    def tell(self, sentence: str) -> None:
        self._hint, self._hint_until = sentence, self._now() + HINT

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _line(line: Any) -> Line:
    who = "·" if line.who == "event" else line.who
    text = f"{line.text} {line.rest}".strip() if line.rest else line.text
    return Line(who, text, quiet=line.who == "event")
