"""The commands and their options.

A command's own module is imported when the command is called, so that `--help` and completion load neither
aiortc nor av, numpy or aiohttp. Help is laid out plainly, without rich: importing that takes longer than all
the rest.
`main` is the one place where an error becomes words and an exit code.
"""

import contextlib
import os
import re
import select
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, cast

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from smallrtc_cli import console
from smallrtc_cli.commands.loopback_limits import DURATION, LIMITS, LONGEST, SHORTEST, parse_duration
from smallrtc_cli.errors import CannotRun, ExitCode, SmallRTCError, UsageError
from smallrtc_cli.report.checks import Limit

PROGRAM = "smallrtc"
_COMPLETION_VARIABLE = "_SMALLRTC_COMPLETE"  # typer's name for it: set by the shell, never by people
_MISTYPED = cast("type[Exception]", typer.BadParameter.__base__)  # click's UsageError, wherever typer keeps it
_AS_IT_IS = "\b"  # tells click not to wrap the paragraph anew
_MOST_REPEATS = 1000
_CLOSE = 0.7  # of letters in common: `bogus` is 0.5 of `verbose`, `verson` 0.9 of `version`


class _Group(TyperGroup):
    """All that its parsing writes is help, to stdout."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with console.writing(sys.stdout, "stdout"):
            return super().make_context(*args, **kwargs)


class _Command(TyperCommand):
    """As `_Group`."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with console.writing(sys.stdout, "stdout"):
            return super().make_context(*args, **kwargs)


app = typer.Typer(
    name=PROGRAM,
    cls=_Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _examples(*pairs: tuple[str, str]) -> str:
    """An epilog's last paragraph: what it does, then the command line."""
    return "\n".join([_AS_IT_IS, "Examples:", *(f"  # {what}\n  {line}" for what, line in pairs)])


def _limits(limits: Sequence[Limit], columns: int) -> str:
    """The table of limits and their defaults, from the limits themselves; meanings go below where they do not fit."""
    name = max(len(limit.name) for limit in limits)
    bound = max(len(str(limit)) for limit in limits)
    rows = [(f"  {limit.name:<{name}}  {limit!s:<{bound}}", limit.meaning) for limit in limits]
    beside = all(len(f"{row}  {meaning}") <= columns for row, meaning in rows)
    between = "  " if beside else "\n      "
    lines = [f"{row if beside else row.rstrip()}{between}{meaning}" for row, meaning in rows]
    return "\n".join([_AS_IT_IS, "Limits (for --limit) and their defaults:", *lines])


def _repeats(text: str) -> int:
    repeats = int(text) if str(text).isdecimal() else 0  # typer hands the default in, too: a number
    if not 1 <= repeats <= _MOST_REPEATS:
        raise UsageError(
            f"`--repeat {text}` is no number of runs", hint=f"give a whole number from 1 to {_MOST_REPEATS}"
        )
    return repeats


def _policy(text: str) -> str:
    if text not in {"all", "relay"}:
        raise UsageError(f"`--ice-policy {text}` is no policy", hint="it is `all` or `relay`")
    return text


def _print_version(wanted: bool) -> None:
    if wanted:
        import smallrtc_cli

        console.show(f"{PROGRAM} {smallrtc_cli.__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
]
Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        show_default=False,
        metavar="",
        help="Log to stderr what happens; -vv: every detail, aiortc's and aioice's too.",
    ),
]


@dataclass(frozen=True, slots=True)
class _Typed:
    """What a command gets from before and behind it."""

    verbose: int
    behind: tuple[str, ...]
    "What was typed after `--`."


