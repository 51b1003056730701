"""The SCTP association below the data channels, as the path and its probes see it."""

import asyncio
import copy
import itertools
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, cast

from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import (
    Chunk,
    DataChunk,
    ForwardTsnChunk,
    HeartbeatAckChunk,
    HeartbeatChunk,
    ReconfigChunk,
)
from aiortc.utils import uint32_gt

from smallrtc_cli.protocol.congestion import Window
from smallrtc_cli.protocol.packet_sizes import pad4
from smallrtc_cli.rtc.sctp import Sctp
from smallrtc_cli.rtc.sctp_piece import Message, Piece, fragments
from smallrtc_cli.rtc.sctp_receiver import PAD


class _Padded(Chunk):
    """A HEARTBEAT (RFC 9260 section 3.3.5) and a PAD chunk (RFC 4820) in one packet, in the place of a chunk."""

    def __init__(self, info: bytes, padding: int) -> None:
        super().__init__()
        self._heartbeat = HeartbeatChunk()
        self._heartbeat.params = [(_HEARTBEAT_INFO, info)]
        self._pad = struct.pack("!BBH", PAD, 0, padding) + bytes(padding - 4)

    def __bytes__(self) -> bytes:
        return bytes(self._heartbeat) + self._pad


_HEARTBEAT_INFO: Final = 1
HEARTBEAT_INFO_LENGTH: Final = 8
"With so many bytes a HEARTBEAT is as long as the header of a DATA chunk."

_EXTENSIONS_OF_AIORTC: Final = [ForwardTsnChunk.type, ReconfigChunk.type]
"What aiortc says in its INIT that it understands; no other stack, and not ours, says just that in that order."

_MOST_OVERHEAD: Final = 256
"More than any cipher of DTLS adds."

_SETTLED: Final = 1.0
"Seconds after which a packet has arrived, or never will."


