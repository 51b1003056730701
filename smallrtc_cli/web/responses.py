"""What goes out: JSON, or an error as `{"detail": sentence}` with a `hint` if there is a cure, and its true status."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from smallrtc_cli.errors import RequestError, SmallRTCError
from smallrtc_cli.protocol.messages import encode_app, printable
from smallrtc_cli.web.rates import TryLater

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_RETRY_AFTER: Final = 1  # seconds, with 503

logger = logging.getLogger(__name__)


def json_response(body: Mapping[str, object], *, status: int = 200) -> web.Response:
    """A JSON object, with a Content-Length: an ESP32 cannot read chunks."""
    response = web.Response(text=encode_app(body), status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def refusal(error: SmallRTCError, status: int) -> web.Response:
    """The sentence and the hint of an error, with what its status asks for."""
    body = {"detail": str(error)} | ({"hint": error.hint} if error.hint else {})
    response = json_response(body, status=status)
    if isinstance(error, TryLater):
        response.headers["Retry-After"] = str(error.retry_after)
    elif status == 503:
        response.headers["Retry-After"] = str(_RETRY_AFTER)
    elif status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever is raised into a status and a sentence."""
    try:
        return await handler(request)
    except RequestError as error:
        return refusal(error, error.status)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        return http_refusal(request, error)
    except SmallRTCError as error:  # the request is fine, but this machine cannot serve it
        return refusal(error, 503)
    except Exception:  # the last net: whoever sees this line has found a defect of ours
        logger.exception("%s %s failed", request.method, request.path)
        return json_response({"detail": "internal error"}, status=500)


def http_refusal(request: web.Request, error: web.HTTPException) -> web.Response:
    """The refusals of aiohttp itself, with their status and `Allow`."""
    path = printable(request.path)
    match error:
        case web.HTTPNotFound():
            return json_response({"detail": f"there is nothing at `{path}`"}, status=404)
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            detail = f"`{path}` takes {allowed}, not {printable(error.method)}"
            response = json_response({"detail": detail}, status=405)
            response.headers["Allow"] = allowed
            return response
        case web.HTTPRequestEntityTooLarge():
            return json_response({"detail": f"the body has more than {request.client_max_size} bytes"}, status=413)
        case _:
            return json_response({"detail": error.reason}, status=error.status)
