"""What was typed, and what of it can be known to be wrong before anybody is called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smallrtc_cli.commands.network import NetworkOptions
from smallrtc_cli.errors import UsageError
from smallrtc_cli.protocol.packet_sizes import chosen_sctp_chunk

VARIABLE = "PIPECAT_SCTP_MAX_CHUNK_SIZE"
"Pipecat reads it, and so do we."

PIPECAT_CHUNK = 1100
"What Pipecat takes where nothing is set."


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """The command line; None or an empty tuple stands for what was not typed. Times are seconds."""

    url: str | None = None
    headers: tuple[str, ...] = ()
    token: str | None = None
    body: str | None = None
    insecure: bool = False
    network: NetworkOptions = field(default_factory=NetworkOptions)
    json: bool = False
    json_lines: bool = False
    write_env: Path | None = None
    watch: float | None = None
    confirm: int = 1
    listen: bool = False
    host: str = "localhost"
    port: int = 7860


@dataclass(frozen=True, slots=True)
class Present:
    """The size that is in use before anything has been measured."""

    chunk: int
    source: str | None
    "The option or variable that sets it; None: Pipecat's own."


def check(options: ProbeOptions) -> None:
    """Raises `UsageError` for options that contradict each other."""
    if options.url is None and not options.listen:
        raise UsageError("`probe-mtu` needs the URL of a server", hint="or `--listen`, to answer probes here")
    for one, other, both in (
        ("URL", "--listen", options.url is not None and options.listen),
        ("--json", "--json-lines", options.json and options.json_lines),
        ("--json", "--watch", options.json and options.watch is not None),
        ("--json", "--listen", options.json and options.listen),
        ("--watch", "--listen", options.watch is not None and options.listen),
        ("--write-env", "--listen", options.write_env is not None and options.listen),
    ):
        if both:
            raise UsageError(f"`{one}` and `{other}` contradict each other", hint="leave one of them out")


def present(flag: str | None, environment: Mapping[str, str]) -> Present:
    """What `--sctp-chunk` or the environment says, or Pipecat's own size; raises `UsageError`."""
    chunk = chosen_sctp_chunk(flag, environment)
    if chunk is None:
        return Present(PIPECAT_CHUNK, None)
    if flag is not None:
        return Present(chunk, "--sctp-chunk")
    named = ("SMALLRTC_SCTP_MAX_CHUNK_SIZE", VARIABLE)
    return Present(chunk, next(name for name in named if environment.get(name)))
