"""`smallrtc loopback` as it is typed."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from smallrtc_cli.cli.app import AS_IT_IS, Command, Verbose, app, examples, log
from smallrtc_cli.commands.loopback_limits import DURATION, LIMITS, LONGEST, SHORTEST, parse_duration
from smallrtc_cli.errors import ExitCode, UsageError
from smallrtc_cli.report.checks import Limit

_MOST_REPEATS = 1000


def _limits(limits: Sequence[Limit], columns: int) -> str:
    """The table of limits and their defaults, from the limits themselves; meanings go below where they do not fit."""
    name = max(len(limit.name) for limit in limits)
    bound = max(len(str(limit)) for limit in limits)
    rows = [(f"  {limit.name:<{name}}  {limit!s:<{bound}}", limit.meaning) for limit in limits]
    beside = all(len(f"{row}  {meaning}") <= columns for row, meaning in rows)
    between = "  " if beside else "\n      "
    lines = [f"{row if beside else row.rstrip()}{between}{meaning}" for row, meaning in rows]
    return "\n".join([AS_IT_IS, "Limits (for --limit) and their defaults:", *lines])


def _repeats(text: str) -> int:
    repeats = int(text) if str(text).isdecimal() else 0  # typer hands the default in, too: a number
    if not 1 <= repeats <= _MOST_REPEATS:
        raise UsageError(
            f"`--repeat {text}` is no number of runs", hint=f"give a whole number from 1 to {_MOST_REPEATS}"
        )
    return repeats


@app.command(
    cls=Command,
    epilog=_limits(LIMITS, shutil.get_terminal_size().columns)
    + "\n\n"
    + examples(
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
    log(context, verbose)
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
