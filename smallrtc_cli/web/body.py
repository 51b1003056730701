"""The body of a request: read within a time and a size, as JSON whatever it calls itself."""

import asyncio

from aiohttp import web

from smallrtc_cli.errors import BadRequest, RequestError
from smallrtc_cli.protocol.messages import MalformedJSON, parse_json

_BODY_TIMEOUT = 10.0  # seconds for a request's body; an ESP32 gives its whole exchange as long


class TooSlow(RequestError):
    """The body did not arrive in time."""

    status = 408


async def read(request: web.Request) -> bytes:
    """All of it; raises `TooSlow`, `BadRequest` where it breaks off, or aiohttp's 413."""
    try:
        async with asyncio.timeout(_BODY_TIMEOUT):
            return await request.read()
    except TimeoutError:
        raise TooSlow(f"the body did not arrive within {_BODY_TIMEOUT:g} s") from None
    except (ConnectionError, web.RequestPayloadError):
        raise BadRequest("the body broke off") from None


async def read_json(request: web.Request) -> object:
    """The body as JSON; the content type does not matter: devices send JSON as text, or as nothing in particular."""
    try:
        return parse_json(await read(request))
    except MalformedJSON as error:
        raise BadRequest(f"the body cannot be read: {error}") from None


async def read_json_or_nothing(request: web.Request) -> object:
    """The body as JSON; None where there is none, or none that can be read: `/start` does without."""
    try:
        return parse_json(await read(request))
    except MalformedJSON:
        return None
