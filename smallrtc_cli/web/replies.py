"""What a server said: read as JSON, followed elsewhere, or told on as a refusal with the server's own sentence.

Errors name host and port; never a header, a body, or the rest of the URL.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from yarl import URL

from smallrtc_cli.errors import OfferRefused, UnusableAnswer
from smallrtc_cli.protocol.messages import MalformedJSON, parse_json, printable
from smallrtc_cli.web.urls import START_PATH, origin, place

_LONGEST: Final = 200  # characters of a stranger's sentence that are shown

_REFUSAL_CURES: Final = {
    401: "give the server's token with `--token`, or the whole URL that `smallrtc serve` printed",
    403: "does the server allow this host name and this origin?",
    404: UnusableAnswer.hint,
    405: UnusableAnswer.hint,
}

_HEAD: Final = 4096  # bytes of a page in which its title is looked for
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, read to its end."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


def json_of(url: URL, reply: Reply) -> Any:
    """The body of a reply; raises `UnusableAnswer` if that is no JSON."""
    try:
        return parse_json(reply.body)
    except MalformedJSON:
        page = " but an HTML page" if reply.body.lstrip().startswith(b"<") else ""
        raise UnusableAnswer(f"what `{place(url)}` answered{_asked(url)} is not JSON{page}") from None


def redirected(url: URL, reply: Reply) -> URL:
    """Where a redirect leads, or `OfferRefused`.

    Only 307 and 308 keep method and body, and only the same host is trusted with them.
    """
    location = reply.headers.get("Location")
    try:
        target = url.join(URL(location or ""))
    except ValueError:
        raise refused(url, reply) from None
    if not location or not target.host:
        raise refused(url, reply)
    as_secure = target.scheme in {url.scheme, "https"}
    if reply.status in {307, 308} and target.host == url.host and as_secure:
        return target
    raise OfferRefused(
        f"`{place(url)}` redirects to `{origin(target)}`",
        status=reply.status,
        hint="use that URL if you trust it",
    )


def refused(url: URL, reply: Reply) -> OfferRefused:
    """What the server says no with."""
    detail, hint = _detail(reply)
    sentence = f"`{place(url)}` refused{_asked(url)} with status {reply.status}: {detail}"
    return OfferRefused(sentence, status=reply.status, hint=_cure(reply, hint))


def _cure(reply: Reply, theirs: str | None) -> str | None:
    """The server's hint is the better one, but for 401: the token is given by an option here."""
    ours = _REFUSAL_CURES.get(reply.status)
    hint = ours if reply.status == 401 else theirs or ours
    wait = reply.headers.get("Retry-After", "")
    if reply.status in {429, 503} and re.fullmatch(r"[0-9]{1,5}", wait, re.ASCII):
        return f"{hint}; try again in {int(wait)} s" if hint else f"try again in {int(wait)} s"
    return hint


def _detail(reply: Reply) -> tuple[str, str | None]:
    """The server's sentence and hint: `detail` (ours, FastAPI's), `info` (Pipecat Cloud's), its text, or its title."""
    fallback = printable(reply.reason.lower(), _LONGEST) or "no reason given"
    try:
        body = parse_json(reply.body)
    except MalformedJSON:
        return _text(reply.body) or fallback, None
    if not isinstance(body, dict):
        return fallback, None
    said = (_sentence(body.get(key)) for key in ("detail", "info", "error", "message"))
    hint = body.get("hint")
    return next(filter(None, said), fallback), printable(hint, _LONGEST) if isinstance(hint, str) else None


def _text(body: bytes) -> str:
    """Plain text on one line; of an HTML page, which proxies send, its title."""
    text = " ".join(body[:_HEAD].decode(errors="replace").split())
    if text.startswith("<"):
        title = _TITLE.search(text)
        text = html.unescape(title[1]).strip() if title else ""
    return printable(text, _LONGEST)


def _sentence(detail: Any) -> str | None:
    match detail:
        case str(text):
            return printable(text, _LONGEST)
        case [{"msg": str(text), "loc": [*_, field]}, *_]:  # FastAPI's validation errors
            return printable(f"{field}: {text}", _LONGEST)
        case _:
            return None


def _asked(url: URL) -> str:
    """Which request it was, where that is not the offer."""
    return f" `{START_PATH}`" if url.raw_path.endswith(START_PATH) else ""
