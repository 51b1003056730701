"""The calls of `smallrtc serve`: their bots, what these print and tell, their figures, and new code for new ones.

Here is all that needs aiortc, av and numpy, two thirds of what the command imports: `commands.serve` loads this module
when its port is open.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from smallrtc_cli import console
from smallrtc_cli.bots.child import ChildSetup
from smallrtc_cli.bots.events import SessionEvent
from smallrtc_cli.bots.isolation import IsolatedSessions
from smallrtc_cli.bots.loader import LoadedBot
from smallrtc_cli.bots.prints import BotPrints
from smallrtc_cli.bots.recorder import record_new
from smallrtc_cli.bots.reload import Broken, Reloaded, Reloader, ReloadOptions
from smallrtc_cli.bots.supervisor import Supervisor
from smallrtc_cli.commands.serve_log import ServeLog
from smallrtc_cli.commands.serve_options import ServeOptions
from smallrtc_cli.config import Settings, Timing
from smallrtc_cli.protocol.signalling import Answer, SmallWebRTCPatchRequest, SmallWebRTCRequest
from smallrtc_cli.report.metrics import SessionSnapshot, metrics_text
from smallrtc_cli.rtc.request_handler import SmallWebRTCRequestHandler
from smallrtc_cli.web.sessions import Sessions

if TYPE_CHECKING:  # brings rich, where a terminal is there
    from smallrtc_cli.commands.serve_view import ServeView

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 15.0
"Seconds until a peer connection that does not come up is given up, with a diagnosis (P26)."


class Calls:
    """Answers offers, from `start` to `close`; an `Exchange`."""

    def __init__(
        self,
        options: ServeOptions,
        bot: LoadedBot,
        load_bot: Callable[[], LoadedBot],
        *,
        rooms: Sessions,
        write: Callable[[str], None],
    ) -> None:
        """`write` takes a line of what happens."""
        self._options, self._rooms = options, rooms
        self.log = ServeLog(write, as_json=options.json_lines)
        dirs = options.reload_dirs or (bot.spec.folder,)
        reload_options = ReloadOptions(dirs, options.reload_include, options.reload_exclude, options.reload_delay)
        self._reloader = Reloader(bot, load_bot, reload_options, self._reloaded)
        self.reloads = console.is_live() if options.reload is None else options.reload
        self.reloads = self.reloads and not bot.spec.is_built_in
        self._sessions: Supervisor | IsolatedSessions = self._isolated(bot) if options.isolate else self._here()
        self._prints = BotPrints(sys.stdout, lambda session, line: self._said(session, line))
        self._beside: set[asyncio.Task[None]] = set()
        self._renewing: asyncio.Task[None] | None = None

    def _here(self) -> Supervisor:
        """All bots in this process."""
        handler = SmallWebRTCRequestHandler(**self._handler_arguments())
        return Supervisor(
            self._reloader, handler, rooms=self._rooms, most=self._options.max_sessions, observer=self._happened
        )

    def _isolated(self, bot: LoadedBot) -> IsolatedSessions:
        """Each session in a process of its own."""
        options = self._options
        setup = ChildSetup(
            spec=bot.spec,
            argv=options.bot_arguments,
            runner={"host": options.host, "port": options.port},
            handler=self._handler_arguments(),
            record=options.record,
            verbosity=options.verbosity,
        )
        return IsolatedSessions(setup, rooms=self._rooms, most=options.max_sessions, observer=self._happened)

    def _handler_arguments(self) -> dict[str, Any]:
        options, network = self._options, self._options.network
        settings = Settings(timing=Timing(connect_timeout=CONNECT_TIMEOUT), path_mtu=network.path_mtu(os.environ))
        ice = network.ice(network.servers(os.environ))
        host = options.host if options.esp32 else None
        return {"esp32_mode": options.esp32, "host": host, "ice": ice, "settings": settings}

    async def start(self, view: "ServeView | None" = None) -> None:
        """Be able to answer; from here on bots print into their sessions, edits are seen and `view` is drawn."""
        if isinstance(self._sessions, IsolatedSessions):
            await self._sessions.start()
        if self.reloads:
            self._begin(asyncio.create_task(self._reloader.run(), name="seeing edits"))
        if view is not None:
            self._begin(asyncio.create_task(view.follow(self._sessions.statuses), name="drawing"))
        sys.stdout = self._prints

    def _begin(self, task: asyncio.Task[None]) -> None:
        self._beside.add(task)
        task.add_done_callback(tell_failure)

    async def close(self) -> None:
        """End them, politely; bounded."""
        for task in self._beside:
            task.cancel()
        if self._beside:
            await asyncio.wait(self._beside)
        await self._sessions.close()
        if sys.stdout is self._prints:
            sys.stdout = self._prints.original

    # What is asked

    async def offer(self, request: SmallWebRTCRequest) -> Answer:
        return await self._sessions.offer(request)

    async def candidates(self, request: SmallWebRTCPatchRequest) -> None:
        await self._sessions.candidates(request)

    @property
    def broken(self) -> Broken | None:
        """The last edit of the bot, if it does not load."""
        return self._reloader.error

    async def stats(self) -> dict[str, Any]:
        return {
            "sessions": {
                each.id: {"state": each.state, "bot": each.bot, "seconds": each.seconds, "stats": each.report}
                for each in await self._sessions.statuses()
            }
        }

    async def metrics(self) -> str:
        statuses = await self._sessions.statuses()
        snapshots = [SessionSnapshot(each.id, each.state, each.seconds, each.report) for each in statuses]
        return metrics_text(snapshots, self.log.totals)

    # What happens

    def _happened(self, event: SessionEvent) -> None:
        if event.event in {"closed", "bot-ended", "bot-failed"}:  # the last of them ends the last line
            self._prints.finish(event.session)
        if isinstance(self._sessions, Supervisor):
            record_new(self._options.record, self._sessions.sessions, event)
        self.log.session(event, max(0, len(self._sessions.sessions) - (event.event == "closed")))

    def _said(self, session: str, line: str) -> None:
        self.log.session(SessionEvent("said", session, {"line": line}))

    def _reloaded(self, event: Reloaded | Broken) -> None:
        if isinstance(self._sessions, IsolatedSessions) and isinstance(event, Reloaded):
            self._renewing = asyncio.create_task(self._sessions.renew(event.bot.spec))
        self.log.reload(event, len(self._sessions.sessions))


def tell_failure(task: asyncio.Task[None]) -> None:
    """For work that goes on beside the calls: they do not need it, but people must know."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s came to an end", task.get_name(), exc_info=error)
