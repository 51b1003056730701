"""From what was typed to an exit code: the one place where an error becomes words."""

import contextlib
import os
import select
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, cast

import typer
import typer.main

from smallrtc_cli import console
from smallrtc_cli.cli.app import PROGRAM, app
from smallrtc_cli.cli.wording import usage_error
from smallrtc_cli.commands import garbage
from smallrtc_cli.errors import CannotRun, ExitCode, SmallRTCError

_COMPLETION_VARIABLE = "_SMALLRTC_COMPLETE"  # typer's name for it: set by the shell, never by people
_MISTYPED = cast("type[Exception]", typer.BadParameter.__base__)  # click's UsageError, wherever typer keeps it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; without arguments those of this process, which may end here."""
    if arguments is not None:
        return _run(list(arguments))
    code = _run(sys.argv[1:])
    sound = sys.modules.get("smallrtc_cli.audio.portaudio")
    if sound is not None and sound.is_busy():
        _end(code)
    return code


def _run(arguments: list[str]) -> int:
    """What goes wrong is shown here, once."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode gets `?`, not a traceback
    try:
        with garbage.put_off():
            code = _invoke(arguments)
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


def _end(code: int) -> NoReturn:
    """Without Python's own end, which some threads do not survive."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


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
        raise usage_error(error, f"{PROGRAM} {named}" if named else PROGRAM) from error


def _parted(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What follows `--` belongs to the bot of `serve`; other commands have no use for it."""
    if "--" not in arguments or "serve" not in arguments[: arguments.index("--")]:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


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
