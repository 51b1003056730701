"""What was typed, and what of it can be known to be wrong before anybody is called."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from smallrtc_cli.commands.network import NetworkOptions
from smallrtc_cli.errors import UsageError
from smallrtc_cli.protocol.messages import MalformedJSON, parse_json

PIPE = "-"
"Standard input or output in the place of a file."


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectOptions:
    """The command line; None or an empty tuple stands for what was not typed. Times are seconds."""

    url: str
    headers: tuple[str, ...] = ()
    token: str | None = None
    body: str | None = None
    insecure: bool = False
    network: NetworkOptions = field(default_factory=NetworkOptions)
    audio_codec: str | None = None
    video_codec: str | None = None
    wait_for_ice_gathering: bool = False
    reconnect: int = 3
    restart_after: float | None = None
    expect_audio: float | None = None

    input_device: str | None = None
    output_device: str | None = None
    no_input: bool = False
    no_output: bool = False
    play_from: str | None = None
    raw_rate: int = 48_000
    loop: bool = False
    exit_after_play: bool = False
    record_to: str | None = None
    duration: float | None = None
    video_from: str | None = None
    record_video: Path | None = None
    aec: bool = True
    push_to_talk: bool = False

    json_lines: bool = False
    stats: float | None = None
    texts: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    expects: tuple[str, ...] = ()
    expect_timeout: float = 10.0

    @property
    def is_script(self) -> bool:
        """Whether it waits for something in particular, and a bot that leaves before is a failure."""
        return bool(self.expects or self.duration or self.exit_after_play or self.expect_audio)


def check(options: ConnectOptions) -> None:
    """Raises `UsageError` for options that contradict each other."""
    for option, needed, given in (
        ("--loop", "--play-from", not options.loop or options.play_from),
        ("--exit-after-play", "--play-from", not options.exit_after_play or options.play_from),
    ):
        if not given:
            raise UsageError(f"`{option}` needs `{needed}`", hint="name the file to play, or `-` for standard input")
    for one, other, both in (
        ("--loop", "--exit-after-play", options.loop and options.exit_after_play),
        ("--loop", "--play-from -", options.loop and options.play_from == PIPE),
        ("--input-device", "--play-from", options.input_device and options.play_from),
        ("--input-device", "--no-input", options.input_device and options.no_input),
        ("--output-device", "--no-output", options.output_device and options.no_output),
        ("--play-from", "--no-input", options.play_from and options.no_input),
        ("--json-lines", "--record-to -", options.json_lines and options.record_to == PIPE),
    ):
        if both:
            raise UsageError(f"`{one}` and `{other}` contradict each other", hint="leave one of them out")


def check_pipes(options: ConnectOptions, stdin: TextIO | None, stdout: TextIO) -> None:
    """Raises `UsageError` where `-` would be a terminal: its keys are no sound, and sound is nothing to read."""
    if options.play_from == PIPE and (stdin is None or stdin.isatty()):
        what = "is closed" if stdin is None else "is a terminal"
        hint = "let a program write it, as in `ffmpeg -i a.mp3 -f s16le -ac 1 -ar 48000 - | …`, or name the file"
        raise UsageError(f"`--play-from -` reads sound from standard input, and that {what}", hint=hint)
    if options.record_to == PIPE and stdout.isatty():
        hint = "send it to a program or a file, as in `… --record-to - > call.raw`"
        raise UsageError("`--record-to -` writes sound to standard output, and that is a terminal", hint=hint)


def body(text: str | None) -> Any:
    """The request data: JSON, or `@` and the file that has it; None where none was given."""
    if text is None:
        return None
    if not text.startswith("@"):
        return _json(text, "--body")
    path = Path(text[1:])
    try:
        return _json(path.read_text("utf-8"), f"--body {text}")
    except (OSError, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", None) or "it is no text").lower()
        raise UsageError(f"`{path}` cannot be read: {reason}", hint="`--body @FILE` names a JSON file") from None


def objects(texts: Sequence[str], option: str) -> list[dict[str, Any]]:
    """JSON objects, as `--message` and `--expect` want them."""
    found = [_json(text, option) for text in texts]
    for text, value in zip(texts, found, strict=True):
        if not isinstance(value, dict):
            raise UsageError(f"`{option} {text}` is no JSON object", hint=f"write it like `{option} '{{\"a\": 1}}'`")
    return found


def _json(text: str, option: str) -> Any:
    try:
        return parse_json(text.encode(errors="surrogateescape"))  # the bytes that were typed
    except MalformedJSON as error:
        hint = f"quote it for the shell: `{option} '{json.dumps({'a': 1})}'`"
        raise UsageError(f"what `{option}` is given is not JSON: {error}", hint=hint) from None