@app.callback(
    invoke_without_command=True,
    epilog=_examples(
        ("send sound and messages through a real call on this machine", "smallrtc loopback"),
        ("the same, with the details of the connection", "smallrtc -v loopback"),
        ("what a command can do", "smallrtc loopback --help"),
    ),
)
def smallrtc(context: typer.Context, verbose: Verbose = 0, version: Version = False) -> None:  # noqa: ARG001
    """Run, call and diagnose a real-time voice bot over peer-to-peer WebRTC.

    Exit codes: 0 all is well, 1 a check failed, 2 a usage error, 3 it could not run, 4 inconclusive,
    130 Ctrl-C.
    """
    context.obj = _Typed(verbose, tuple(context.obj or ()))
    if context.invoked_subcommand is None:
        console.say(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


@app.command(
    cls=_Command,
    epilog=_limits(LIMITS, shutil.get_terminal_size().columns)
    + "\n\n"
    + _examples(
        ("is the audio path healthy?", "smallrtc loopback"),
        (
            "for a CI job: twenty runs, a report for its test page",
            "smallrtc loopback --repeat 20 --junit loopback.xml",
        ),
        ("a slow machine may take longer", "smallrtc loopback --limit round_trip_p95_ms=400 --limit gaps=2"),
        ("hear what comes back, on the right", "smallrtc loopback --duration 10 --record-to echo.wav"),
        ("the report for a script", "smallrtc loopback --json > report.json"),
    ),
)
def loopback(
    context: typer.Context,
    in_process: Annotated[
        bool,
        typer.Option("--in-process", help="Hand offer and answer over in memory, without the HTTP server in between."),
    ] = False,
    play_from: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Send the sound of this file, any that FFmpeg reads, not the built-in signal; snr_db is 10 then.",
        ),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(
            parser=parse_duration,
            metavar="S",
            help=f"Send sound for this many seconds, {SHORTEST:g} to {LONGEST:g}. Default: {DURATION:g}, or the file.",
        ),
    ] = None,
    record_to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep both sides in this WAV file: left what was sent, right what came back. With --repeat, one "
            "file for each call: FILE-1.wav and so on.",
        ),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Hold a figure against another limit; repeatable."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JUnit XML as well.")] = None,
    repeat: Annotated[
        int,
        typer.Option(
            parser=_repeats,
            metavar="N",
            help=f"Make this many calls, one after the other (1 to {_MOST_REPEATS}).",
        ),
    ] = 1,
    verbose: Verbose = 0,
) -> ExitCode:
    """Call an echo bot on this machine and judge what comes back.

    Sound and messages go through a complete call: signalling, ICE, DTLS, Opus and data channel, there and
    back. No sound card, no other machine and no account is needed.
    """
    _log(context, verbose)
    from smallrtc_cli.commands.loopback import LoopbackOptions, run

    options = LoopbackOptions(
        in_process=in_process,
        play_from=play_from,
        duration=duration,
        record_to=record_to,
        limits=tuple(limit or ()),
        json=json,
        junit=junit,
        repeat=repeat,
    )
    return run(options)


