"""The way to a server, from its name to what it says of itself: name, TCP, TLS, `/status`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from yarl import URL

from smallrtc_cli.commands.doctor.bounds import STEP, Tell, Tried, tried
from smallrtc_cli.errors import OfferRefused, ServerUnreachable, SmallRTCError, UnusableAnswer
from smallrtc_cli.protocol.messages import printable
from smallrtc_cli.report.stages import Mark, Stage, skipped
from smallrtc_cli.rtc.addresses import is_literal
from smallrtc_cli.rtc.lookup import look_up
from smallrtc_cli.web.failures import unreachable
from smallrtc_cli.web.link import Link
from smallrtc_cli.web.reach import first_to_connect, handshake
from smallrtc_cli.web.replies import json_of
from smallrtc_cli.web.urls import Target, place, status_url

HOST, TCP, TLS, STATUS = "name", "tcp", "tls", "status"

_SUBJECTS: Final = {HOST: "name", TCP: "TCP", TLS: "TLS", STATUS: "`/status`"}
"The stages in their order, as they are called where they are skipped."

_NONE: Final = frozenset({404, 405, 501})
_REFUSED: Final = frozenset({401, 403})
_LONGEST: Final = 200  # characters of a stranger's words that are shown


@dataclass(frozen=True, slots=True)
class Door:
    """A server to call, and what goes with each request."""

    target: Target
    headers: Mapping[str, str]
    verify: bool = True

    @property
    def host(self) -> str:
        """Its name, as it is looked up and stands in its certificate."""
        return self.target.offer.host or ""

    @property
    def is_secure(self) -> bool:
        """Whether TLS is a stage."""
        return self.target.offer.scheme == "https"


async def examine(door: Door, tell: Tell) -> str | None:
    """Go as far as it goes; what is missing for the rest, or None if the server is reached."""
    told: list[str] = []

    def note(stage: Stage) -> None:
        told.append(stage.name)
        tell(stage)

    missing = await _reached(door, note)
    for name, subject in _SUBJECTS.items():
        if missing is not None and name not in told and (name != TLS or door.is_secure):
            tell(skipped(name, subject, missing))
    return missing


async def _reached(door: Door, tell: Tell) -> str | None:
    url, port = door.target.offer, door.target.offer.port or 0
    named = await tried(_addresses(door.host))
    tell(judge_name(door.host, named))
    if not named.value:
        return "an address"
    reached = await tried(first_to_connect(named.value, port))
    tell(judge_tcp(place(url), reached))
    if reached.value is None:
        return "TCP"
    if door.is_secure:
        secured = await tried(handshake(reached.value, port, door.host, verify=door.verify))
        tell(judge_tls(url, secured, verify=door.verify))
        if secured.value is None:
            return "TLS"
    status = await tried(_status(door), 2 * STEP)  # a request that failed is followed by a look for TLS
    tell(judge_status(place(url), status))
    return "HTTP" if isinstance(status.error, ServerUnreachable | TimeoutError) else None


async def _addresses(host: str) -> tuple[str, ...]:
    return (host,) if is_literal(host) else await look_up(host)


async def _status(door: Door) -> Any:
    url, link = status_url(door.target), Link(door.headers, timeout=STEP, verify=door.verify)
    try:
        return json_of(url, await link.request("GET", url))
    finally:
        await link.close()


def judge_name(host: str, found: Tried[tuple[str, ...]]) -> Stage:
    """Whether the host has an address."""
    if found.value:
        is_one = found.value == (host,)
        detail = f"`{host}` is an address" if is_one else f"`{host}` is {', '.join(found.value)}"
        return Stage(HOST, Mark.OK, detail, None, found.seconds)
    late = isinstance(found.error, TimeoutError)
    detail = f"no answer in {STEP:g} s to who `{host}` is" if late else f"the host `{host}` cannot be found"
    return Stage(HOST, Mark.FAIL, detail, "is the name right, and is this machine online?", found.seconds)


def judge_tcp(where: str, found: Tried[str]) -> Stage:
    """Whether something listens."""
    if found.value is not None:
        return Stage(TCP, Mark.OK, f"`{where}` takes connections (TCP, {found.value})", None, found.seconds)
    match found.error:
        case TimeoutError():
            detail, cure = f"no connection to `{where}` in {STEP:g} s", "is the host up, and the port let through?"
        case ConnectionRefusedError():
            detail, cure = f"nothing listens at `{where}`: connection refused", ServerUnreachable.hint or ""
        case error:
            words = getattr(error, "strerror", None) or str(error)
            detail, cure = f"no connection to `{where}`: {words.lower()}", "is there a route to that host?"
    return Stage(TCP, Mark.FAIL, detail, cure, found.seconds)


def judge_tls(url: URL, found: Tried[str], *, verify: bool) -> Stage:
    """Whether the server's certificate is one to trust, and a version of TLS is had in common."""
    if found.value is not None:
        unchecked = "" if verify else "; its certificate was not checked (`--insecure`)"
        detail = f"`{place(url)}` speaks {found.value}{unchecked}"
        return Stage(TLS, Mark.OK if verify else Mark.WARN, detail, None if verify else _BROWSERS, found.seconds)
    assert found.error is not None
    why = unreachable(url, found.error, STEP, connected=True)
    return Stage(TLS, Mark.FAIL, str(why), why.hint, found.seconds)


_BROWSERS: Final = "browsers check it, and ask their user whether to go on"


def judge_status(where: str, found: Tried[Any]) -> Stage:
    """Who answers: ours, Pipecat's runner, or somebody who need not say."""
    match found.error:
        case None:
            return _server(where, found.value, found.seconds)
        case OfferRefused() as error if error.status not in _NONE:
            mark = Mark.FAIL if error.status in _REFUSED else Mark.WARN
            return Stage(STATUS, mark, str(error), error.hint, found.seconds)
        case OfferRefused() | UnusableAnswer():
            return _stranger(where, found.seconds)
        case SmallRTCError() as error:
            return Stage(STATUS, Mark.FAIL, str(error), error.hint, found.seconds)
        case _:
            detail = f"`{where}` did not answer within {STEP:g} s"
            return Stage(STATUS, Mark.FAIL, detail, "is the server busy, or no HTTP server?", found.seconds)


def _server(where: str, status: Any, seconds: float) -> Stage:
    if not isinstance(status, dict) or "status" not in status:
        return _stranger(where, seconds)
    transports = status.get("transports")
    if isinstance(transports, list) and "webrtc" not in transports:
        detail = f"`{where}` has no WebRTC transport"
        return Stage(STATUS, Mark.WARN, detail, "start Pipecat's runner with `-t webrtc`", seconds)
    if "bot" not in status:
        return Stage(STATUS, Mark.OK, f"`{where}` is Pipecat's runner, or like it", None, seconds)
    who = f"`{where}` is smallrtc {_shown(status.get('version'))}, bot `{_shown(status['bot'])}`"
    if broken := status.get("error"):
        last = str(broken).strip().splitlines()[-1]
        detail = f"{who}, whose last edit is broken: {_shown(last)}"
        return Stage(STATUS, Mark.WARN, detail, "the server's terminal has the traceback", seconds)
    return Stage(STATUS, Mark.OK, who, None, seconds)


def _stranger(where: str, seconds: float) -> Stage:
    return Stage(STATUS, Mark.OK, f"`{where}` has no `/status`, and need not have", None, seconds)


def _shown(value: Any) -> str:
    return printable(str(value), _LONGEST)
