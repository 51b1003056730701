"""STUN and TURN servers as flags, variables and `/start` write them, as values.

The grammar is Pipecat's: a bare URL, a JSON object `{urls, username?, credential?}`, a JSON array of either,
or URLs with commas between them. Credentials are kept out of `repr`, logs and errors.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from smallrtc_cli.errors import UsageError
from smallrtc_cli.protocol.messages import JSONObject, MalformedJSON, json_kind, parse_json, printable

HINT: Final = 'an ICE server is `stun:host:port`, or `{"urls": "turn:host:port", "username": …, "credential": …}`'

_KEYS: Final = ("urls", "username", "credential")
_URL = re.compile(
    r"(stuns?|turns?):([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(\?transport=(udp|tcp))?",
    re.IGNORECASE,
)  # RFC 7064 and RFC 7065, section 3.1 of each


@dataclass(frozen=True, slots=True)
class IceServerSpec:
    """One entry of `iceServers`, as in W3C's RTCConfiguration."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    def to_dict(self) -> JSONObject:
        """For `iceConfig`; `urls` is always an array, the only form that iOS and Android decode (P30)."""
        entry: JSONObject = {"urls": list(self.urls)}
        named = {"username": self.username, "credential": self.credential}
        return entry | {key: value for key, value in named.items() if value is not None}


def parse_ice_servers(source: str | Iterable[str]) -> tuple[IceServerSpec, ...]:
    """Read the text of a variable, or the tokens of a repeated flag; raises `UsageError`."""
    texts = [source] if isinstance(source, str) else source
    return tuple(server for text in texts for server in _servers(text.strip()))


def ice_server(entry: object) -> IceServerSpec:
    """Read one entry that is already JSON: a URL or an object; raises `UsageError`."""
    if isinstance(entry, str):
        return IceServerSpec((_url(entry),))
    if not isinstance(entry, Mapping):
        raise UsageError(f"an ICE server is {json_kind(entry)}, not a URL or an object", hint=HINT)
    unknown = sorted(str(key) for key in entry if key not in _KEYS)
    if unknown:
        raise UsageError(f"an ICE server has the unknown key `{printable(unknown[0])}`", hint=HINT)
    return IceServerSpec(_urls(entry.get("urls")), _text(entry, "username"), _text(entry, "credential"))


def _servers(text: str) -> list[IceServerSpec]:
    if not text.startswith(("[", "{")):
        return [ice_server(url.strip()) for url in text.split(",") if url.strip()]
    try:
        value = parse_json(text)
    except MalformedJSON as error:  # does not quote the text: it may hold a credential
        raise UsageError(f"the ICE servers cannot be read: {error}", hint=HINT) from None
    return [ice_server(entry) for entry in (value if isinstance(value, list) else [value])]


def _urls(value: object) -> tuple[str, ...]:
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, str) for entry in entries):
        raise UsageError("an ICE server has no `urls`", hint=HINT)
    return tuple(_url(entry) for entry in entries)


def _url(text: str) -> str:
    if _URL.fullmatch(text):
        return text
    if "@" in text:
        raise UsageError("an ICE server has credentials in its URL", hint=HINT)
    raise UsageError(f"`{printable(text)}` is not the URL of an ICE server", hint=HINT)


def _text(entry: Mapping[str, Any], key: str) -> str | None:
    value = entry.get(key)
    if value is None or isinstance(value, str):
        return value
    raise UsageError(f"the `{key}` of an ICE server is {json_kind(value)}, not a string", hint=HINT)
