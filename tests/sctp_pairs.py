"""Two SCTP transports and the datagrams between them, which are lost, copied and late by a seed, in virtual time."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiortc import RTCDataChannel, RTCDataChannelParameters, RTCSctpCapabilities, RTCSctpTransport
from aiortc.rtcsctptransport import Chunk, parse_packet

from smallrtc_cli.rtc.sctp import Sctp

OURS, AIORTCS = Sctp, RTCSctpTransport

MIB = 1 << 20

_APART = 1e-7
"Seconds between two datagrams of one burst: timers of the same moment keep no order."


@dataclass
class Weather:
    """What happens to datagrams, of both directions; may be changed at any time."""

    loss: float = 0.0
    copies: float = 0.0
    "The shares of datagrams that are dropped, and that arrive twice."

    delay: float = 0.005
    late: float = 0.0
    "Seconds that each takes, and up to how many more a fifth of them does: those are overtaken."

    eats: Callable[[Chunk], bool] = lambda chunk: False
    "Whether a datagram with this chunk disappears."

    room: int = MIB
    "How many may be on their way in one direction, as in a socket's buffer: more are dropped, and counted."

    seed: int = 0
    crowded_out: int = 0


@dataclass
class Sent:
    at: float
    chunk: Any


class End:
    """In the place of a DTLS transport."""

    state = "connected"

    def __init__(self, role: str, weather: Weather) -> None:
        self._role, self.weather = role, weather
        self.other: End
        self.sent: list[Sent] = []
        self.packets: list[list[Chunk]] = []
        self.in_the_air = 0
        self._last = 0.0
        self._random = random.Random(f"{role} {weather.seed}")
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._receiver: Any = None

    def _register_data_receiver(self, receiver: Any) -> None:
        self._receiver = receiver

    def _unregister_data_receiver(self, receiver: Any) -> None:
        self._receiver = None

    async def _send_data(self, data: bytes) -> None:
        loop, weather = asyncio.get_running_loop(), self.weather
        chunks = parse_packet(data)[3]
        self.packets.append(chunks)
        self.sent += [Sent(loop.time(), chunk) for chunk in chunks]
        if any(weather.eats(chunk) for chunk in chunks) or self._random.random() < weather.loss:
            return
        for _ in range(2 if self._random.random() < weather.copies else 1):
            if self.in_the_air >= weather.room:
                weather.crowded_out += 1
                continue
            self.in_the_air += 1
            extra = self._random.random() * weather.late if self._random.random() < 0.2 else 0.0
            self._last = max(self._last + _APART, loop.time() + weather.delay)
            loop.call_at(self._last + extra, self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        self.in_the_air -= 1
        self.other._inbox.put_nowait(data)

    async def pump(self) -> None:
        while True:
            data = await self._inbox.get()
            if self._receiver is not None:
                await self._receiver._handle_data(data)

    def chunks(self, kind: type[Chunk]) -> list[Any]:
        return [sent.chunk for sent in self.sent if isinstance(sent.chunk, kind)]


@dataclass
class Side:
    end: End
    sctp: Any
    channel: Any = None
    received: list[bytes | str] = field(default_factory=list)

    def take(self, channel: RTCDataChannel) -> None:
        self.channel = channel
        channel.on("message", self.received.append)

    @property
    def idle(self) -> bool:
        return not (self.sctp._data_channel_queue or self.sctp._outbound_queue or self.sctp._sent_queue)


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def arrived(*sides: Side) -> None:
    await until(lambda: all(side.idle for side in sides))


@contextlib.asynccontextmanager
async def pair(
    weather: Weather, one: type[RTCSctpTransport] = OURS, other: type[RTCSctpTransport] = OURS, **parameters: Any
) -> AsyncIterator[tuple[Side, Side]]:
    """Two sides with a channel between them; the first has opened it."""
    ends = End("client", weather), End("server", weather)
    ends[0].other, ends[1].other = ends[1], ends[0]
    sides = Side(ends[0], one(ends[0])), Side(ends[1], other(ends[1]))
    pumps = [asyncio.create_task(end.pump()) for end in ends]
    sides[1].sctp.on("datachannel", sides[1].take)
    sides[0].take(RTCDataChannel(sides[0].sctp, RTCDataChannelParameters(label="chat", **parameters)))
    await asyncio.gather(*(side.sctp.start(RTCSctpCapabilities(262_144), 5000) for side in sides))
    await until(lambda: all(side.channel and side.channel.readyState == "open" for side in sides))
    await until(lambda: all(side.idle for side in sides))
    for end in ends:
        end.sent.clear()
        end.packets.clear()
    try:
        yield sides
    finally:
        await asyncio.gather(*(side.sctp.stop() for side in sides))
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
