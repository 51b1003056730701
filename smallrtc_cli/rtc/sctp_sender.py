"""Sending by SCTP: aiortc's transport with a window and timers of ours.

Every transmission has a number. A chunk counts as lost when three acknowledgements have shown later transmissions to
have arrived, or one has shown a transmission that left a round trip later: so a copy that is lost too is found, as is
the end of a burst by its repeated last chunk (RFC 8985), and the timeout with its collapse of the window is rare.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from aiortc import RTCSctpTransport
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import SCTP_DATA_UNORDERED, SCTP_TSN_MODULO, SackChunk, tsn_plus_one
from aiortc.utils import uint16_add, uint32_gt, uint32_gte

from smallrtc_cli.protocol.congestion import BURST, Window, most_in_flight
from smallrtc_cli.protocol.packet_sizes import Layers
from smallrtc_cli.protocol.round_trip import FIRST_TIMEOUT, LONGEST_TIMEOUT, RoundTrip
from smallrtc_cli.rtc.aiortc_dtls import at_once
from smallrtc_cli.rtc.sctp_piece import Message, Piece, fragments
from smallrtc_cli.rtc.sctp_receiver import IMMEDIATELY, unless_closed

CAUTIOUS_CHUNK: Final = Layers(family=6, relay="udp").cautious_chunk
"Before the pair is known."

_STRIKES: Final = 3


class SctpSender(RTCSctpTransport):
    """The sending half of our SCTP; see the module's docstring."""

    _loop: asyncio.AbstractEventLoop
    _sent_queue: deque[Any]
    _outbound_queue: deque[Any]

    def __init__(self, transport: RTCDtlsTransport) -> None:
        super().__init__(transport)
        self.chunk = CAUTIOUS_CHUNK
        "The most user bytes in a chunk, from the next message on."
        self.window = Window(self.chunk)
        self.round_trip = RoundTrip()
        self.advertised: int | None = None
        "Bytes that the other side has room for, as its last acknowledgement says."
        self.acknowledged: list[Callable[[], None]] = []
        "Called after each acknowledgement."
        self._rto = FIRST_TIMEOUT
        self._transmissions = 0
        self._recovery_until: int | None = None
        self._to_repeat = self._probed = False
        self._silent_since = self._last_sent = self._asked = 0.0
        self._flushed = self._loop.create_future()
        self._flushed.set_result(None)

    @property
    def outstanding(self) -> int:
        """Bytes of messages that were cut into chunks and have not arrived."""
        return sum(len(c.user_data) for q in (self._sent_queue, self._outbound_queue) for c in q if not c._acked)

    # Messages

    def _data_channel_flush(self) -> asyncio.Future[None]:  # type: ignore[override]
        """As aiortc's, done by the time it returns: where aiortc makes a task of it, there is none."""
        with contextlib.suppress(ConnectionError):
            at_once(super()._data_channel_flush())
        return self._flushed

    async def _send(
        self,
        stream_id: int,
        pp_id: int,
        user_data: bytes,
        expiry: float | None = None,
        max_retransmits: int | None = None,
        ordered: bool = True,
    ) -> None:
        options = {"expiry": expiry, "max_retransmits": max_retransmits, "ordered": ordered}
        message = Message((stream_id, pp_id, user_data), options)
        number = self._outbound_stream_seq.get(stream_id, 0) if ordered else 0
        for payload, flags in fragments(user_data, self.chunk):
            piece = Piece(message, self._local_tsn, number)
            piece.hold(payload, flags if ordered else flags | SCTP_DATA_UNORDERED)
            self._outbound_queue.append(piece)
            self._local_tsn = tsn_plus_one(self._local_tsn)
        if ordered:
            self._outbound_stream_seq[stream_id] = uint16_add(number, 1)
        await self._transmit()

    # Transmissions

    async def _transmit(self) -> None:
        if self._forward_tsn_chunk is not None:
            forward, self._forward_tsn_chunk = self._forward_tsn_chunk, None
            if not self._sent_queue:
                self._silent_since = self._loop.time()
            await self._send_chunk(forward)
            self._arm()
        limit = min(self._flight_size + BURST * self.chunk, self.window.size)
        if self._to_repeat:
            await self._repeat(limit)
        while self._outbound_queue and not self._to_repeat and self._flight_size < limit:
            piece = self._outbound_queue.popleft()
            self._sent_queue.append(piece)
            await self._transmit_one(piece)

    async def _repeat(self, limit: int) -> None:
        lost = [piece for piece in self._sent_queue if piece._retransmit]
        for piece in lost:
            if self._flight_size >= limit and not self._fast_recovery_transmit:
                return
            self._fast_recovery_transmit = piece._retransmit = False
            await self._transmit_one(piece)
        self._to_repeat = False

    async def _transmit_one(self, piece: Piece) -> None:
        now = self._loop.time()
        if piece is self._sent_queue[0]:
            self._silent_since = now
        self._flight_size_increase(piece)
        self._transmissions += 1
        piece.transmission, piece.sent, self._last_sent = self._transmissions, now, now
        piece._sent_count += 1
        piece._misses = 0
        self._ask(piece, now)
        await self._send_chunk(piece)
        self._arm()

    def _ask(self, piece: Piece, now: float) -> None:
        """Have the last chunk that there is to send acknowledged at once, once a round trip at most (RFC 7053)."""
        asked = piece._sent_count > 1 or (
            not self._outbound_queue and now - self._asked > (self.round_trip.smoothed or 0.0)
        )
        if asked:
            piece.flags |= IMMEDIATELY
            self._asked = now

    # Acknowledgements

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        if uint32_gt(self._last_sacked_tsn, chunk.cumulative_tsn):
            return
        self.advertised = chunk.advertised_rwnd
        full = self._flight_size >= self.window.size
        advanced = chunk.cumulative_tsn != self._last_sacked_tsn
        arrived = [*self._take_up_to(chunk.cumulative_tsn), *self._note(chunk)]
        self._measure(arrived)
        lost = self._find_lost(arrived)
        self._resize(chunk, sum(p._book_size for p in arrived) if full else 0, lost)
        if arrived or advanced:
            self._silent_since, self._probed = self._loop.time(), False
        self._update_advanced_peer_ack_point()
        await self._data_channel_flush()
        await self._transmit()
        self._arm()
        for callback in [*self.acknowledged]:
            callback()

    def _take_up_to(self, tsn: int) -> Iterator[Piece]:
        """What the other side has all of; yields what was not known of before."""
        self._last_sacked_tsn = tsn
        while self._sent_queue and uint32_gte(tsn, self._sent_queue[0].tsn):
            piece = self._sent_queue.popleft()
            self._flight_size_decrease(piece)
            if not piece._acked:
                piece._acked = True
                yield piece

    def _note(self, sack: SackChunk) -> Iterator[Piece]:
        """What the other side has behind gaps; yields what was not known of before."""
        gaps = iter(sack.gaps)
        first, last = next(gaps, (0, -1))
        for piece in self._sent_queue:
            place = (piece.tsn - sack.cumulative_tsn) % SCTP_TSN_MODULO
            while place > last >= first:
                first, last = next(gaps, (0, -1))
            if last < first:
                return
            if place >= first and not piece._acked:
                piece._acked, piece._retransmit = True, False
                self._flight_size_decrease(piece)
                yield piece

    def _measure(self, arrived: Iterable[Piece]) -> None:
        once = [piece.sent for piece in arrived if piece._sent_count == 1]
        if once:
            self.round_trip.measured(self._loop.time() - max(once))
            self._rto = self.round_trip.timeout  # aiortc's other timers use it

    def _find_lost(self, arrived: Iterable[Piece]) -> bool:
        """Mark what must be lost, as later transmissions have arrived; whether there was any."""
        credible = self._loop.time() - self.round_trip.shortest  # a copy cannot be acknowledged sooner
        evidence = [p for p in arrived if p._sent_count == 1 or p.sent <= credible]
        if not evidence:
            return False
        latest = max(evidence, key=lambda p: p.transmission)
        found = False
        for piece in self._sent_queue:
            if piece.transmission > latest.transmission and piece._sent_count == 1:
                break
            if piece._in_flight and piece.transmission < latest.transmission and self._is_lost(piece, latest):
                self._flight_size_decrease(piece)
                piece._retransmit = not self._maybe_abandon(piece)
                found = True
        self._to_repeat = self._to_repeat or found
        return found

    def _is_lost(self, piece: Piece, latest: Piece) -> bool:
        piece._misses += 1
        return piece._misses >= _STRIKES or latest.sent - piece.sent > (self.round_trip.smoothed or LONGEST_TIMEOUT)

    def _resize(self, sack: SackChunk, done: int, lost: bool) -> None:
        if self._recovery_until is not None and uint32_gte(sack.cumulative_tsn, self._recovery_until):
            self._recovery_until = None
        if lost and self._recovery_until is None:
            self.window.lost(self.chunk)
            self._recovery_until = self._sent_queue[-1].tsn
            self._fast_recovery_transmit = True
        elif done and self._recovery_until is None:
            self.window.acknowledged(done, self.chunk)
        self.window.bound(most_in_flight(self.chunk, self.round_trip.shortest, sack.advertised_rwnd))

    # The timer: one for the repeated last chunk, then for all

    @property
    def _probe_due(self) -> float | None:
        after = self.round_trip.probe_after
        if after is None or self._probed or self._to_repeat or not self._sent_queue:
            return None
        return max(self._last_sent, self._silent_since) + after

    @property
    def _due(self) -> float:
        timeout, probe = self._silent_since + self.round_trip.timeout, self._probe_due
        return timeout if probe is None else min(timeout, probe)

    @property
    def _waits(self) -> bool:
        """Whether something is to be acknowledged."""
        unacknowledged = self._sent_queue or uint32_gt(self._advanced_peer_ack_tsn, self._last_sacked_tsn)
        return bool(unacknowledged) and self._association_state is not self.State.CLOSED

    def _arm(self) -> None:
        """A timer that is too early sees so by itself: to set another one with each message would cost more."""
        if not self._waits:
            return
        due = self._due
        if self._t3_handle is not None and self._t3_handle.when() > due:
            self._t3_cancel()
        if self._t3_handle is None:
            self._t3_handle = self._loop.call_at(due, self._t3_expired)

    def _t3_expired(self) -> None:
        self._t3_handle = None
        if not self._waits:
            return
        if self._loop.time() < self._due:
            self._arm()
        elif self._probe_due is not None:
            unless_closed(self, self._probe_tail)
        else:
            self._give_all_for_lost()
            unless_closed(self, self._transmit_all_again)

    def _t1_expired(self) -> None:
        self.round_trip.expired()
        self._rto = self.round_trip.timeout
        super()._t1_expired()

    async def _probe_tail(self) -> None:
        self._probed = True
        last = next((p for p in reversed(self._sent_queue) if p._in_flight and p._max_retransmits is None), None)
        self._silent_since = self._loop.time()
        if last is not None:
            await self._transmit_one(last)
        self._arm()

    async def _transmit_all_again(self) -> None:
        await self._transmit()
        self._arm()

    def _give_all_for_lost(self) -> None:
        """After two timeouts also what the other side had: it may have given that up (RFC 9260 section 6.2.1)."""
        for piece in self._sent_queue:
            if not piece._acked or self.round_trip.doublings:
                piece._acked = False
                piece._retransmit = not self._maybe_abandon(piece)
                self._flight_size_decrease(piece)
        self._to_repeat, self._recovery_until, self._fast_recovery_transmit = True, None, False
        self._silent_since = self._loop.time()
        self._update_advanced_peer_ack_point()
        self.window.expired(self.chunk)
        self.round_trip.expired()

    def begin_anew(self) -> None:
        """What was sent has not arrived and is sent in other pieces: nothing of it is on its way."""
        self._flight_size = 0
        self._recovery_until, self._fast_recovery_transmit, self._to_repeat = None, False, False
        self._t3_cancel()
