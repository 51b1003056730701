"""Why a STUN or TURN server gave nothing, told apart by what can be done about it; pure."""

import errno
import os
import re
import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aioice import stun

from smallrtc_cli.protocol.messages import printable

_LONGEST: Final = 120  # characters of a stranger's words that are shown
_UNAUTHORIZED: Final = 401


class Reason(StrEnum):
    """What kind of refusal it is."""

    NAME = "name"
    "The host has no address."
    REFUSED = "refused"
    "Nothing listens at the port."
    SILENT = "silent"
    UNAUTHORIZED = "unauthorized"
    CERTIFICATE = "certificate"
    "Nobody vouches for it, it has expired, or it is for another name."
    TLS = "tls"
    "No TLS connection came about, for another reason."
    SAID_NO = "said-no"
    "A STUN error other than 401."
    BROKEN = "broken"
    "The network, or an answer that is none."


@dataclass(frozen=True, slots=True)
class Refusal:
    """A kind, and the words of whoever refused."""

    reason: Reason
    words: str = ""


def refusal(error: BaseException) -> Refusal:
    """What an error of an attempt means."""
    match error:
        case TimeoutError() | stun.TransactionTimeout():
            return Refusal(Reason.SILENT)
        case stun.TransactionFailed():
            return _said(error.response)
        case socket.gaierror() | UnicodeError():
            return Refusal(Reason.NAME)
        case ssl.SSLCertVerificationError():
            return Refusal(Reason.CERTIFICATE, _plain(error.verify_message))
        case ssl.SSLError():
            return Refusal(Reason.TLS, _plain(error.reason or str(error)))
        case OSError():
            return _network(error)
        case _:
            return Refusal(Reason.BROKEN, _plain(str(error) or type(error).__name__))


def _said(response: stun.Message) -> Refusal:
    code, words = response.attributes.get("ERROR-CODE", (0, ""))
    reason = Reason.UNAUTHORIZED if code == _UNAUTHORIZED else Reason.SAID_NO
    return Refusal(reason, f"{code} {printable(words, _LONGEST)}".strip())


def _network(error: OSError) -> Refusal:
    """asyncio joins the errors of several addresses into one that has no number of its own."""
    numbers = [error.errno] if error.errno else [int(each) for each in re.findall(r"\[Errno (\d+)\]", str(error))]
    if errno.ECONNREFUSED in numbers:
        return Refusal(Reason.REFUSED)
    return Refusal(Reason.BROKEN, _plain(os.strerror(numbers[0]) if numbers else str(error)))


def _plain(words: str) -> str:
    return printable(words.lower().replace("_", " ").removesuffix("."), _LONGEST)