class Association:
    """What is asked of our SCTP beside messages: the size of its chunks, probes, and a way out for messages that were
    cut into chunks which the path does not carry.
    """

    def __init__(self, sctp: Sctp) -> None:
        self.sctp = sctp

    @property
    def chunk(self) -> int:
        """The most user bytes in a chunk, from the next message on."""
        return self.sctp.chunk

    @chunk.setter
    def chunk(self, size: int) -> None:
        self.sctp.chunk = size

    # What is on its way

    @property
    def acknowledged_up_to(self) -> int:
        """The number of the last chunk up to which the other side has everything."""
        return self.sctp._last_sacked_tsn

    @property
    def in_flight(self) -> list[int]:
        """User bytes of the chunks that were sent and not acknowledged, in order."""
        return [len(chunk.user_data) for chunk in self.sctp._sent_queue if not chunk._acked]

    @property
    def outstanding(self) -> int:
        """Bytes of the messages that have left the channel's queue and are not acknowledged."""
        return self.sctp.outstanding

    @property
    def window(self) -> int | None:
        """Bytes that the other side had room for, by its last acknowledgement."""
        return self.sctp.advertised

    def start_slowly(self) -> None:
        """Send as carefully as a fresh association (RFC 9260 section 7.2.1), whatever was learned of the path."""
        self.sctp.window = Window(self.chunk)

    def on_acknowledgement(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after each SACK chunk; returns how to stop it."""
        self.sctp.acknowledged.append(callback)
        return lambda: self.sctp.acknowledged.remove(callback)

    # Probes

    def probe(self, info: bytes, chunk: int) -> bytes:
        """The DTLS record of a packet as long as one with a DATA chunk, which the other side acknowledges with `info`.

        Raises `ConnectionError` when DTLS is not up (any more).
        """
        sctp, dtls = self.sctp, self.sctp.transport
        if dtls.state != "connected" or dtls._ssl is None or sctp._remote_port is None:
            raise ConnectionError("not connected")
        packet = rtcsctptransport.serialize_packet(
            sctp._local_port, sctp._remote_port, sctp._remote_verification_tag, _Padded(info, pad4(chunk))
        )
        dtls._ssl.send(packet)
        return bytes(dtls._ssl.bio_read(len(packet) + _MOST_OVERHEAD))

    def on_heartbeat_ack(self, callback: Callable[[bytes], None]) -> Callable[[], None]:
        """Call back with the info of each HEARTBEAT ACK; returns how to stop it. For one at a time."""
        receive = self.sctp._receive_chunk

        async def receive_and_tell(chunk: Chunk) -> None:
            if isinstance(chunk, HeartbeatAckChunk):
                for _, info in chunk.params[:1]:
                    callback(info)
            await receive(chunk)

        self.sctp._receive_chunk = receive_and_tell  # type: ignore[method-assign]
        return lambda: self.sctp.__dict__.pop("_receive_chunk", None)

    # What is stuck

    async def ask_for_sack(self) -> bool:
        """Have the other side say what it has, by a FORWARD TSN that moves nothing (RFC 3758 section 3.6)."""
        if not self.sctp._remote_partial_reliability:
            return False
        chunk = ForwardTsnChunk()
        chunk.cumulative_tsn = self.sctp._last_sacked_tsn
        await self.sctp._send_chunk(chunk)
        return True

    def can_recut(self) -> bool:
        """Whether the other side has nothing of what is unacknowledged, and nothing of it can still arrive.

        Its first chunk is longer than the present size, which the caller knows not to pass; the shorter ones are old.
        """
        sctp, sent = self.sctp, self.sctp._sent_queue
        if not sent or sctp._forward_tsn_chunk is not None or sctp._reconfig_request is not None:
            return False
        latest = sctp._loop.time() - _SETTLED
        untouched = all(not c._acked and not c._abandoned for c in sent)
        settled = all(len(c.user_data) > self.chunk or cast(Piece, c).sent < latest for c in sent)
        return untouched and settled and len(sent[0].user_data) > self.chunk

    async def recut(self) -> None:
        """Cut all that is unacknowledged into chunks of the present size, numbered from the first of them on.

        RFC 9260 section 6.9 forbids that of chunks that the other side may have: `can_recut` says that it has none.
        """
        sctp = self.sctp
        old = [cast(Piece, c) for c in (*sctp._sent_queue, *sctp._outbound_queue)]
        tsn = old[0].tsn
        sctp._sent_queue.clear()
        sctp._outbound_queue = deque(_renumbered(_cut(old, self.chunk), tsn))
        sctp._local_tsn = rtcsctptransport.tsn_plus_one(sctp._outbound_queue[-1].tsn)
        sctp.begin_anew()
        await sctp._transmit()

    def can_send_anew(self) -> bool:
        """Whether the other side can be told to wait no longer for a message (RFC 3758)."""
        return self.sctp._remote_partial_reliability and self.sctp._reconfig_request is None

    async def send_anew(self) -> bool:
        """Give up each message that has a chunk longer than the present size, send it again as a new one; if any.

        None is lost, none comes twice. Those that the other side has already, behind one that it has not, may overtake.
        """
        messages = _by_message([*self.sctp._sent_queue, *self.sctp._outbound_queue])
        stuck = [m for m, parts in messages if any(not p._acked and len(p.user_data) > self.chunk for p in parts)]
        if not stuck:
            return False
        forgetful = self.sctp._remote_extensions == _EXTENSIONS_OF_AIORTC
        cast(Any, self.sctp)._data_channel_flush = _nothing
        try:
            await self._give_up(messages if forgetful else [(m, parts) for m, parts in messages if m in stuck])
            if forgetful:
                await self._until_given_up()
            for message in _undelivered(messages) if forgetful else stuck:
                await self.sctp._send(*message.arguments, **message.options)
        finally:
            del cast(Any, self.sctp)._data_channel_flush
        await self.sctp._data_channel_flush()
        return True

    async def _give_up(self, messages: list["_Parts"]) -> None:
        for _, parts in messages:
            for chunk in parts:
                chunk._abandoned, chunk._retransmit = True, False
                self.sctp._flight_size_decrease(chunk)
        self.sctp._update_advanced_peer_ack_point()
        await self.sctp._transmit()

    async def _until_given_up(self) -> None:
        """Until the other side has taken notice: aiortc repeats that as long as the connection lives."""
        sctp, told = self.sctp, asyncio.Event()
        stop = self.on_acknowledgement(told.set)
        try:
            while uint32_gt(sctp._advanced_peer_ack_tsn, sctp._last_sacked_tsn):
                told.clear()
                await told.wait()
        finally:
            stop()


_Parts = tuple[Message, list[Any]]
"A message and its chunks that are not acknowledged up to the first gap."


async def _nothing() -> None:
    """In the place of aiortc's method that sends what waits: nothing may be sent just now."""


def _by_message(chunks: list[DataChunk]) -> list[_Parts]:
    return [(m, list(parts)) for m, parts in itertools.groupby(chunks, lambda chunk: cast(Piece, chunk).message)]


def _undelivered(messages: list[_Parts]) -> list[Message]:
    """Which of the messages, all given up, an aiortc does not deliver.

    It delivers those that it has whole until it comes to one that it has in part, and forgets all behind that, those
    too that it has whole (RFC 3758 section 3.6 would have it deliver these).
    """
    missing: list[Message] = []
    forgotten = False
    for message, parts in messages:
        begun = not parts[0].flags & rtcsctptransport.SCTP_DATA_FIRST_FRAG
        whole = all(part._acked for part in parts)
        forgotten = forgotten or (not whole and (begun or any(part._acked for part in parts)))
        if forgotten or not whole:
            missing.append(message)
    return missing


def _cut(chunks: Iterable[Piece], size: int) -> Iterator[Piece]:
    """The same messages in chunks of another size; the first may lack its beginning, which has been received."""
    message: list[Piece] = []
    for chunk in chunks:
        message.append(chunk)
        if chunk.flags & rtcsctptransport.SCTP_DATA_LAST_FRAG:
            yield from _pieces(message, size)
            message = []


def _pieces(message: list[Piece], size: int) -> Iterator[Piece]:
    payload = b"".join(piece.user_data for piece in message)
    unordered = message[0].flags & rtcsctptransport.SCTP_DATA_UNORDERED
    whole = bool(message[0].flags & rtcsctptransport.SCTP_DATA_FIRST_FRAG)
    for part, flags in fragments(payload, size, first=whole):
        piece = copy.copy(message[0])
        piece.hold(part, flags | unordered)
        yield piece


def _renumbered(chunks: Iterable[Piece], first: int) -> Iterator[Piece]:
    for number, chunk in zip(itertools.count(first), chunks, strict=False):
        chunk.tsn = number % rtcsctptransport.SCTP_TSN_MODULO
        yield chunk
