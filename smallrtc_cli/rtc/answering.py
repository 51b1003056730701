"""The answering side: a client's offers in, answers out, one at a time. Its counterpart is the `dialer`."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Protocol

from smallrtc_cli.errors import BadRequest, ConnectionEnded
from smallrtc_cli.protocol.session import State
from smallrtc_cli.protocol.signalling import Answer
from smallrtc_cli.rtc.peer import Peer


class Answerer(Protocol):
    """Whose conversation it is."""

    name: str
    pc_id: str
    on_rekeyed: Callable[[str, str], None] | None

    @property
    def state(self) -> State: ...
    @property
    def current_peer(self) -> Peer | None: ...
    def new_peer(self) -> Peer: ...
    def adopt(self, peer: Peer) -> None: ...


class Answering:
    """The answers of one conversation, which is named each time, so that this does not hold it."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self.answer: Answer | None = None
        "To the last offer."

    async def begin(self, call: Answerer, sdp: str, kind: str) -> None:
        """Answer the first offer; raises `BadRequest`, and nothing is left then."""
        async with self._lock:
            await self._answer_with_new_peer(call, sdp, kind)

    async def go_on(self, call: Answerer, sdp: str, kind: str, *, restart: bool) -> None:
        """Answer a later offer: in place, or with a new peer and a new `pc_id`."""
        async with self._lock:
            _require_open(call)
            if restart or call.current_peer is None:
                await self._answer_with_new_peer(call, sdp, kind)
            else:
                _check_type(kind)
                self._set_answer(call, await _answer(call, call.current_peer, sdp))

    async def _answer_with_new_peer(self, call: Answerer, sdp: str, kind: str) -> None:
        _check_type(kind)
        peer = call.new_peer()
        try:
            answer = await _answer(call, peer, sdp)
        except BaseException:
            await peer.close()
            raise
        if call.current_peer is not None:
            _rekey(call)
        call.adopt(peer)
        self._set_answer(call, answer)

    def _set_answer(self, call: Answerer, sdp: str) -> None:
        self.answer = {"sdp": sdp, "type": "answer", "pc_id": call.pc_id}


def new_pc_id(name: str) -> str:
    """An identifier that nobody guesses, and that tells in a log whose it is."""
    return f"{name}-{uuid.uuid4().hex}"


async def _answer(call: Answerer, peer: Peer, sdp: str) -> str:
    answer = await peer.answer(sdp)
    _require_open(call)
    return answer


def _rekey(call: Answerer) -> None:
    old, call.pc_id = call.pc_id, new_pc_id(call.name)
    if call.on_rekeyed is not None:
        call.on_rekeyed(old, call.pc_id)


def _require_open(call: Answerer) -> None:
    """The conversation may end at any await: nothing is negotiated for one that has."""
    if call.state is State.CLOSED:
        raise ConnectionEnded(f"{call.name} is closed")


def _check_type(kind: str) -> None:
    if kind != "offer":
        raise BadRequest(f"the description is of type `{kind}`, not `offer`")
