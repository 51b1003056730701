"""`smallrtc serve`: the development server. Composes door, bots, core and terminal, and ends them in order.

The door opens first. What it takes to answer an offer is loaded behind it, by `_load`; an offer that comes meanwhile
waits for that. So nothing here may import aiortc, aioice, av or numpy, which a test holds it to. The user's own bot is
loaded before all that: a port that is open has a bot that loads.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from smallrtc_cli import __version__, console
from smallrtc_cli.bots.arguments import CliArguments
from smallrtc_cli.bots.environment import BotEnvironment
from smallrtc_cli.bots.loader import BotFailedToLoad, BotSpec, LoadedBot, find_bot, load
from smallrtc_cli.commands.garbage import spare_imports
from smallrtc_cli.commands.late_calls import LateCalls
from smallrtc_cli.commands.serve_options import ServeOptions as ServeOptions
from smallrtc_cli.commands.serve_options import allowed_origins, check
from smallrtc_cli.errors import ExitCode
from smallrtc_cli.web.door import Door
from smallrtc_cli.web.page import PAGE, prebuilt_client
from smallrtc_cli.web.places import Place, local_names, places, qr_code
from smallrtc_cli.web.server import SignallingServer
from smallrtc_cli.web.sessions import Sessions

if TYPE_CHECKING:  # each is loaded where it is needed, if it is
    from smallrtc_cli.commands.serve_calls import Calls
    from smallrtc_cli.commands.serve_log import ServeLog
    from smallrtc_cli.commands.serve_view import ServeView

PATIENCE = 5.0
"Seconds that the first Ctrl-C may take; then the process ends whatever holds it up (P4)."


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

    environment.read(spec.folder, Path.cwd())  # the token may be in it
    yours = None if spec.is_built_in else _loaded(load_bot)
    async with contextlib.AsyncExitStack() as stack:
        entrance = _Entrance(options, spec)
        stack.push_async_callback(entrance.close)
        with _given_up() as codes:
            await entrance.open()
            calls_of, bot = await asyncio.to_thread(_load, yours, load_bot)
            view = stack.enter_context(_view()) if console.is_live() and not options.json_lines else None
            write = write_event if options.json_lines else view.write if view is not None else console.say
            calls = calls_of(options, bot, load_bot, rooms=entrance.rooms, write=write)
            stack.push_async_callback(calls.close)
            await calls.start(view)
        if codes:
            return codes[0]
        spare_imports()
        entrance.admit(calls)
        _greet(options, spec, entrance, calls)
        return await _until_stopped(calls.log)


def _load(yours: LoadedBot | None, load_bot: Callable[[], LoadedBot]) -> "tuple[type[Calls], LoadedBot]":
    """What answers, and a bot for it, if only a built-in one. In a thread: the page and `/status` are there meanwhile.

    Everything that a call needs is imported here, so that nothing is while a call goes on: it would be heard.
    """
    from smallrtc_cli.commands.serve_calls import Calls
    from smallrtc_cli.rtc.aiortc_identity import OF_THIS_PROCESS

    OF_THIS_PROCESS.prepare()
    return Calls, yours or load_bot()


def _loaded(load_bot: Callable[[], LoadedBot]) -> LoadedBot:
    try:
        return load_bot()
    except BotFailedToLoad as error:
        if error.traceback:
            console.say(error.traceback + "\n")
        raise


class _Entrance:
    """The port and what it shows: open before there are `Calls`, and until they have ended."""

    def __init__(self, options: ServeOptions, spec: BotSpec) -> None:
        check(options, os.environ)
        self._options, self._bot = options, spec.name
        self.token = options.token or os.environ.get("SMALLRTC_TOKEN") or None
        self.rooms = Sessions()
        self._calls = LateCalls()
        self._server = SignallingServer(self._calls, door=self._door())
        self.url = ""
        self._instance = secrets.token_hex(8)
        "Told to pages, so that one notices a server that was restarted while it did not look."

    def _door(self) -> Door:
        return Door(
            token=self.token,
            allowed_origins=allowed_origins(self._options, os.environ),
            names=local_names(),
            sessions=self.rooms,
            ice_servers=self._options.network.servers(os.environ),
            page=PAGE,
            client=prebuilt_client(),
            status=self._status,
            stats=self._calls.stats,
            metrics=self._calls.metrics,
        )

    def _status(self) -> dict[str, Any]:
        return {"bot": self._bot, "version": __version__, "instance": self._instance, "error": self._calls.error}

    async def open(self) -> None:
        """Listen; raises `SmallRTCError`."""
        tls = _tls(self._options) if self._options.is_secure else None
        self.url = await self._server.start(self._options.host, self._options.port, tls=tls)

    def admit(self, calls: "Calls") -> None:
        """Have them answer who waits, and who comes."""
        self._calls.begin(calls)

    async def close(self) -> None:
        """Listen no more; bounded."""
        self._calls.close()
        await self._server.close()

    def places(self) -> list[Place]:
        """Where people find the page."""
        scheme, port = self.url.partition(":")[0], int(self.url.rpartition(":")[2])
        return places(self._options.host, port, scheme, self.token, _local_addresses())


def _tls(options: ServeOptions) -> ssl.SSLContext:
    from smallrtc_cli.web.tls import Subjects, context_from, data_folder, own_context  # brings cryptography

    if options.ssl_certfile is not None:
        return context_from(options.ssl_certfile, options.ssl_keyfile)
    return own_context(data_folder(os.environ), Subjects.of(local_names(), _local_addresses()))


def _local_addresses() -> list[str]:
    from smallrtc_cli.rtc.addresses import local_interfaces  # brings aioice

    return [address for interface in local_interfaces() for address in interface.addresses]


# The terminal


def _view() -> "ServeView":
    from smallrtc_cli.commands.serve_view import ServeView  # brings rich

    return ServeView()


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


def _greet(options: ServeOptions, spec: BotSpec, entrance: _Entrance, calls: "Calls") -> None:
    found = entrance.places()
    calls.log.ready(url=entrance.url, bot=spec.name, places=[place.url for place in found], version=__version__)
    if options.json_lines:
        return
    lines = [f"smallrtc {__version__}   {spec.name}   reload {'on' if calls.reloads else 'off'}", ""]
    if spec.source:
        lines[0] += f"   ({spec.source})"
    lines += [f"  {place.label:<9} {place.url}" for place in found]
    lines += [f"  {'clients':<9} POST {entrance.url}/api/offer   ·   /start   ·   /client", ""]
    if not options.is_local:
        lines += _for_the_network(options, entrance, found)
    lines.append(f"ready in {time.monotonic() - options.started:.1f} s   Ctrl-C to stop")
    for line in lines:
        console.say(line)


def _for_the_network(options: ServeOptions, entrance: _Entrance, found: list[Place]) -> list[str]:
    lines = []
    if entrance.token is None:
        lines += [
            "warning: anyone in the network can start your bot",
            f"  hint: `--token {secrets.token_urlsafe(9)}` asks for a secret, which is in the addresses above then",
            "",
        ]
    if not options.is_secure:
        lines += ["note: browsers give no microphone to a page that is neither https nor localhost: `--https`", ""]
    network = next((place.url for place in found if place.label == "network"), None)
    return [*lines, *qr_code(network).splitlines(), ""] if network and console.is_live() else lines


# The end


@contextlib.contextmanager
def _given_up() -> Iterator[list[ExitCode]]:
    """A start that Ctrl-C or SIGTERM ends, here and not in the middle of anything: with which exit code, if so."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    codes: list[ExitCode] = []

    def give_up(code: ExitCode) -> None:
        codes.append(code)
        task.cancel()

    loop.add_signal_handler(signal.SIGINT, give_up, ExitCode.INTERRUPTED)
    loop.add_signal_handler(signal.SIGTERM, give_up, ExitCode.OK)
    try:
        yield codes
    except asyncio.CancelledError:
        if not codes:
            raise
        task.uncancel()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)


async def _until_stopped(log: "ServeLog") -> ExitCode:
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
    await stopped.wait()
    log.line("stopping; once more Ctrl-C to end at once")
    return codes[0]


def _leave_now(code: ExitCode) -> None:
    """Without waiting for anything; the cursor comes back at least."""
    if sys.stderr.isatty():
        os.write(2, b"\x1b[?25h\n")
    os._exit(code)
