"""The command line of `smallrtc serve` as values, and what of it cannot be meant."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smallrtc_cli.commands.network import NetworkOptions
from smallrtc_cli.errors import UsageError
from smallrtc_cli.web.guard import parse_origins


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

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server."""
        return self.host in {"localhost", "127.0.0.1", "::1"} or self.host.startswith("127.")

    @property
    def is_secure(self) -> bool:
        """Whether it speaks https."""
        return self.https or self.ssl_certfile is not None


def check(options: ServeOptions, environment: Mapping[str, str]) -> None:
    """Raise `SmallRTCError` for what cannot be meant or had, before anything listens."""
    if options.esp32 and options.is_local:
        raise UsageError("an ESP32 cannot reach `localhost`", hint="give `--host` the address of this machine")
    if options.ssl_keyfile and not options.ssl_certfile:
        raise UsageError("`--ssl-keyfile` needs `--ssl-certfile`", hint="or `--https`, with a self-made certificate")
    for folder in options.reload_dirs:
        if not folder.is_dir():
            raise UsageError(f"`--reload-dir {folder}` is no folder")
    options.network.check(environment)
    if options.record is not None:
        from smallrtc_cli.bots.recorder import require_folder  # brings av

        require_folder(options.record)


def allowed_origins(options: ServeOptions, environment: Mapping[str, str]) -> frozenset[str]:
    """A flag wins over SMALLRTC_ALLOWED_ORIGINS, that over PIPECAT_ALLOWED_ORIGINS; commas part origins there."""
    named = environment.get("SMALLRTC_ALLOWED_ORIGINS") or environment.get("PIPECAT_ALLOWED_ORIGINS") or ""
    given = options.allowed_origins or tuple(part.strip() for part in named.split(",") if part.strip())
    return parse_origins(given)
