"""What runs here: versions, and the variables that change how it runs."""

import platform
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from cryptography.hazmat.backends.openssl.backend import backend

import smallrtc_cli
from smallrtc_cli.errors import UsageError
from smallrtc_cli.protocol.messages import printable
from smallrtc_cli.protocol.packet_sizes import chosen_sctp_chunk
from smallrtc_cli.report.stages import Mark, Stage

NAME: Final = "versions"

_CHUNK_VARIABLES: Final = ("SMALLRTC_SCTP_MAX_CHUNK_SIZE", "PIPECAT_SCTP_MAX_CHUNK_SIZE")
"The first that is set wins."

_SAFE_CHUNK: Final = 1164
"Bytes that fit into 1280, the least MTU of IPv6, with all headers; 1184 over IPv4."


@dataclass(frozen=True, slots=True)
class Software:
    """Versions by name, in the order in which they are shown, and the variables of the environment."""

    versions: Mapping[str, str]
    environment: Mapping[str, str]


def software(environment: Mapping[str, str]) -> Software:
    """What is installed. Two OpenSSLs: Python's own makes TLS, that of `cryptography` DTLS."""
    libraries = {name: _version(name) for name in ("aiortc", "aioice", "av")}
    own = {"smallrtc": smallrtc_cli.__version__, "Python": platform.python_version()}
    return Software(
        own
        | libraries
        | {"OpenSSL": f"{_number(backend.openssl_version_text())} (TLS: {_number(ssl.OPENSSL_VERSION)})"},
        environment,
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "without metadata"


def _number(text: str) -> str:
    """`OpenSSL 3.0.19 27 Jan 2026` and LibreSSL's like."""
    return text.removeprefix("OpenSSL ").split(" ")[0] if text.startswith("OpenSSL ") else text


def judge(found: Software) -> Stage:
    """Name all; a chunk size that is no number fails, one that is too large for some paths is worth a word."""
    listed = ", ".join(f"{name} {number}" for name, number in found.versions.items())
    try:
        chunk = chosen_sctp_chunk(None, found.environment)
    except UsageError as error:
        return Stage(NAME, Mark.FAIL, f"{error}; {listed}", error.hint)
    variable = next((name for name in _CHUNK_VARIABLES if found.environment.get(name)), None)
    by = f" (`{variable}`)" if variable else ""
    detail = f"{listed}; SCTP chunk: {chunk or 'automatic'}{by}{_others(found.environment)}"
    if chunk is not None and chunk > _SAFE_CHUNK:
        cure = f"paths with an MTU of 1280 stall above {_SAFE_CHUNK}: unset it, and each connection takes what fits"
        return Stage(NAME, Mark.WARN, detail, cure)
    return Stage(NAME, Mark.OK, detail)


def _others(environment: Mapping[str, str]) -> str:
    """By their names: a value may be a secret."""
    ours = sorted(n for n in environment if n.startswith(("SMALLRTC_", "PIPECAT_")) and n not in _CHUNK_VARIABLES)
    return f"; set: {', '.join(f'`{printable(name)}`' for name in ours)}" if ours else ""
