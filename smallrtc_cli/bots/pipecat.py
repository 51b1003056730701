"""The door to Pipecat: bots written for it run here unmodified, with its own transport on our connection.

Pipecat is no dependency. Where a bot brings it, the bot is handed Pipecat's own runner arguments, so that
`isinstance` and `create_transport` work; what they carry is our `SmallWebRTCConnection`, which offers all that
Pipecat's `SmallWebRTCTransport` calls.
"""

import ast
import importlib
import sys
from pathlib import Path
from typing import Any

from smallrtc_cli.bots.arguments import SmallWebRTCRunnerArguments


def is_loaded() -> bool:
    """Whether something has imported Pipecat."""
    return "pipecat" in sys.modules


def is_named_in(source: Path) -> bool:
    """Whether a Python file imports Pipecat anywhere, be it within a function; False for what cannot be read."""
    try:
        tree = ast.parse(source.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    return any(name.split(".")[0] == "pipecat" for node in ast.walk(tree) for name in _imported(node))


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module]
        case _:
            return []


def prepare() -> None:
    """Import what `runner_arguments` needs, and have the bot's load pay for it; raises `ImportError`."""
    importlib.import_module("pipecat.runner.types")


def runner_arguments(ours: SmallWebRTCRunnerArguments) -> Any:
    """The same arguments as Pipecat's `SmallWebRTCRunnerArguments`."""
    types = importlib.import_module("pipecat.runner.types")
    theirs = types.SmallWebRTCRunnerArguments(
        webrtc_connection=ours.webrtc_connection, body=ours.body, session_id=ours.session_id
    )
    theirs.handle_sigint = ours.handle_sigint
    theirs.handle_sigterm = ours.handle_sigterm
    theirs.pipeline_idle_timeout_secs = ours.pipeline_idle_timeout_secs
    theirs.cli_args = ours.cli_args
    return theirs
