"""RTVI 2.x for bots that run without Pipecat, and for the side that dials.

Messages are plain dictionaries, ready for `messages.encode_app`. `answer` is what the protocol itself says,
so that a bot of ten lines is a correct RTVI server: everything it does not answer is the bot's to handle. No
function here raises for what the other side sent.
"""

from collections.abc import Mapping
from typing import Any, Final

import smallrtc_cli
from smallrtc_cli.protocol.messages import JSONObject, printable

LABEL: Final = "rtvi-ai"
VERSION: Final = "2.2.0"  # what Pipecat 1.14 speaks
LIBRARY: Final = "smallrtc"

CLIENT_TYPES: Final = frozenset({
    "client-ready", "disconnect-bot", "client-message", "send-text", "send-file", "dtmf", "raw-audio",
    "raw-audio-batch", "llm-function-call-result", "ui-event", "ui-snapshot", "ui-cancel-job-group",
})  # fmt: skip
"What a client may send to a bot."

UNANSWERABLE: Final = frozenset({"error", "error-response"})
"Never answered with an error, or two bots that face each other would do so for ever."


def is_rtvi(message: Mapping[str, Any]) -> bool:
    """Whether the message is RTVI's; clients drop what has another label."""
    return message.get("label") == LABEL


def answer(message: Mapping[str, Any], capabilities: Mapping[str, bool]) -> JSONObject | None:
    """What is replied without the bot's help, or None: the message is the bot's to handle, or not RTVI's."""
    if not is_rtvi(message):
        return None
    kind, message_id = message.get("type"), _id(message)
    if kind == "client-ready":
        return bot_ready(message_id, capabilities, version=_version_for(message))
    if not isinstance(kind, str):
        return error_response(message_id, "The message has no type")
    if kind in CLIENT_TYPES or kind in UNANSWERABLE:
        return None
    return error_response(message_id, f"Unsupported type {printable(kind)}")


def bot_ready(message_id: str | None, capabilities: Mapping[str, bool], *, version: str = VERSION) -> JSONObject:
    """The answer to `client-ready`, with its id: the bot listens from now on."""
    about = {"library": LIBRARY, "library_version": smallrtc_cli.__version__}
    return _message("bot-ready", message_id, {"version": version, "about": about, "capabilities": dict(capabilities)})


def error(text: str, *, fatal: bool) -> JSONObject:
    """Something failed on the bot's side; `fatal` says that the conversation is over."""
    return _message("error", None, {"error": text, "fatal": fatal})


def error_response(message_id: str | None, text: str) -> JSONObject:
    """The request with this id failed."""
    return _message("error-response", message_id, {"error": text})


def server_message(data: Any) -> JSONObject:
    """An unsolicited message of the bot's own making."""
    return _message("server-message", None, data)


def server_response(message_id: str, t: str, d: Any = None) -> JSONObject:
    """The answer to a `client-message` of the same id; Pipecat's JavaScript client waits 10 s for it."""
    return _message("server-response", message_id, {"t": t} | ({} if d is None else {"d": d}))


def response_to(request: Mapping[str, Any], d: Any = None) -> JSONObject:
    """The answer to a `client-message` as it came: same id, same `t`.

    Without an id no client could tell what is answered; such a one gets a `server-message` of the same content.
    """
    message_id, data = _id(request), request.get("data")
    kind = data.get("t") if isinstance(data, Mapping) else None
    t = kind if isinstance(kind, str) else ""
    return server_message({"t": t, "d": d}) if message_id is None else server_response(message_id, t, d)


def client_ready(message_id: str, *, platform: str | None = None) -> JSONObject:
    """The dialing side has its data channel and listens; a bot answers with `bot-ready`."""
    about = {"library": LIBRARY, "library_version": smallrtc_cli.__version__}
    if platform is not None:
        about["platform"] = platform
    return _message("client-ready", message_id, {"version": VERSION, "about": about})


def client_message(message_id: str, t: str, d: Any = None) -> JSONObject:
    """A request of the client's own making: a type and, if any, its payload."""
    return _message("client-message", message_id, {"t": t} | ({} if d is None else {"d": d}))


def send_text(
    message_id: str, content: str, *, run_immediately: bool = True, audio_response: bool = True
) -> JSONObject:
    """Typed instead of spoken input for the bot."""
    options = {"run_immediately": run_immediately, "audio_response": audio_response}
    return _message("send-text", message_id, {"content": content, "options": options})


def _message(kind: str, message_id: str | None, data: Any) -> JSONObject:
    message: JSONObject = {"label": LABEL, "type": kind}
    if message_id is not None:
        message["id"] = message_id
    return message | {"data": data}


def _id(message: Mapping[str, Any]) -> str | None:
    value = message.get("id")
    return value if isinstance(value, str) else None


def _version_for(message: Mapping[str, Any]) -> str:
    """Ours; but a client of the first generation gets its own version back, as from Pipecat."""
    data = message.get("data")
    version = data.get("version") if isinstance(data, Mapping) else None
    return version if isinstance(version, str) and version.startswith("1.") else VERSION
