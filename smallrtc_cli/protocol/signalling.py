"""Offers, answers and trickled candidates as values, and the one seam between the two sides: `Exchange`.

The names are Pipecat's. Reading is strict on shape and liberal on spelling: `snake_case` and `camelCase` are
the same key, unknown keys are ignored, and whatever else is wrong is a `BadRequest` with one sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, TypedDict, TypeVar

from smallrtc_cli.config import Limits
from smallrtc_cli.errors import BadRequest, UnusableAnswer
from smallrtc_cli.protocol.ice_servers import IceServerSpec as IceServerSpec
from smallrtc_cli.protocol.ice_servers import parse_ice_servers as parse_ice_servers
from smallrtc_cli.protocol.messages import JSONObject, json_kind, printable

_DEFAULT_LIMITS = Limits()


class Answer(TypedDict):
    """What an offer is answered with; `pc_id` names the peer connection in later requests."""

    sdp: str
    type: Literal["answer"]
    pc_id: str


@dataclass(frozen=True, slots=True)
class SmallWebRTCRequest:
    """An offer: without `pc_id` for a new connection, with it for one that is there.

    `restart_pc` asks for a new peer connection in the place of the one that is named.
    """

    sdp: str
    type: str
    pc_id: str | None = None
    restart_pc: bool | None = None
    request_data: Any = None
    session_id: str | None = None
    "Which session of `/start` it is for; not on the wire: it comes from the URL."

    @classmethod
    def from_dict(cls, data: object, limits: Limits = _DEFAULT_LIMITS) -> Self:
        """Read the body of a POST; raises `BadRequest`."""
        body = _object(data, "the body")
        kind = _required(body, str, "type")
        if kind != "offer":
            raise BadRequest(f"`type` is `{printable(kind)}`, not `offer`")
        sdp = _required(body, str, "sdp")
        if len(sdp) > limits.sdp:
            raise BadRequest(f"`sdp` has {len(sdp)} characters, more than {limits.sdp}")
        pc_id = _optional(body, str, "pc_id", "pcId")
        restart = _optional(body, bool, "restart_pc", "restartPc", "restartPC")
        return cls(sdp, kind, pc_id or None, restart, _first(body, "request_data", "requestData"))

    def to_dict(self) -> JSONObject:
        """The body of the POST, with the keys that Pipecat's JavaScript client sends."""
        body = {"sdp": self.sdp, "type": self.type, "pc_id": self.pc_id, "restart_pc": bool(self.restart_pc)}
        return body if self.request_data is None else body | {"requestData": self.request_data}


@dataclass(frozen=True, slots=True)
class IceCandidate:
    """One trickled candidate; an empty `candidate` ends those of its m-line."""

    candidate: str
    sdp_mid: str = "0"
    sdp_mline_index: int = 0

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Read one entry of `candidates`; browsers write `sdpMid`, and Android `null` for it."""
        entry = _object(data, "a candidate")
        index = _optional(entry, int, "sdp_mline_index", "sdpMLineIndex", "sdpMlineIndex") or 0
        if index < 0:
            raise BadRequest("`sdp_mline_index` is negative")
        mid = _optional(entry, str, "sdp_mid", "sdpMid")
        return cls(_required(entry, str, "candidate"), str(index) if mid is None else mid, index)

    def to_dict(self) -> JSONObject:
        return {"candidate": self.candidate, "sdp_mid": self.sdp_mid, "sdp_mline_index": self.sdp_mline_index}


@dataclass(frozen=True, slots=True)
class SmallWebRTCPatchRequest:
    """Candidates that were found after the offer went out."""

    pc_id: str
    candidates: Sequence[IceCandidate]

    @classmethod
    def from_dict(cls, data: object, limits: Limits = _DEFAULT_LIMITS) -> Self:
        """Read the body of a PATCH; raises `BadRequest`."""
        body = _object(data, "the body")
        pc_id = _named(body)
        entries = _optional(body, list, "candidates") or []
        if len(entries) > limits.candidates:
            raise BadRequest(f"{len(entries)} candidates are more than {limits.candidates}")
        return cls(pc_id, tuple(IceCandidate.from_dict(entry) for entry in entries))

    def to_dict(self) -> JSONObject:
        return {"pc_id": self.pc_id, "candidates": [candidate.to_dict() for candidate in self.candidates]}


class Exchange(Protocol):
    """Offers in, answers out: what the dialing side calls, be it over HTTP or in the same process."""

    async def offer(self, request: SmallWebRTCRequest) -> Answer:
        """Have an offer answered; raises `RequestError` (in process) or `CouldNotConnect` (over HTTP)."""
        ...

    async def candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """Hand over later candidates; raises as `offer` does."""
        ...


def parse_answer(data: object, limits: Limits = _DEFAULT_LIMITS) -> Answer:
    """Read what a server answered; raises `UnusableAnswer` if that is no answer."""
    try:
        body = _object(data, "it")
        sdp, kind = _required(body, str, "sdp"), _required(body, str, "type")
        pc_id = _named(body)
    except BadRequest as error:
        raise UnusableAnswer(f"the server's answer cannot be used: {error}") from None
    if kind != "answer":
        raise UnusableAnswer(f"the server's answer has the type `{printable(kind)}`")
    if len(sdp) > limits.sdp:
        raise UnusableAnswer(f"the server's answer has {len(sdp)} characters, more than {limits.sdp}")
    return {"sdp": sdp, "type": "answer", "pc_id": pc_id}


def _object(data: object, what: str) -> Mapping[str, Any]:
    if isinstance(data, Mapping):
        return data
    raise BadRequest(f"{what} is {json_kind(data)}, not an object")


def _first(body: Mapping[str, Any], *spellings: str) -> Any:
    """The first value that is not null, under whatever spelling."""
    return next((body[key] for key in spellings if body.get(key) is not None), None)


T = TypeVar("T")

_CALLED: dict[type[Any], str] = {str: "a string", bool: "a boolean", int: "a whole number", list: "an array"}


def _optional(body: Mapping[str, Any], kind: type[T], *spellings: str) -> T | None:
    value = _first(body, *spellings)
    if value is None:
        return None
    # In Python a boolean is a whole number, in JSON it is not.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BadRequest(f"`{spellings[0]}` is {json_kind(value)}, not {_CALLED[kind]}")
    return value


def _required(body: Mapping[str, Any], kind: type[T], *spellings: str) -> T:
    value = _optional(body, kind, *spellings)
    if value is None:
        raise BadRequest(f"`{spellings[0]}` is missing")
    return value


def _named(body: Mapping[str, Any]) -> str:
    """The `pc_id` of a request or an answer that cannot do without."""
    if pc_id := _required(body, str, "pc_id", "pcId"):
        return pc_id
    raise BadRequest("`pc_id` is empty")
