"""The data channel's messages: text in, a value out, and back.

`decode` never raises: whatever the other side sends is a ping, a signalling message, an application message,
or `Rejected` with one sentence that says why. What `encode_app` lets through is JSON that all peers can read:
no NaN, no infinity, no text that UTF-8 cannot carry.

More liberal than Pipecat in one point: an application message is any JSON object, with or without a `type`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isinf
from typing import Any, Final, Literal, NoReturn, TypeAlias, cast

from smallrtc_cli.errors import SmallRTCError

SIGNALLING_TYPE: Final = "signalling"
_LONGEST_PACKET: Final = 1 << 16
RECEIVER_INDICES: Final = range(3)  # 0 microphone, 1 camera, 2 screen: the transceivers in their fixed order

JSONObject: TypeAlias = dict[str, Any]


class MalformedJSON(SmallRTCError):
    """A text from outside is not JSON (RFC 8259)."""


class UnencodableMessage(SmallRTCError):
    """JSON cannot hold this message."""

    hint = "send an object, with objects, arrays, text, finite numbers, booleans and null in it"


@dataclass(frozen=True, slots=True)
class TrackStatusMessage:
    """The client muted or unmuted: receiver 0 is its microphone, 1 its camera, 2 its screen."""

    receiver_index: int
    enabled: bool
    type: Literal["trackStatus"] = "trackStatus"


@dataclass(frozen=True, slots=True)
class RenegotiateMessage:
    """The server asks for a new offer on the same peer connection."""

    type: Literal["renegotiate"] = "renegotiate"


@dataclass(frozen=True, slots=True)
class PeerLeftMessage:
    """The server's bot is leaving; the connection is about to close."""

    type: Literal["peerLeft"] = "peerLeft"


@dataclass(frozen=True, slots=True)
class PathRequestMessage:
    """Ours: say what the path carries from you to me. Others take it for an unknown signalling message, and go on."""

    type: Literal["pathRequest"] = "pathRequest"


@dataclass(frozen=True, slots=True)
class PathReportMessage:
    """Ours, the answer: what its sender found of the path from itself to the receiver; sizes in bytes, or None."""

    chunk: int | None = None
    "User bytes of the largest chunk of the data channel that passes."

    ip_packet: int | None = None
    refused_ip_packet: int | None = None
    limit: str | None = None
    "`local`, `icmp`, `black-hole` or `none`."

    pieces_pass: bool | None = None
    type: Literal["pathReport"] = "pathReport"


@dataclass(frozen=True, slots=True)
class PathLoadMessage:
    """Ours: something to carry, to see how fast that goes; the other side passes over it."""

    padding: str = ""
    type: Literal["pathLoad"] = "pathLoad"


Signal: TypeAlias = (
    TrackStatusMessage | RenegotiateMessage | PeerLeftMessage | PathRequestMessage | PathReportMessage | PathLoadMessage
)


@dataclass(frozen=True, slots=True)
class SignallingMessage:
    """The envelope that a signalling message travels in."""

    message: Signal
    type: Literal["signalling"] = SIGNALLING_TYPE


@dataclass(frozen=True, slots=True)
class Ping:
    """A sign of life; it has no answer."""


@dataclass(frozen=True, slots=True)
class AppMessage:
    """A JSON object that is the bot's to understand."""

    message: JSONObject


@dataclass(frozen=True, slots=True)
class Rejected:
    """A payload that means nothing; `reason` is one sentence."""

    reason: str


Decoded: TypeAlias = Ping | Signal | AppMessage | Rejected


def decode(payload: str | bytes) -> Decoded:
    """Read one message of the data channel; bytes are the same JSON in UTF-8 (iOS), never a ping."""
    if isinstance(payload, str) and payload.startswith("ping"):
        return Ping()
    try:
        value = parse_json(payload)
    except MalformedJSON as error:
        return Rejected(str(error))
    if not isinstance(value, dict):
        return Rejected(f"the message is {json_kind(value)}, not an object")
    if value.get("type") == SIGNALLING_TYPE and value.get("message"):
        return _signal(value["message"])
    return AppMessage(value)


def encode_signalling(message: Signal | SignallingMessage) -> str:
    """The text to send for a signalling message, in its envelope."""
    if isinstance(message, SignallingMessage):
        return encode_signalling(message.message)
    fields: JSONObject = {"type": message.type}
    if isinstance(message, TrackStatusMessage):
        fields |= {"receiver_index": message.receiver_index, "enabled": message.enabled}
    elif isinstance(message, PathReportMessage | PathLoadMessage):
        fields |= asdict(message)
    return _ENCODER.encode({"type": SIGNALLING_TYPE, "message": fields})


