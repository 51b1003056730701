"""Whether a data channel gets things through, and how fast: as its acknowledgements tell."""

import asyncio
from dataclasses import dataclass
from typing import Final

from smallrtc_cli.errors import ConnectionEnded
from smallrtc_cli.rtc.association import Association
from smallrtc_cli.rtc.connection import SmallWebRTCConnection

_PIECE: Final = 16_384
"Bytes of a message: what browsers cut files into."


@dataclass(frozen=True, slots=True)
class Holdup:
    """Something was sent, and nothing of it is acknowledged."""

    longest: int
    "User bytes of the longest chunk that waits."

    window: int | None
    "Bytes that the other side had room for, if it has said so meanwhile."


@dataclass(frozen=True, slots=True)
class Throughput:
    """What got through in chunks of a size, from the first byte to the last acknowledgement."""

    chunk: int
    acknowledged: int
    seconds: float

    @property
    def bytes_per_second(self) -> float:
        return self.acknowledged / self.seconds


def _association(connection: SmallWebRTCConnection) -> Association:
    peer = connection.peer
    if peer.pc.association is None or peer.path is None:
        raise ConnectionEnded(f"{connection.name} has no data channel")
    return peer.pc.association


async def holdup(connection: SmallWebRTCConnection, patience: float) -> Holdup | None:
    """None as soon as all is acknowledged, or if anything is within `patience` seconds."""
    association = _association(connection)
    before, told = association.acknowledged_up_to, list[int | None]()
    stop = association.on_acknowledgement(lambda: told.append(association.window))
    try:
        drained = await connection.peer.drain(patience)
    finally:
        stop()
    if drained or association.acknowledged_up_to != before:
        return None
    return Holdup(max(association.in_flight, default=0), told[-1] if told else None)


async def throughput(
    connection: SmallWebRTCConnection, chunk: int, *, size: int = 262_144, time_limit: float = 1.0
) -> Throughput:
    """Send `size` bytes to another smallrtc in chunks of a size, and see how much of it gets there in time.

    Begins as carefully as a fresh connection, so that two sizes can be compared. What is stuck stays so: measure a
    size that may not pass last. Raises `ConnectionEnded`.
    """
    association, peer, loop = _association(connection), connection.peer, asyncio.get_running_loop()
    present, association.chunk = association.chunk, chunk
    association.start_slowly()
    began = loop.time()
    try:
        for _ in range(size // _PIECE):
            connection.send_load(_PIECE)
        total = peer.buffered
        await peer.drain(time_limit)
    finally:
        association.chunk = present
    return Throughput(chunk, max(0, total - peer.buffered), loop.time() - began)