@app.command(
    cls=_Command,
    epilog=_examples(
        ("run the bot in bot.py, and open the printed address in a browser", "smallrtc serve"),
        (
            "another file, another function, with arguments for the bot",
            "smallrtc serve bots/tutor.py:main -- --voice amy",
        ),
        ("is it the bot or the line? a bot that only echoes", "smallrtc serve echo"),
        (
            "let a phone in the same network call, with its microphone",
            "smallrtc serve --host 0.0.0.0 --https --token secret",
        ),
        ("events for a script", "smallrtc serve --json-lines > events.jsonl"),
    ),
)
def serve(
    context: typer.Context,
    bot: Annotated[
        str | None,
        typer.Argument(
            metavar="BOT",
            help="bot.py, bot.py:function, package.module:function, echo or tone. Without it: bot.py here, or "
            "`bot` in [tool.smallrtc] of pyproject.toml, or echo. What follows -- reaches the bot.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="Listen on this name or address.")] = "localhost",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="0 picks a free one.")] = 7860,
    isolate: Annotated[
        bool,
        typer.Option(
            "--isolate", help="Run each session's bot in a process of its own, so that none stutters another."
        ),
    ] = False,
    max_sessions: Annotated[
        int | None, typer.Option(min=1, max=100_000, metavar="N", help="Take at most N calls at a time.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep each session there: a WAV (left the client, right the bot), messages."),
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json-lines", help="Print events as JSON objects, one a line.")] = False,
    reload: Annotated[
        bool | None,
        typer.Option(
            "--reload/--no-reload", help="New calls get edited code, live ones keep theirs. On in a terminal."
        ),
    ] = None,
    reload_dir: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Watch this folder, not the bot's; repeatable.")
    ] = None,
    reload_include: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Watch these files besides *.py and .env; repeatable.")
    ] = None,
    reload_exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Do not watch these; repeatable.")
    ] = None,
    reload_delay: Annotated[
        float, typer.Option(min=0.0, max=60.0, metavar="S", help="Wait for this much quiet after an edit.")
    ] = 0.25,
    token: Annotated[
        str | None,
        typer.Option(metavar="SECRET", help="Ask every caller for this; SMALLRTC_TOKEN does the same, unseen by ps."),
    ] = None,
    allowed_origins: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN", help="Let pages of this origin call (`*`: any); repeatable. PIPECAT_ALLOWED_ORIGINS."
        ),
    ] = None,
    https: Annotated[
        bool, typer.Option("--https", help="With a self-made certificate: browsers give other pages no microphone.")
    ] = False,
    ssl_certfile: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate, in PEM.")] = None,
    ssl_keyfile: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key, if that is a file apart.")] = None,
    esp32: Annotated[bool, typer.Option("--esp32", help="Answers that an ESP32 understands; needs --host.")] = False,
    ice_servers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SERVER",
            help="A STUN or TURN URL, or JSON with urls, username, credential; repeatable. PIPECAT_ICE_SERVERS.",
        ),
    ] = None,
    ice_policy: Annotated[
        str, typer.Option(parser=_policy, metavar="all|relay", help="`relay`: let nothing but a TURN relay be used.")
    ] = "all",
    udp_ports: Annotated[
        str | None, typer.Option(metavar="A-B", help="Take UDP ports from this range, one for each session.")
    ] = None,
    interface: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Use this interface or address only; repeatable.")
    ] = None,
    public_ip: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Announce this too: where a 1:1 NAT forwards from.")
    ] = None,
    sctp_chunk: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="User bytes in a chunk of the data channel; `auto` measures each path. SMALLRTC_SCTP_MAX_CHUNK_SIZE.",
        ),
    ] = None,
    verbose: Verbose = 0,
) -> ExitCode:
    """Answer WebRTC offers and run a bot, with a web page to talk to it.

    Stays until Ctrl-C, which ends the calls politely; a second one ends at once. Other origins than the page's own
    are refused unless they are allowed.
    """
    _log(context, verbose)
    started = time.monotonic()  # before the imports: they are most of what there is to wait for
    from smallrtc_cli.commands.serve import ServeOptions, run

    typed = cast("_Typed", context.obj)
    return run(
        ServeOptions(
            bot=bot,
            bot_arguments=typed.behind,
            host=host,
            port=port,
            reload=reload,
            reload_dirs=tuple(reload_dir or ()),
            reload_include=tuple(reload_include or ()),
            reload_exclude=tuple(reload_exclude or ()),
            reload_delay=reload_delay,
            isolate=isolate,
            max_sessions=max_sessions,
            token=token,
            allowed_origins=tuple(allowed_origins or ()),
            https=https,
            ssl_certfile=ssl_certfile,
            ssl_keyfile=ssl_keyfile,
            esp32=esp32,
            ice_servers=tuple(ice_servers or ()),
            ice_policy=ice_policy,
            udp_ports=udp_ports,
            interfaces=tuple(interface or ()),
            public_ip=public_ip,
            sctp_chunk=sctp_chunk,
            record=record,
            json_lines=json_lines,
            verbosity=typed.verbose + verbose,
            started=started,
        )
    )


