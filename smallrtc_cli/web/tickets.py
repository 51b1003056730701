"""The way of Pipecat's prebuilt client past the token: it cannot send one, so its page gets a cookie.

The cookie holds a value of this process, not the token; scripts cannot read it, and the browser sends it with
requests of this site's own pages only. It is worth what the token is worth until the server ends.
"""

import secrets

from aiohttp import web

from smallrtc_cli.web.guard import same_secret


class Tickets:
    """Given to whoever came with the token."""

    def __init__(self) -> None:
        self._value = secrets.token_urlsafe(32)

    def give(self, request: web.Request, response: web.StreamResponse) -> None:
        response.set_cookie(_name(request), self._value, httponly=True, samesite="Strict", secure=request.secure)

    def has(self, request: web.Request) -> bool:
        return same_secret(request.cookies.get(_name(request), ""), self._value)


def _name(request: web.Request) -> str:
    """Cookies do not tell ports apart, and two servers on one machine must not take each other's."""
    return f"smallrtc_ticket_{request.url.port}"
