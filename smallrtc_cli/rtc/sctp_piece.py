"""A message on its way: what was given to SCTP to send, in the pieces that its DATA chunks carry."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, SCTP_DATA_LAST_FRAG, DataChunk

from smallrtc_cli.protocol.congestion import LEAST_BOOKED


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """What was given to SCTP to send; its chunks hold on to it until they are acknowledged."""

    arguments: tuple[int, int, bytes]
    "Stream, protocol, payload."

    options: dict[str, Any]


class Piece(DataChunk):
    """A chunk of a message, and what has become of it."""

    def __init__(self, message: Message, tsn: int, number: int) -> None:
        super().__init__()
        self.message = message
        self.stream_id, self.protocol, _ = message.arguments
        self.tsn, self.stream_seq = tsn, number
        self._abandoned = False
        self._expiry = message.options["expiry"]
        self._max_retransmits = message.options["max_retransmits"]
        self._sent_time = None  # aiortc's; ours is `sent`

    def hold(self, payload: bytes, flags: int) -> None:
        """Carry this part; nothing of it has been sent."""
        self.user_data, self.flags = payload, flags
        self._book_size = max(len(payload), LEAST_BOOKED)
        self._acked = self._in_flight = self._retransmit = False
        self._misses = self._sent_count = 0
        self.sent = 0.0
        self.transmission = 0


def fragments(payload: bytes, size: int, *, first: bool = True) -> Iterator[tuple[bytes, int]]:
    """The payload in pieces with their flags; without `first` it lacks its beginning."""
    for start in range(0, len(payload), size):
        flags = SCTP_DATA_FIRST_FRAG if first and start == 0 else 0
        if start + size >= len(payload):
            flags |= SCTP_DATA_LAST_FRAG
        yield payload[start : start + size], flags