def _log(context: typer.Context, verbose: int) -> None:
    """`-v` counts before the command and after it."""
    console.logging_setup(cast("_Typed", context.obj).verbose + verbose)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; what goes wrong is shown here, once."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode gets `?`, not a traceback
    try:
        code = _invoke(list(sys.argv[1:] if arguments is None else arguments))
        with console.writing(sys.stdout, "stdout"):
            sys.stdout.flush()
    except SmallRTCError as error:
        return _failed(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError as error:
        return ExitCode.FAILED if _stdout_is_closed() else _bug(error)
    except console.Unwritable as error:
        return _failed(CannotRun(str(error), hint="is the disk full?"))
    except Exception as error:  # noqa: BLE001 -- ours, whatever it is: shown whole
        return _bug(error)
    return code


def _open_closed_streams() -> None:
    """Python has no stream where the shell closed one (`>&-`): what goes there goes nowhere."""
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()


def _nowhere() -> TextIOWrapper:
    return Path(os.devnull).open("w", encoding="utf-8")


def _failed(error: SmallRTCError) -> ExitCode:
    """Say it, unless there is no way to."""
    with contextlib.suppress(console.Unwritable):  # stderr itself: the exit code has to do
        console.fail(error)
    return error.exit_code


def _invoke(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    arguments, behind = _parted(arguments)
    if _COMPLETION_VARIABLE in os.environ:
        command.main(arguments, prog_name=PROGRAM)  # answers the shell, then exits
    try:
        with command.make_context(PROGRAM, arguments, obj=behind) as context:
            return int(command.invoke(context) or ExitCode.OK)
    except typer.Exit as ended:
        return ended.exit_code
    except _MISTYPED as error:
        named = next((word for word in arguments if word in getattr(command, "commands", ())), None)
        raise _usage_error(error, f"{PROGRAM} {named}" if named else PROGRAM) from error


def _parted(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What follows `--` belongs to the bot of `serve`; other commands have no use for it."""
    if "--" not in arguments or "serve" not in arguments[: arguments.index("--")]:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _usage_error(error: Exception, command: str) -> UsageError:
    """Typer's words in our style; the hint is the closest thing that is right, or the help of `command`."""
    sentence, closest = _said(error)
    hint = f"did you mean {_quoted(closest)}?" if closest else f"`{command} --help` lists what there is"
    return UsageError(_quoted(sentence[:1].lower() + sentence[1:].rstrip(".")), hint=hint)


def _said(error: Exception) -> tuple[str, str | None]:
    """The sentence and the suggestions, which typer keeps apart for options and joins for commands."""
    if possible := getattr(error, "possibilities", None):
        typed = str(getattr(error, "option_name", ""))
        return str(error), ", ".join(sorted(known for known in possible if _is_close(typed, known))) or None
    message = str(getattr(error, "format_message", error.__str__)())
    sentence, _, closest = message.partition(". Did you mean ")
    return sentence, closest.rstrip("?") or None


def _is_close(typed: str, known: str) -> bool:
    """Whether one may be meant by the other: the dashes, which all options have, do not count."""
    typed, known = typed.lstrip("-"), known.lstrip("-")
    return known.startswith(typed) or SequenceMatcher(None, typed, known).ratio() >= _CLOSE


def _quoted(text: str) -> str:
    """Put what was typed, in quotes or parentheses or as an option, into backticks."""
    text = text.replace("(s)", "")  # "argument(s)"
    text = re.sub(r"'([^']*)'|\(([^()]*)\)$", lambda match: f"`{match[1] or match[2] or ''}`", text)
    return re.sub(r"(?<![`\w-])(--?[A-Za-z][\w-]*)", r"`\1`", text)


def _stdout_is_closed() -> bool:
    """Whether it is our reader that has gone, as in `smallrtc ... | head`; if so, nothing more is written."""
    try:
        stdout = sys.stdout.fileno()
    except OSError:  # no file at all
        return False
    poll = select.poll()
    poll.register(stdout, 0)  # errors and hang-ups are always told
    if not poll.poll(0):
        return False
    console.abandon(sys.stdout)
    return True


def _bug(error: Exception) -> ExitCode:
    traceback.print_exception(error)
    console.fail(
        SmallRTCError(
            f"this is a bug in {PROGRAM}, not in what you typed",
            hint="please report it, with the traceback above",
        )
    )
    return ExitCode.FAILED