def encode_app(message: object) -> str:
    """The text to send for an application message.

    Raises `UnencodableMessage` for what JSON cannot hold. A lone surrogate, which UTF-8 cannot carry, is escaped.
    """
    try:
        text = _ENCODER.encode(message)
    except RecursionError:
        raise UnencodableMessage("the message is nested too deeply for JSON") from None
    except (TypeError, ValueError) as error:
        raise UnencodableMessage(f"the message is not JSON: {_sentence(error)}") from error
    return text if _is_utf8(text) else _ASCII_ENCODER.encode(message)


def require_object(message: object) -> None:
    """Raise `UnencodableMessage` for what a receiver would not take for an application message."""
    if not isinstance(message, dict):
        raise UnencodableMessage(f"the message is not an object but `{printable(type(message).__name__)}`")


def encode_ping(epoch_ms: int) -> str:
    """The keep-alive that Pipecat's JavaScript client sends every second."""
    return f"ping: {epoch_ms}"


def parse_json(payload: str | bytes) -> Any:
    """Read JSON from outside; raises `MalformedJSON`, and nothing else, whatever the payload is."""
    try:
        return _DECODER.decode(payload if isinstance(payload, str) else payload.decode())
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    except RecursionError:
        reason = "is nested too deeply"
    except json.JSONDecodeError:
        reason = "is not JSON"
    except ValueError as error:  # our own hooks, and Python's limit on the digits of an integer
        reason = str(error) if isinstance(error, _NoJSONNumber) else "has a number with too many digits"
    raise MalformedJSON(f"the text {reason}")


def json_kind(value: object) -> str:
    """What a parsed value is called in JSON, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case Mapping():
            return "an object"
        case _:
            return "an array"


class _NoJSONNumber(ValueError):
    """Python's parser would take it, JSON and every other parser do not."""


def _refuse_constant(name: str) -> NoReturn:
    raise _NoJSONNumber(f"has `{name}`, which is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if isinf(number):  # 1e999: could be read, but never sent on
        raise _NoJSONNumber("has a number that is out of range")
    return number


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_ASCII_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def _signal(message: object) -> Signal | Rejected:
    match message:
        case {"type": "trackStatus", "receiver_index": int(index), "enabled": bool(enabled)}:
            if isinstance(index, bool) or index not in RECEIVER_INDICES:
                return Rejected("the `receiver_index` of `trackStatus` is not 0, 1 or 2")
            return TrackStatusMessage(index, enabled)
        case {"type": "trackStatus"}:
            return Rejected("`trackStatus` needs a number `receiver_index` and a boolean `enabled`")
        case {"type": "renegotiate"}:
            return RenegotiateMessage()
        case {"type": "peerLeft"}:
            return PeerLeftMessage()
        case {"type": "pathRequest"}:
            return PathRequestMessage()
        case {"type": "pathReport"}:
            return _path_report(cast(JSONObject, message))
        case {"type": "pathLoad"}:
            return PathLoadMessage()
        case {"type": str(other)}:
            return Rejected(f"unknown signalling message `{printable(other)}`")
        case _:
            return Rejected("the signalling message has no `type`")


def _path_report(fields: Mapping[str, object]) -> PathReportMessage | Rejected:
    sizes = [fields.get(name) for name in ("chunk", "ip_packet", "refused_ip_packet")]
    limit, pieces = fields.get("limit"), fields.get("pieces_pass")
    if not all(size is None or (type(size) is int and 0 < size < _LONGEST_PACKET) for size in sizes):
        return Rejected("a size in `pathReport` is no number of bytes")
    if not (limit is None or isinstance(limit, str)) or not (pieces is None or isinstance(pieces, bool)):
        return Rejected("`pathReport` needs a text `limit` and a boolean `pieces_pass`, or null")
    chunk, ip_packet, refused = cast(list[int | None], sizes)
    return PathReportMessage(chunk, ip_packet, refused, printable(limit) if limit else None, pieces)


def printable(text: str, limit: int = 60) -> str:
    """A stranger's text, fit for one line of a log or an error."""
    shown = "".join(character if character.isprintable() else "?" for character in text[:limit])
    return shown if len(text) <= limit else f"{shown}…"


def _sentence(error: Exception) -> str:
    return printable(str(error), 200).removesuffix(".")


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
