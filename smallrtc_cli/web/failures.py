"""What can go wrong on the way to a server, each with its stage and its cure: a kind of `ServerUnreachable`; pure."""

import ssl
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from smallrtc_cli.errors import (
    HostNotFound,
    NoResponse,
    NoSecureConnection,
    ServerUnreachable,
    UnusableAnswer,
    WrongScheme,
)
from smallrtc_cli.protocol.messages import printable
from smallrtc_cli.web.urls import origin, place

FAILURES: Final = (aiohttp.ClientError, OSError, UnicodeError)
"What aiohttp raises on the way; a timeout is an OSError, and a host name that IDNA refuses a UnicodeError."

_LONGEST: Final = 200  # characters of a stranger's sentence that are shown

_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
"OpenSSL's reasons for an answer that is no TLS record; which of them depends on its version and on the bytes."

_TRUST: Final = "`--insecure` trusts it all the same, on a network that you trust"
_CURES: Final = {
    9: "is the clock of this machine right?",  # X509_V_ERR_CERT_NOT_YET_VALID
    10: f"the server needs a new one; {_TRUST}",  # X509_V_ERR_CERT_HAS_EXPIRED
    62: f"use a name that the certificate is for; {_TRUST}",  # X509_V_ERR_HOSTNAME_MISMATCH
    64: f"use a name that the certificate is for; {_TRUST}",  # X509_V_ERR_IP_ADDRESS_MISMATCH
}
"By OpenSSL's verify code (x509_vfy.h); for any other, such as 18 of a self-made certificate, there is `_TRUST`."

_FILTERED: Final = "is the host up, and does a firewall let the port through?"


@dataclass(slots=True)
class Progress:
    """How far a request got: whether there was a connection, and whether it was one that was kept alive."""

    connected: bool = False
    reused: bool = False


def is_dropped(error: Exception) -> bool:
    """The server closed the connection before it said anything."""
    return isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError) or (
        isinstance(error, aiohttp.ClientOSError) and not isinstance(error, aiohttp.ClientConnectorError)
    )


def unreachable(url: URL, error: Exception, timeout: float, *, connected: bool) -> ServerUnreachable:
    """What an error of `FAILURES` means; `connected` is whether the server was reached before it."""
    where = place(url)
    match error:
        case TimeoutError() if connected:
            return NoResponse(f"`{where}` did not answer within {timeout:g} s")
        case TimeoutError():
            return NoResponse(f"no connection to `{where}` within {timeout:g} s", hint=_FILTERED)
        case aiohttp.ClientConnectorDNSError() | UnicodeError():
            return HostNotFound(f"the host `{url.host}` cannot be found (`{where}`)")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return _insecure(url, error)
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return ServerUnreachable(f"nothing listens at `{where}`: connection refused")
        case aiohttp.ClientConnectorError() if (
            isinstance(error.os_error, ConnectionResetError) and url.scheme == "https"
        ):
            return NoSecureConnection(f"no secure connection to `{where}`: the server closed it in the handshake")
        case aiohttp.ClientConnectorError():
            return ServerUnreachable(f"no connection to `{where}`: {_words(error.os_error)}")
        case aiohttp.ServerDisconnectedError() | OSError():
            return ServerUnreachable(f"`{where}` closed the connection without an answer")
        case _:
            return ServerUnreachable(f"`{where}` does not answer in HTTP", hint=UnusableAnswer.hint)


def _insecure(url: URL, error: Exception) -> ServerUnreachable:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    failed = f"no secure connection to `{place(url)}`"
    if getattr(cause, "reason", None) in _NOT_TLS:
        return WrongScheme(f"{failed}: it does not speak TLS", hint=f"use `{origin(url, 'http')}`")
    words = getattr(cause, "verify_message", None) or getattr(cause, "reason", None) or str(cause)
    sentence = printable(str(words).lower().replace("_", " ").removesuffix("."), _LONGEST)
    code = getattr(cause, "verify_code", 0)
    return NoSecureConnection(f"{failed}: {sentence}", hint=_CURES.get(code, _TRUST) if code else None)


def _words(error: OSError) -> str:
    return printable((error.strerror or str(error)).lower(), _LONGEST)
