"""The typer application, and what all commands share: options, examples, help that is laid out plainly.

Without rich: importing that takes longer than all the rest.
"""

import sys
from dataclasses import dataclass
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from smallrtc_cli import console
from smallrtc_cli.errors import ExitCode

PROGRAM = "smallrtc"
AS_IT_IS = "\b"
"Tells click not to wrap the paragraph anew."


_ORDER = ("serve", "connect", "loopback", "probe-mtu", "doctor", "devices")


class Group(TyperGroup):
    """All that its parsing writes is help, to stdout."""

    def list_commands(self, context: Any) -> list[str]:  # noqa: ARG002
        """In the order in which they are needed, not in which they were loaded."""
        return [name for name in _ORDER if name in self.commands]

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with console.writing(sys.stdout, "stdout"):
            return super().make_context(*args, **kwargs)


class Command(TyperCommand):
    """As `Group`."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with console.writing(sys.stdout, "stdout"):
            return super().make_context(*args, **kwargs)


app = typer.Typer(
    name=PROGRAM,
    cls=Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def examples(*pairs: tuple[str, str]) -> str:
    """An epilog's last paragraph: what it does, then the command line."""
    return "\n".join([AS_IT_IS, "Examples:", *(f"  # {what}\n  {line}" for what, line in pairs)])


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
class Typed:
    """What a command gets from before and behind it."""

    verbose: int
    behind: tuple[str, ...]
    "What was typed after `--`."


@app.callback(
    invoke_without_command=True,
    epilog=examples(
        ("is the audio path of this machine healthy? a real call, measured", "smallrtc loopback"),
        ("run the bot in bot.py, with a page to talk to it", "smallrtc serve"),
        ("talk to it from this terminal", "smallrtc connect localhost:7860"),
        ("why does a call not work here?", "smallrtc doctor localhost:7860"),
        ("what a command can do", "smallrtc connect --help"),
    ),
)
def smallrtc(context: typer.Context, verbose: Verbose = 0, version: Version = False) -> None:  # noqa: ARG001
    """Run, call and diagnose a real-time voice bot over peer-to-peer WebRTC.

    Exit codes: 0 all is well, 1 a check failed, 2 a usage error, 3 it could not run, 4 inconclusive,
    130 Ctrl-C.
    """
    context.obj = Typed(verbose, tuple(context.obj or ()))
    if context.invoked_subcommand is None:
        console.say(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def log(context: typer.Context, verbose: int) -> None:
    """`-v` counts before the command and after it."""
    console.logging_setup(cast("Typed", context.obj).verbose + verbose)
