"""The HTTP door of the dialing side: an `Exchange` whose other end is a server somewhere.

Whatever goes wrong on the way is `ServerUnreachable`, whatever the server says no to is `OfferRefused` with
the server's own sentence; both name host and port, never headers or bodies.
"""

from collections.abc import Mapping
from typing import Self

from yarl import URL

from smallrtc_cli.protocol.signalling import Answer, SmallWebRTCPatchRequest, SmallWebRTCRequest, parse_answer
from smallrtc_cli.web.link import Link
from smallrtc_cli.web.replies import json_of
from smallrtc_cli.web.urls import parse_url, place


class HttpExchange:
    """Offers and candidates to one URL, in any form that `urls` reads; `/start` is for `start.begin` to ask.

    `timeout` bounds each try of a request, in seconds; `verify=False` trusts any certificate. It closes its `link`
    also where that is a given one. Use it with `async with`, or call `close`.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        verify: bool = True,
        link: Link | None = None,
    ) -> None:
        self._url = parse_url(str(url)).offer
        self._link = link or Link(headers, timeout=timeout, verify=verify)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; again is nothing. Requests that come later raise `LinkClosed`."""
        await self._link.close()

    @property
    def place(self) -> str:
        """Host and port of the server, fit to be shown."""
        return place(self._url)

    async def offer(self, request: SmallWebRTCRequest) -> Answer:
        """POST the offer; raises `ServerUnreachable`, `OfferRefused`, or `UnusableAnswer`."""
        return parse_answer(json_of(self._url, await self._link.request("POST", self._url, request.to_dict())))

    async def candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """PATCH later candidates; raises as `offer` does, and with status 404 once the peer is gone."""
        await self._link.request("PATCH", self._url, request.to_dict())
