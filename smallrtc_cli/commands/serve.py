"""`smallrtc serve`: the development server. Composes door, bots, core and terminal, and ends them in order."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from smallrtc_cli import __version__, console
from smallrtc_cli.bots.arguments import CliArguments
from smallrtc_cli.bots.child import ChildSetup
from smallrtc_cli.bots.environment import BotEnvironment
from smallrtc_cli.bots.events import SessionEvent, SessionStatus
from smallrtc_cli.bots.isolation import IsolatedSessions
from smallrtc_cli.bots.loader import BotFailedToLoad, BotSpec, LoadedBot, find_bot, load
from smallrtc_cli.bots.prints import BotPrints
from smallrtc_cli.bots.recorder import record_new, require_folder
from smallrtc_cli.bots.reload import Broken, Reloaded, Reloader, ReloadOptions
from smallrtc_cli.bots.supervisor import Supervisor
from smallrtc_cli.commands.garbage import spare_imports
from smallrtc_cli.commands.network import NetworkOptions
from smallrtc_cli.commands.serve_log import ServeLog, short
from smallrtc_cli.config import Settings, Timing
from smallrtc_cli.errors import ExitCode, UsageError
from smallrtc_cli.report.live import LiveView, SessionRow
from smallrtc_cli.report.metrics import SessionSnapshot, metrics_text
from smallrtc_cli.report.vitals import Vitals
from smallrtc_cli.rtc.addresses import local_interfaces
from smallrtc_cli.rtc.request_handler import SmallWebRTCRequestHandler
from smallrtc_cli.web.door import Door
from smallrtc_cli.web.guard import parse_origins
from smallrtc_cli.web.page import PAGE, prebuilt_client
from smallrtc_cli.web.places import Place, local_names, places, qr_code
from smallrtc_cli.web.server import SignallingServer
from smallrtc_cli.web.sessions import Sessions
from smallrtc_cli.web.tls import Subjects, context_from, data_folder, own_context

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 15.0
"Seconds until a peer connection that does not come up is given up, with a diagnosis (P26)."

PATIENCE = 5.0
"Seconds that the first Ctrl-C may take; then the process ends whatever holds it up (P4)."

REDRAW = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """The command line, as typed; an empty tuple or None stands for what was not."""

    bot: str | None = None
    bot_arguments: tuple[str, ...] = ()
    host: str = "localhost"
    port: int = 7860
    reload: bool | None = None
    "None: on a terminal only."

    reload_dirs: tuple[Path, ...] = ()
    reload_include: tuple[str, ...] = ()
    reload_exclude: tuple[str, ...] = ()
    reload_delay: float = 0.25
    isolate: bool = False
    max_sessions: int | None = None
    token: str | None = None
    allowed_origins: tuple[str, ...] = ()
    https: bool = False
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    esp32: bool = False
    network: NetworkOptions = field(default_factory=NetworkOptions)
    record: Path | None = None
    json_lines: bool = False
    verbosity: int = 0
    started: float = field(default_factory=time.monotonic, compare=False)
    "When the command was called, in monotonic seconds."


def run(options: ServeOptions) -> ExitCode:
    """Serve until Ctrl-C; raises `SmallRTCError` for what cannot be served."""
    write_event = _events_to(sys.stdout)
    with contextlib.redirect_stdout(sys.stderr) if options.json_lines else contextlib.nullcontext():
        return asyncio.run(_serve(options, write_event))  # what a bot's module prints is no event


async def _serve(options: ServeOptions, write_event: Callable[[str], None]) -> ExitCode:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # asyncio's would wait for a bot's slow import to end
    environment = BotEnvironment()
    spec = find_bot(options.bot, Path.cwd())

    def load_bot() -> LoadedBot:
        environment.read(spec.folder, Path.cwd())
        return load(spec, CliArguments(options.bot_arguments, host=options.host, port=options.port))

    bot = _loaded(load_bot)
    async with contextlib.AsyncExitStack() as stack:
        view = stack.enter_context(_view(options))
        log = ServeLog(write_event if options.json_lines else _writer(view), as_json=options.json_lines)
        serving = _Serving(options, bot, load_bot, log)
        stack.push_async_callback(serving.close)
        url = await serving.start()
        spare_imports()
        _greet(options, spec, serving, url, time.monotonic() - options.started)
        return await _until_stopped(serving, view)


def _loaded(load_bot: Callable[[], LoadedBot]) -> LoadedBot:
    try:
        return load_bot()
    except BotFailedToLoad as error:
        if error.traceback:
            console.say(error.traceback + "\n")
        raise


# What was typed, as values


def allowed_origins(options: ServeOptions, environment: Mapping[str, str]) -> frozenset[str]:
    """A flag wins over SMALLRTC_ALLOWED_ORIGINS, that over PIPECAT_ALLOWED_ORIGINS; commas part origins there."""
    named = environment.get("SMALLRTC_ALLOWED_ORIGINS") or environment.get("PIPECAT_ALLOWED_ORIGINS") or ""
    given = options.allowed_origins or tuple(part.strip() for part in named.split(",") if part.strip())
    return parse_origins(given)


def _is_local(host: str) -> bool:
    return host in {"localhost", "127.0.0.1", "::1"} or host.startswith("127.")


def _check(options: ServeOptions) -> None:
    if options.esp32 and _is_local(options.host):
        raise UsageError("an ESP32 cannot reach `localhost`", hint="give `--host` the address of this machine")
    if options.ssl_keyfile and not options.ssl_certfile:
        raise UsageError("`--ssl-keyfile` needs `--ssl-certfile`", hint="or `--https`, with a self-made certificate")
    for folder in options.reload_dirs:
        if not folder.is_dir():
            raise UsageError(f"`--reload-dir {folder}` is no folder")
    if options.record is not None:
        require_folder(options.record)


class _Serving:
    """Everything that runs between start and close."""

    def __init__(self, options: ServeOptions, bot: LoadedBot, load_bot: Callable[[], LoadedBot], log: ServeLog) -> None:
        _check(options)
        self._options, self.log = options, log
        self.token = options.token or os.environ.get("SMALLRTC_TOKEN") or None
        self._ice_servers = options.network.servers(os.environ)
        dirs = options.reload_dirs or (bot.spec.folder,)
        reload_options = ReloadOptions(dirs, options.reload_include, options.reload_exclude, options.reload_delay)
        self.reloader = Reloader(bot, load_bot, reload_options, self._reloaded)
        self.reloads = console.is_live() if options.reload is None else options.reload
        self.reloads = self.reloads and not bot.spec.is_built_in
        self._rooms = Sessions()
        self._sessions: Supervisor | IsolatedSessions = self._isolated(bot) if options.isolate else self._here()
        self._prints = BotPrints(sys.stdout, lambda session, line: self._said(session, line))
        self._server = SignallingServer(self._sessions, door=self._door())
        self._watching: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._url = ""
        self._instance = secrets.token_hex(8)
        "Told to pages, so that one notices a server that was restarted while it did not look."

    def _here(self) -> Supervisor:
        """All bots in this process."""
        handler = SmallWebRTCRequestHandler(**self._handler_arguments())
        return Supervisor(
            self.reloader, handler, rooms=self._rooms, most=self._options.max_sessions, observer=self._happened
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
        options = self._options
        settings = Settings(
            timing=Timing(connect_timeout=CONNECT_TIMEOUT), path_mtu=options.network.path_mtu(os.environ)
        )
        ice = options.network.ice(self._ice_servers)
        host = options.host if options.esp32 else None
        return {"esp32_mode": options.esp32, "host": host, "ice": ice, "settings": settings}

    def _door(self) -> Door:
        return Door(
            token=self.token,
            allowed_origins=allowed_origins(self._options, os.environ),
            names=local_names(),
            sessions=self._rooms,
            ice_servers=self._ice_servers,
            page=PAGE,
            client=prebuilt_client(),
            status=self._status,
            stats=self._stats,
            metrics=self._metrics,
        )

    async def start(self) -> str:
        """Listen; returns the base URL."""
        tls = None
        if self._options.ssl_certfile is not None:
            tls = context_from(self._options.ssl_certfile, self._options.ssl_keyfile)
        elif self._options.https:
            addresses = [address for interface in local_interfaces() for address in interface.addresses]
            tls = own_context(data_folder(os.environ), Subjects.of(local_names(), addresses))
        if isinstance(self._sessions, IsolatedSessions):
            await self._sessions.start()
        self._url = await self._server.start(self._options.host, self._options.port, tls=tls)
        if self.reloads:
            self._watching = asyncio.create_task(self.reloader.run(), name="seeing edits")
            self._watching.add_done_callback(_tell_failure)
        sys.stdout = self._prints
        return self._url

    async def close(self) -> None:
        """End the calls, politely, then the door; bounded."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        await self._sessions.close()
        await self._server.close()
        if sys.stdout is self._prints:
            sys.stdout = self._prints.original

    def places(self) -> list[Place]:
        """Where people find the page."""
        scheme, port = self._url.partition(":")[0], int(self._url.rpartition(":")[2])
        addresses = [address for interface in local_interfaces() for address in interface.addresses]
        return places(self._options.host, port, scheme, self.token, addresses)

    @property
    def url(self) -> str:
        return self._url

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

    # What is shown

    def _status(self) -> dict[str, Any]:
        broken = self.reloader.error
        return {
            "bot": self.reloader.bot.name,
            "version": __version__,
            "instance": self._instance,
            "error": (broken.traceback or str(broken.error)) if broken else None,
        }

    async def _stats(self) -> dict[str, Any]:
        return {
            "sessions": {
                each.id: {"state": each.state, "bot": each.bot, "seconds": each.seconds, "stats": each.report}
                for each in await self._sessions.statuses()
            }
        }

    async def _metrics(self) -> str:
        statuses = await self._sessions.statuses()
        snapshots = [SessionSnapshot(each.id, each.state, each.seconds, each.report) for each in statuses]
        return metrics_text(snapshots, self.log.totals)

    async def rows(self) -> list[SessionRow]:
        """The sessions, for the live view."""
        return [_row(each) for each in await self._sessions.statuses()]


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


