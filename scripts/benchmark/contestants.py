"""The servers that are measured: how each is started, and what it cannot do."""

import sys
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_BOTS = Path(__file__).parent / "bots"
_FASTRTC = Path(sys.prefix) / "fastrtc"
"FastRTC's own environment: what it asks for need not suit the others."


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server with an echo bot: all sound, and every message that is not labelled as RTVI's, comes back."""

    name: str
    command: tuple[str, ...]
    "With `{port}` where the port belongs."

    help: tuple[str, ...] = ()
    path: str = "/api/offer"
    echoes_messages: bool = True

    environment: dict[str, str] = field(default_factory=dict)


def _pipecat(name: str, tuning: str) -> Contestant:
    script = (sys.executable, str(_BOTS / "pipecat_echo.py"))
    command = (*script, "-t", "webrtc", "--host", "127.0.0.1", "--port", "{port}")
    return Contestant(name, command, help=(*script, "--help"), environment={"ECHO_TUNING": tuning})


_SMALLRTC = (sys.executable, "-m", "smallrtc_cli")

SMALLRTC = Contestant(
    "smallrtc", (*_SMALLRTC, "serve", "echo", "--host", "127.0.0.1", "--port", "{port}"), help=(*_SMALLRTC, "--help")
)
PIPECAT = _pipecat("Pipecat", "default")
PIPECAT_TUNED = _pipecat("Pipecat tuned", "best")
AIORTC = Contestant("aiortc", (sys.executable, str(_BOTS / "aiortc_echo.py"), "{port}"))
FASTRTC = Contestant(
    "FastRTC",
    (str(_FASTRTC / "bin" / "python"), str(_BOTS / "fastrtc_echo.py"), "{port}"),
    path="/webrtc/offer",
    echoes_messages=False,
)

USUAL = (SMALLRTC, PIPECAT, PIPECAT_TUNED, AIORTC)


def versions() -> dict[str, str]:
    """Of what is compared, and of what it stands on."""
    names = ("smallrtc-cli", "pipecat-ai", "aiortc", "aioice", "av", "aiohttp")
    return {"Python": sys.version.split()[0]} | {name: found for name in names if (found := _version(name))}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def environment_of_fastrtc() -> Path:
    return _FASTRTC
