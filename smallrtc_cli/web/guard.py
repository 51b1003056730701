"""Who may talk to a server on this machine: no foreign page, and no name that was rebound to it (P31).

A browser lets any page send requests to `localhost`, and a hostile name may resolve to 127.0.0.1. Hence two
rules: `Host` names this machine, and `Origin`, which only browsers send, is the server's own or one that was
allowed by name. Where a token is set, it is asked for on top of that.
"""

import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from smallrtc_cli.errors import RequestError, UsageError
from smallrtc_cli.protocol.messages import printable

ANY_ORIGIN: Final = "*"

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


class Forbidden(RequestError):
    """The request comes from where none may come from."""

    status = 403


class Unauthorized(RequestError):
    """The token is missing or wrong."""

    status = 401
    hint = "send `Authorization: Bearer …` or `?token=…`; `smallrtc serve` printed the token in its URLs"


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides from headers; `bound` is the host name or address that the server listens on."""

    bound: str
    origins: frozenset[str] = frozenset()
    "Origins as `parse_origins` gives them: their pages may call, and the server may be reached by their host names."

    names: frozenset[str] = frozenset()
    "Further host names of this machine, in lower case."

    token: str | None = field(default=None, repr=False)

    def check(self, host: str | None, origin: str | None) -> None:
        """Raise `Forbidden` unless `Host` is known and `Origin`, if any, is the same host and port, or allowed."""
        if not host or not self._is_known(_name(host)):
            named = f"`{printable(host)}` is not a name of this server" if host else "the request names no host"
            raise Forbidden(named, hint=f"use {self._own_names()}")
        if origin is not None and not _same_origin(origin, host) and not self.allows(origin):
            raise Forbidden(f"pages of `{printable(origin)}` may not use this server", hint=_allowing(origin))

    def allows(self, origin: str) -> bool:
        """Whether pages of another origin may call, because that was said."""
        return ANY_ORIGIN in self.origins or _normal(origin) in self.origins

    def check_token(self, authorization: str | None, query: str | None) -> None:
        """Raise `Unauthorized` unless the header or the query has the token, if one is set."""
        if self.token is None:
            return
        bearer = _BEARER.fullmatch(authorization or "")
        given = bearer[1] if bearer else query
        if given is None:
            raise Unauthorized("this server asks for a token")
        if not same_secret(given, self.token):
            raise Unauthorized("the token is wrong")

    def _own_names(self) -> str:
        if self.bound.lower() == "localhost":
            return "`localhost`"
        bound = _address(self.bound)
        is_any = bound is not None and bound.is_unspecified
        return f"`localhost` or {'an address of this machine' if is_any else f'`{self.bound}`'}"

    def _is_known(self, name: str) -> bool:
        if name in (self.bound.lower(), "localhost") or name.endswith(".localhost") or name in self.names:
            return True
        if name and self._is_of_an_allowed_origin(name):
            return True
        address, bound = _address(name), _address(self.bound)
        if address is None:
            return False
        # An address cannot be rebound, so that all of them will do where the server listens on all of them.
        return address.is_loopback or address == bound or (bound is not None and bound.is_unspecified)

    def _is_of_an_allowed_origin(self, name: str) -> bool:
        """Behind a tunnel the page comes from the tunnel's host, and so do its requests."""
        return ANY_ORIGIN in self.origins or any(urlsplit(origin).hostname == name for origin in self.origins)


def parse_origins(entries: Iterable[str]) -> frozenset[str]:
    """Read `--allowed-origins`: each `scheme://host[:port]`, or `*` for all; raises `UsageError`."""
    return frozenset(_parsed(entry.strip()) for entry in entries if entry.strip())


def same_secret(given: str, secret: str) -> bool:
    """Compare in a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode(errors="surrogateescape"), secret.encode(errors="surrogateescape"))


def _parsed(entry: str) -> str:
    normal = entry if entry == ANY_ORIGIN else _normal(entry.removesuffix("/"))
    if normal is None:
        raise UsageError(
            f"`{printable(entry)}` is not an origin", hint="an origin looks like `https://app.example`, or is `*`"
        )
    return normal


def _normal(origin: str) -> str | None:
    """The way that browsers write it: lower case, without a default port; None if it is none."""
    match = _ORIGIN.fullmatch(origin.lower())
    if match is None:
        return None
    scheme, host, port = match.groups()
    return f"{scheme}://{host}" + (f":{port}" if port and int(port) != _DEFAULT_PORTS.get(scheme) else "")


def _allowing(origin: str) -> str | None:
    normal = _normal(origin)
    return f"`--allowed-origins {normal}` allows them" if normal else None


def _same_origin(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        default = _DEFAULT_PORTS[parts.scheme]
        there = urlsplit(f"//{host}")
        return parts.hostname == there.hostname and (parts.port or default) == (there.port or default)
    except (ValueError, KeyError):  # not an address, or `null`
        return False


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
