"""What a bot is called with."""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what a bot is loaded with is no reason to load aiortc, if the bot does not
    from smallrtc_cli.rtc.connection import SmallWebRTCConnection

_OPTION = re.compile(r"--?([A-Za-z][\w-]*)(?:=(.*))?", re.DOTALL)


class CliArguments(argparse.Namespace):
    """What was typed after `--`, in both shapes that bots want.

    As a sequence of strings, for a parser of the bot's own: `parser.parse_args(runner_args.cli_args)`. And as
    attributes, as Pipecat's bots read it: `-- --voice alloy --fast` gives `cli_args.voice == "alloy"` and
    `cli_args.fast is True`. An option that was not typed is no attribute, as the bot's parser is not known here.
    """

    def __init__(self, argv: Sequence[str] = (), **runner: Any) -> None:
        """`runner` are options of the command itself, such as `host`, that a bot may look at; what was typed wins."""
        super().__init__(**{**runner, **_options(argv)})
        self._argv = tuple(argv)

    def __iter__(self) -> Iterator[str]:
        return iter(self._argv)

    def __len__(self) -> int:
        return len(self._argv)

    def __getitem__(self, index: int) -> str:
        return self._argv[index]


def _options(argv: Sequence[str]) -> dict[str, str | bool]:
    """`--name value` and `--name=value` are strings, `--name` alone is True; other words are not options."""
    found: dict[str, str | bool] = {}
    words = list(argv)
    while words:
        option = _OPTION.fullmatch(words.pop(0))
        if option is None:
            continue
        name, value = option[1].replace("-", "_"), option[2]
        if value is None and words and not _OPTION.fullmatch(words[0]):
            value = words.pop(0)
        found[name] = True if value is None else value
    return found


@dataclass(slots=True)
class SmallWebRTCRunnerArguments:
    """The one argument of `async def bot(runner_args)`, with the names of Pipecat's runner."""

    webrtc_connection: "SmallWebRTCConnection"
    body: Any = field(default_factory=dict)
    "What the client sent as `requestData`; `{}` if nothing."

    session_id: str | None = None
    handle_sigint: bool = False
    handle_sigterm: bool = False
    pipeline_idle_timeout_secs: int = 300
    cli_args: Any = None
    "A `CliArguments` where the command line runs the bot."
