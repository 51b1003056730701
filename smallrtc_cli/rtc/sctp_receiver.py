"""Receiving by SCTP: aiortc's transport with delayed acknowledgements, and without a second look at what it has seen.

Acknowledged at once is what tells the sender something: a gap and what fills it, a copy, what was given up, and what
the sender wants to know at once. For the rest see `protocol.acknowledging`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from aiortc import RTCSctpTransport
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_TSN_MODULO,
    DataChunk,
    ForwardTsnChunk,
    InboundStream,
    SackChunk,
    tsn_plus_one,
)
from aiortc.utils import uint32_gt, uint32_gte

from smallrtc_cli.protocol.acknowledging import DELAY, Acknowledging
from smallrtc_cli.protocol.packet_sizes import Layers
from smallrtc_cli.rtc.aiortc_dtls import at_once

logger = logging.getLogger(__name__)

IMMEDIATELY: Final = 0x08
"The flag of a DATA chunk that is to be acknowledged at once (RFC 9260 section 3.3.1)."

PAD: Final = 0x84
"The type of a chunk that is skipped (RFC 4820)."

_ANY_ROOM: Final = 1 << 16

_MOST_TOLD: Final = Layers(family=6, relay="udp").cautious_chunk // 4
"""Gaps and copies in an acknowledgement, so that its packet passes everywhere (RFC 9260 section 3.3.4); aiortc cuts off
what is longer than 1500 bytes, and nothing of it arrives.
"""

_FARTHEST: Final = 0xFFFF
"A gap is told in 16 bits."


class Reassembly(InboundStream):
    """A stream that looks for a message only when a chunk may have completed one."""

    _look = True

    def add_chunk(self, chunk: DataChunk) -> None:
        held = self.reassembly
        if not held or uint32_gt(chunk.tsn, held[-1].tsn):
            held.append(chunk)
            self._look = bool(chunk.flags & SCTP_DATA_LAST_FRAG)
            return
        place = len(held) - 1
        while place > 0 and uint32_gt(held[place - 1].tsn, chunk.tsn):
            place -= 1
        held.insert(place, chunk)
        self._look = True

    def give_up(self, tsn: int) -> int:
        """Forget the parts of messages that the sender has given up, up to that chunk; returns how many bytes.

        With one of them before it, aiortc's `pop_messages` would not find a whole message, and forget that too.
        """
        runs = _runs(self.reassembly)
        kept = [run for run in runs if _is_whole(run) or uint32_gt(run[-1].tsn, tsn) or _goes_on(run, tsn)]
        before = sum(len(chunk.user_data) for chunk in self.reassembly)
        self.reassembly = [chunk for run in kept for chunk in run]
        return before - sum(len(chunk.user_data) for chunk in self.reassembly)

    def received(self) -> list[tuple[int, int, bytes]]:
        """The messages that the last chunk has completed: stream, protocol, payload."""
        return [*self.pop_messages()] if self._look else []


def _runs(chunks: list[DataChunk]) -> list[list[DataChunk]]:
    """The chunks by message, a message with gaps in several runs."""
    runs: list[list[DataChunk]] = []
    for chunk in chunks:
        begins = not runs or chunk.flags & SCTP_DATA_FIRST_FRAG or chunk.tsn != tsn_plus_one(runs[-1][-1].tsn)
        if begins:
            runs.append([])
        runs[-1].append(chunk)
    return runs


def _is_whole(run: list[DataChunk]) -> bool:
    return bool(run[0].flags & SCTP_DATA_FIRST_FRAG and run[-1].flags & SCTP_DATA_LAST_FRAG)


def _goes_on(run: list[DataChunk], tsn: int) -> bool:
    """Whether the rest of the message may still come, behind that chunk."""
    return run[-1].tsn == tsn and bool(run[0].flags & SCTP_DATA_FIRST_FRAG)


def _gaps(numbers: Iterable[int], after: int) -> list[tuple[int, int]]:
    """The runs of what has come behind a hole, counted from the last chunk before it: the first that can be told."""
    gaps: list[tuple[int, int]] = []
    for place in sorted((number - after) % SCTP_TSN_MODULO for number in numbers):
        if place > _FARTHEST:
            break
        if gaps and gaps[-1][1] == place - 1:
            gaps[-1] = (gaps[-1][0], place)
        else:
            gaps.append((place, place))
    return gaps[:_MOST_TOLD]


def unless_closed(sctp: RTCSctpTransport, send: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """What a timer does: it may come when the connection has just ended."""
    if sctp._association_state is not sctp.State.CLOSED:
        with contextlib.suppress(ConnectionError):
            at_once(send())


class SctpReceiver(RTCSctpTransport):
    """The receiving half of our SCTP; see the module's docstring."""

    _loop: asyncio.AbstractEventLoop
    _last_received_tsn: int

    def __init__(self, transport: RTCDtlsTransport) -> None:
        super().__init__(transport)
        self._acknowledging = Acknowledging()
        self._urgent = False
        self._sack_timer: asyncio.TimerHandle | None = None
        self._sack_next: asyncio.Handle | None = None

    def _get_inbound_stream(self, stream_id: int) -> Reassembly:
        stream = self._inbound_streams.get(stream_id)
        if not isinstance(stream, Reassembly):
            stream = self._inbound_streams[stream_id] = Reassembly()
        return stream

    async def _handle_data(self, data: bytes) -> None:
        """As aiortc's; a packet that is malformed, or whose reader fails, ends nothing: aiortc would all."""
        try:
            await super()._handle_data(data)
        except ConnectionError as error:
            logger.debug("a packet of the data channel came at the end: %s", error)
        except Exception:
            logger.exception("a packet of the data channel could not be handled")

    async def _receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        """As aiortc's; a message that is malformed, or whose reader fails, costs none of those that came with it."""
        try:
            await super()._receive(stream_id, pp_id, data)
        except ConnectionError:
            raise
        except Exception:
            logger.exception("a message of the data channel could not be handled")

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        if self._last_received_tsn is None:  # nobody has said where numbers begin (RFC 9260 section 5.1)
            return
        self._sack_needed = True
        self._urgent = self._urgent or bool(chunk.flags & IMMEDIATELY or self._sack_misordered)
        if self._mark_received(chunk.tsn):
            return
        stream = self._get_inbound_stream(chunk.stream_id)
        stream.add_chunk(chunk)
        self._advertised_rwnd -= len(chunk.user_data)
        for message in stream.received():
            self._advertised_rwnd += len(message[2])
            await self._receive(*message)
        await self._reset_deferred_streams()

    def _set_extensions(self, params: list[tuple[int, bytes]]) -> None:
        """Beside aiortc's that padding is understood: so the other side can tell ours from aiortc's."""
        super()._set_extensions(params)
        kind, extensions = params.pop()
        params.append((kind, extensions + bytes([PAD])))

    async def _receive_forward_tsn_chunk(self, chunk: ForwardTsnChunk) -> None:
        self._urgent = True
        if uint32_gt(chunk.cumulative_tsn, self._last_received_tsn):
            for stream in self._inbound_streams.values():
                assert isinstance(stream, Reassembly)
                self._advertised_rwnd += stream.give_up(chunk.cumulative_tsn)
        await super()._receive_forward_tsn_chunk(chunk)

    def _mark_received(self, tsn: int) -> bool:
        """Whether the chunk with that number has come before."""
        last, early = self._last_received_tsn, self._sack_misordered
        if tsn in early or uint32_gte(last, tsn):
            self._sack_duplicates.append(tsn)
            return True
        early.add(tsn)
        while (following := tsn_plus_one(last)) in early:
            early.remove(following)
            last = following
        self._last_received_tsn = last
        return False

    # Acknowledgements

    async def _send_sack(self) -> None:
        """What aiortc calls after each packet that wants to be acknowledged.

        What is due at once leaves in the next pass of the event loop: an answer that comes before takes it along.
        """
        self._sack_needed = False
        urgent = bool(self._urgent or self._sack_misordered or self._sack_duplicates)
        if self._acknowledging.packet(self._loop.time(), urgent):
            if self._sack_next is None:
                self._sack_next = self._loop.call_soon(self._sack_due)
        elif self._sack_timer is None:
            self._sack_timer = self._loop.call_later(DELAY, self._sack_overdue)

    def acknowledgement(self, room: int) -> SackChunk | None:
        """What is to be told of what has come, and counts as told then; None if nothing is, or not in so many bytes."""
        if not (self._sack_needed or self._acknowledging.waiting):
            return None
        sack = SackChunk()
        sack.cumulative_tsn, sack.advertised_rwnd = self._last_received_tsn, max(0, self._advertised_rwnd)
        sack.gaps = _gaps(self._sack_misordered, sack.cumulative_tsn)
        sack.duplicates = self._sack_duplicates[: _MOST_TOLD - len(sack.gaps)]
        if len(bytes(sack)) > room:
            return None
        self._sack_duplicates.clear()
        self._acknowledging.acknowledged()
        self._sack_needed = self._urgent = False
        return sack

    def _sack_due(self) -> None:
        self._sack_next = None
        self._acknowledge()

    def _sack_overdue(self) -> None:
        self._sack_timer = None
        self._acknowledge()

    def _acknowledge(self) -> None:
        sack = self.acknowledgement(_ANY_ROOM)
        if sack is not None:
            unless_closed(self, lambda: self._send_chunk(sack))

    async def _abort(self) -> None:
        """Before the end the other side is told what has come."""
        self._acknowledge()
        await super()._abort()
