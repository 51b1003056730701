"""What people type to name a server, as the URLs that requests go to; pure.

    localhost:7860, https://host/path          begin at <path>/start; where there is none, offer to <path>/api/offer
    https://host/path/client/                  the same: the page of Pipecat's runner
    https://host/path/start                    begin there, and nowhere else
    https://host/path/api/offer                offer there
    https://host/path/sessions/ID[/api/offer]  offer there, in that session

A query goes along with every request: it may hold the token that `smallrtc serve` prints in its address.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from yarl import URL

from smallrtc_cli.errors import UsageError
from smallrtc_cli.protocol.messages import printable

OFFER_PATH: Final = "/api/offer"
START_PATH: Final = "/start"
STATUS_PATH: Final = "/status"

_SESSION = re.compile(r"/sessions/([^/]+)$")
_PAGE: Final = "/client"
_HINT: Final = "a server's URL looks like `http://localhost:7860`"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to begin a session, and where to offer without one."""

    offer: URL
    start: URL | None = None
    "Where a session is begun; None where the URL says that offers go out at once."

    offer_will_do: bool = False
    "Whether a server without `/start` is one to offer to directly."

    session_id: str | None = None
    "The session that the URL itself names."


def parse_url(text: str) -> Target:
    """Read any of the forms above; raises `UsageError`."""
    url = _http_url(text)
    path = url.raw_path.rstrip("/")
    if path.endswith(START_PATH):
        return Target(_at(url, path.removesuffix(START_PATH) + OFFER_PATH), start=url)
    base = path.removesuffix(OFFER_PATH)
    session = _SESSION.search(base)
    if session or base != path:
        return Target(_at(url, base + OFFER_PATH), session_id=unquote(session[1]) if session else None)
    base = base.removesuffix(_PAGE)
    return Target(_at(url, base + OFFER_PATH), start=_at(url, base + START_PATH), offer_will_do=True)


def session_url(start: URL, session_id: str) -> URL:
    """Where the offers of a session go: `/start` in the URL gives way to it, as in Pipecat's client."""
    base = start.raw_path.rstrip("/").removesuffix(START_PATH)
    return _at(start, f"{base}/sessions/{quote(session_id, safe='')}{OFFER_PATH}")


def status_url(target: Target) -> URL:
    """Where a server of ours, or Pipecat's runner, tells what it is."""
    base = target.offer.raw_path.removesuffix(OFFER_PATH)
    return _at(target.offer, _SESSION.sub("", base) + STATUS_PATH)


def place(url: URL) -> str:
    """Host and port, which is all of a URL that errors show: the rest may hold secrets."""
    return f"{url.host_subcomponent}:{url.port}"


def origin(url: URL, scheme: str | None = None) -> str:
    """Scheme, host and port, without a port that goes without saying; with another scheme if one is given."""
    shown = URL.build(scheme=scheme or url.scheme, host=url.host or "", port=url.port)
    return printable(str(shown).removesuffix("/"), 200)


def is_loopback(url: URL) -> bool:
    """Whether the server is on this machine by its name, so that no STUN server is needed to reach it."""
    host = (url.host or "").lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _http_url(text: str) -> URL:
    text = text.strip()
    try:
        url = URL(text if "://" in text else f"http://{text}")
        port = url.port
    except ValueError:
        raise UsageError(f"`{printable(text)}` is not a URL", hint=_HINT) from None
    if url.scheme not in {"http", "https"} or not url.host or not port or " " in url.host:
        raise UsageError(f"`{printable(text)}` is not an http or https URL", hint=_HINT)
    return url.with_fragment(None)


def _at(url: URL, path: str) -> URL:
    return url.with_path(path, encoded=True, keep_query=True)
