"""`/start` as the side that calls sees it: what it is asked for, and what servers answer.

Ours, Pipecat's runner and Pipecat Cloud differ in spelling only. A server that begins calls over something else
than WebRTC from peer to peer says so by its keys, and is refused by name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from smallrtc_cli.errors import UnusableAnswer, UsageError
from smallrtc_cli.protocol.ice_servers import IceServerSpec, ice_server
from smallrtc_cli.protocol.messages import JSONObject, json_kind

MOST_ICE_URLS: Final = 32  # of a server's list; Cloudflare's has eight

_OTHERS: Final = {
    "dailyRoom": "Daily",
    "daily_room": "Daily",
    "room_url": "Daily",
    "wsUrl": "WebSocket",
    "ws_url": "WebSocket",
    "moq": "MoQ",
}
"Keys by which the answer for another transport is known."


@dataclass(frozen=True, slots=True)
class Started:
    """What `/start` answered; `skipped` has a sentence for each ICE server that cannot be used."""

    session_id: str | None = None
    ice_servers: tuple[IceServerSpec, ...] = ()
    skipped: tuple[str, ...] = ()


def start_request(body: Any, *, default_ice_servers: bool) -> JSONObject:
    """The keys that Pipecat's prebuilt client sends; `body` is for the bot."""
    asked = {"transport": "webrtc", "createDailyRoom": False, "enableDefaultIceServers": default_ice_servers}
    return asked if body is None else asked | {"body": body}


def parse_started(data: object) -> Started:
    """Read the answer of `/start`; raises `UnusableAnswer`."""
    if not isinstance(data, Mapping):
        raise UnusableAnswer(f"what `/start` answered is {json_kind(data)}, not an object")
    session_id = _first(data, "sessionId", "session_id")
    if session_id is not None and not isinstance(session_id, str):
        raise UnusableAnswer(f"the `sessionId` that `/start` answered is {json_kind(session_id)}, not a string")
    _require_webrtc(data, session_id)
    servers, skipped = _ice_servers(_first(data, "iceConfig", "ice_config"))
    return Started(session_id or None, servers, skipped)


def _require_webrtc(data: Mapping[str, Any], session_id: str | None) -> None:
    found = next((name for key, name in _OTHERS.items() if data.get(key) is not None), None)
    if found is None and data.get("token") is not None and not (session_id and data.get("url") is None):
        found = "LiveKit"  # has `url` and `token`; a session with a token alone may be anybody's
    if found is not None:
        raise UnusableAnswer(
            f"the server begins its calls over {found}, not over WebRTC from peer to peer",
            hint="start the server for WebRTC; Pipecat's runner takes `-t webrtc`",
        )


def _ice_servers(config: object) -> tuple[tuple[IceServerSpec, ...], tuple[str, ...]]:
    """One value for each URL, so that one that is wrong does not cost the others of its entry."""
    entries = _first(config, "iceServers", "ice_servers") if isinstance(config, Mapping) else config
    if entries is None:
        return (), ()
    if not isinstance(entries, list):
        return (), (f"`iceServers` is {json_kind(entries)}, not an array",)
    servers, skipped = [], []
    for count, (url, secrets) in enumerate(pair for entry in entries for pair in _urls(entry)):
        if count == MOST_ICE_URLS:
            skipped.append(f"there are more than {MOST_ICE_URLS} URLs")
            break
        try:
            servers.append(ice_server({"urls": url} | secrets))
        except UsageError as error:
            skipped.append(str(error))
    return tuple(servers), tuple(skipped)


def _urls(entry: object) -> Iterator[tuple[object, JSONObject]]:
    """The URLs of an entry and what goes with each; further keys, such as `credentialType`, mean nothing to us."""
    if not isinstance(entry, Mapping):
        yield entry, {}
        return
    urls = _first(entry, "urls", "url")
    secrets = {key: entry.get(key) for key in ("username", "credential")}
    for url in urls if isinstance(urls, list) else [urls]:
        yield url, secrets


def _first(body: Mapping[str, Any], *spellings: str) -> Any:
    return next((body[key] for key in spellings if body.get(key) is not None), None)
