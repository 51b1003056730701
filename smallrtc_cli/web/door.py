"""What a server opens beside its offers: one value, made by the command; the defaults are those of `loopback`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.protocol.messages import JSONObject
from smallrtc_cli.web.rates import Rate
from smallrtc_cli.web.sessions import Sessions


def _nothing_more() -> JSONObject:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Who may come in, and what is shown to them."""

    token: str | None = field(default=None, repr=False)
    "Asked for as `Authorization: Bearer` or `?token=`, by everything but the page's static files."

    allowed_origins: frozenset[str] = frozenset()
    "From `guard.parse_origins`: pages of these origins may call."

    names: frozenset[str] = frozenset()
    "Names of this machine, in lower case, by which it may be reached; `places.local_names()` has them."

    sessions: Sessions = field(default_factory=Sessions)
    "Those that `/start` makes; the supervisor of the bots is given the same object."

    ice_servers: tuple[IceServerSpec, ...] = ()
    "Told to clients by `/start`, with credentials."

    rate: Rate = Rate()  # noqa: RUF009  # frozen
    "Of offers, and again of starts, for each client address."

    page: Path | None = None
    "The folder of the page, `page.PAGE`; with it there is `/client`, too."

    client: Path | None = None
    "The folder of Pipecat's client, from `page.prebuilt_client()`."

    status: Callable[[], JSONObject] = _nothing_more
    "More fields for `GET /status`."

    stats: Callable[[], Awaitable[JSONObject]] | None = None
    "The answer to `GET /stats`."

    metrics: Callable[[], Awaitable[str] | str] | None = None
    "The answer to `GET /metrics`, in Prometheus' text format."