# The terminal


@contextlib.contextmanager
def _view(options: ServeOptions) -> Iterator[LiveView | None]:
    if options.json_lines or not console.is_live():
        yield None
        return
    with LiveView() as view:
        yield view


def _writer(view: LiveView | None) -> Callable[[str], None]:
    return (lambda line: view.say(console.printable(line))) if view is not None else console.say


def _events_to(stdout: TextIO) -> Callable[[str], None]:
    """Lines for a script. `stdout` is the one of the process: later `sys.stdout` is where bots print."""

    def write(line: str) -> None:
        try:
            with console.writing(stdout, "stdout"):
                stdout.write(line + "\n")
                stdout.flush()
        except BrokenPipeError:
            console.abandon(stdout)
            console.say("warning: nobody reads the events any more")

    return write


def _greet(options: ServeOptions, spec: BotSpec, serving: _Serving, url: str, seconds: float) -> None:
    found = serving.places()
    serving.log.ready(url=url, bot=spec.name, places=[place.url for place in found], version=__version__)
    if options.json_lines:
        return
    lines = [f"smallrtc {__version__}   {spec.name}   reload {'on' if serving.reloads else 'off'}", ""]
    if spec.source:
        lines[0] += f"   ({spec.source})"
    lines += [f"  {place.label:<9} {place.url}" for place in found]
    lines += [f"  {'clients':<9} POST {url}/api/offer   ·   /start   ·   /client", ""]
    if not _is_local(options.host):
        lines += _for_the_network(options, serving, found)
    lines.append(f"ready in {seconds:.1f} s   Ctrl-C to stop")
    for line in lines:
        console.say(line)


