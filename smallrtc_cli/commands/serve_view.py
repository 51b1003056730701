"""The live view of `smallrtc serve`: who is called at the moment, below the lines that scroll by."""

import asyncio
from collections.abc import Awaitable, Callable

from smallrtc_cli import console
from smallrtc_cli.bots.events import SessionStatus
from smallrtc_cli.commands.serve_log import short
from smallrtc_cli.report.live import LiveView, SessionRow
from smallrtc_cli.report.vitals import Vitals

REDRAW = 0.5


class ServeView(LiveView):
    """Draws the sessions again and again; rich comes with it."""

    def write(self, line: str) -> None:
        """A line above, of which nothing steers the terminal."""
        self.say(console.printable(line))

    async def follow(self, statuses: Callable[[], Awaitable[list[SessionStatus]]]) -> None:
        """Until cancelled."""
        while True:
            self.show([_row(each) for each in await statuses()])
            await asyncio.sleep(REDRAW)


def _row(status: SessionStatus) -> SessionRow:
    vitals = Vitals.of(status.report)
    return SessionRow(
        session=short(status.id),
        state=status.state,
        seconds=status.seconds,
        round_trip_ms=vitals.round_trip_ms,
        loss_percent=vitals.loss_percent,
        jitter_ms=vitals.jitter_ms,
        level_in=vitals.level_in,
        level_out=vitals.level_out,
        bot=status.bot,
    )