def _for_the_network(options: ServeOptions, serving: _Serving, found: list[Place]) -> list[str]:
    lines = []
    if serving.token is None:
        lines += [
            "warning: anyone in the network can start your bot",
            f"  hint: `--token {secrets.token_urlsafe(9)}` asks for a secret, which is in the addresses above then",
            "",
        ]
    if not (options.https or options.ssl_certfile):
        lines += ["note: browsers give no microphone to a page that is neither https nor localhost: `--https`", ""]
    network = next((place.url for place in found if place.label == "network"), None)
    return [*lines, *qr_code(network).splitlines(), ""] if network and console.is_live() else lines


# The end


async def _until_stopped(serving: _Serving, view: LiveView | None) -> ExitCode:
    """Until Ctrl-C or SIGTERM; a second one, or a shutdown that takes too long, ends the process at once."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    codes: list[ExitCode] = []

    def stop(code: ExitCode) -> None:
        if codes:
            _leave_now(code)
        codes.append(code)
        loop.call_soon_threadsafe(stopped.set)
        guard = threading.Timer(PATIENCE, _leave_now, (code,))
        guard.daemon = True
        guard.start()

    # Not the loop's own signal handlers: a bot that blocks the loop would block them, too.
    signal.signal(signal.SIGINT, lambda *_: stop(ExitCode.INTERRUPTED))
    signal.signal(signal.SIGTERM, lambda *_: stop(ExitCode.OK))
    drawing = asyncio.create_task(_draw(serving.rows, view), name="drawing") if view is not None else None
    if drawing is not None:
        drawing.add_done_callback(_tell_failure)
    try:
        await stopped.wait()
    finally:
        if drawing is not None:
            drawing.cancel()
            await asyncio.wait({drawing})
    serving.log.line("stopping; once more Ctrl-C to end at once")
    return codes[0]


def _leave_now(code: ExitCode) -> None:
    """Without waiting for anything; the cursor comes back at least."""
    if sys.stderr.isatty():
        os.write(2, b"\x1b[?25h\n")
    os._exit(code)


def _tell_failure(task: asyncio.Task[None]) -> None:
    """For work that goes on beside the calls: they do not need it, but people must know."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s came to an end", task.get_name(), exc_info=error)


async def _draw(rows: Callable[[], Awaitable[list[SessionRow]]], view: LiveView) -> None:
    while True:
        view.show(await rows())
        await asyncio.sleep(REDRAW)
