"""A path between two peers on this machine that needs no rights: a relay with a limit, a delay and losses.

Each peer is told, by its copy of the other's description, of one address only: the relay's. So ICE, DTLS, sound and
probes of the path all run through it. It has a thread of its own, and what is random follows a seed.
"""

import contextlib
import heapq
import itertools
import random
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from smallrtc_cli.protocol.candidates import parse_candidate
from smallrtc_cli.protocol.sdp import is_candidate, join, lines_of
from smallrtc_cli.protocol.signalling import Answer, Exchange, SmallWebRTCPatchRequest, SmallWebRTCRequest

LOOPBACK = "127.0.0.1"

_UDP_AND_IP = 28  # bytes of both headers, IPv4
_LONGEST_QUEUE = 10_000  # packets on their way; more are dropped, and counted as `crowded`

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Link:
    """One way through the relay."""

    mtu: int = 1500
    "Bytes of the longest IP packet that passes; longer ones vanish, as in a black hole."

    delay: float = 0.0
    jitter: float = 0.0
    "Seconds; the standard deviation of what comes on top of `delay`. Packets keep their order."

    loss: float = 0.0
    "The share of packets that is dropped, 0 to 1, each by itself."


class End:
    """The relay's socket for one side, which stands for the other one there."""

    def __init__(self, link: Link, seed: int) -> None:
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((LOOPBACK, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.peer: Address | None = None
        "Where this side is: what else comes here is none of our business."
        self.link = link
        "What happens to the packets of this side; may be changed at any time."
        self.counts: Counter[str] = Counter()
        "Packets: `passed`, `too_long`, `lost`, `crowded`, `stray`."
        self._random = random.Random(seed)
        self._latest = 0.0

    @property
    def address(self) -> Address:
        host, port = self.socket.getsockname()
        return host, port

    def due(self, size: int, source: Address, now: float) -> float | None:
        """When a packet with so many bytes of payload leaves the relay; None: never. Two random numbers for each."""
        link, late, luck = self.link, self._random.gauss(), self._random.random()
        fate = "stray" if source != self.peer else "too_long" if size + _UDP_AND_IP > link.mtu else "passed"
        if fate == "passed" and luck < link.loss:
            fate = "lost"
        self.counts[fate] += 1
        if fate != "passed":
            return None
        self._latest = max(self._latest, now + max(0.0, link.delay + link.jitter * late))
        return self._latest


class PathRelay:
    """Two ends and the thread that carries packets between them, from `start` to `close`."""

    def __init__(self, link: Link, seed: int = 1) -> None:
        self.caller, self.callee = End(link, seed), End(link, seed + 1)
        self._queue: list[tuple[float, int, End, bytes]] = []
        self._order = itertools.count()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="path-relay", daemon=True)

    def change(self, link: Link) -> None:
        """Both ways are like this from now on."""
        self.caller.link = self.callee.link = link

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join(10)
        for end in (self.caller, self.callee):
            end.socket.close()

    def through(self, exchange: Exchange) -> "RelayedExchange":
        """An exchange whose caller meets its callee on this path."""
        return RelayedExchange(exchange, self)

    def _run(self) -> None:
        sockets = {self.caller.socket: (self.caller, self.callee), self.callee.socket: (self.callee, self.caller)}
        while not self._ended.is_set():
            pause = min(0.05, max(0.0, self._queue[0][0] - time.monotonic())) if self._queue else 0.05
            for ready in select.select(list(sockets), [], [], pause)[0]:
                self._take_in(*sockets[ready])
            while self._queue and self._queue[0][0] <= time.monotonic():
                _, _, far, packet = heapq.heappop(self._queue)
                _send(far, packet)

    def _take_in(self, near: End, far: End) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                packet, source = near.socket.recvfrom(65_536)
                due = near.due(len(packet), source, time.monotonic())
                if due is None:
                    continue
                if len(self._queue) >= _LONGEST_QUEUE:
                    near.counts["crowded"] += 1
                    continue
                heapq.heappush(self._queue, (due, next(self._order), far, packet))


def _send(end: End, packet: bytes) -> None:
    if end.peer is not None:
        with contextlib.suppress(OSError):  # the other side is gone: so is the packet
            end.socket.sendto(packet, end.peer)


class RelayedExchange:
    """Hands descriptions over with the relay's addresses in the place of the peers' own."""

    def __init__(self, exchange: Exchange, relay: PathRelay) -> None:
        self._exchange, self._relay = exchange, relay

    async def offer(self, request: SmallWebRTCRequest) -> Answer:
        caller, callee = self._relay.caller, self._relay.callee
        offer, caller.peer = redirected(request.sdp, callee.address)
        answer = await self._exchange.offer(replace(request, sdp=offer))
        sdp, callee.peer = redirected(answer["sdp"], caller.address)
        return {**answer, "sdp": sdp}

    async def candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """Later candidates stay here: there is one path, and both know its ends."""


@contextlib.contextmanager
def path_relay(link: Link = Link(), seed: int = 1) -> Iterator[PathRelay]:
    """A relay for the length of a block."""
    relay = PathRelay(link, seed)
    relay.start()
    try:
        yield relay
    finally:
        relay.close()


def redirected(sdp: str, address: Address) -> tuple[str, Address]:
    """A description whose only candidate is `address`, and the first IPv4 address that it had."""
    known = [found for line in lines_of(sdp) if (found := _udp4_address(line))]
    if not known:
        raise ValueError("the description has no IPv4 candidate to stand in for")
    host, port = address
    only = f"a=candidate:1 1 udp 2130706431 {host} {port} typ host"
    lines: list[str] = []
    for line in lines_of(sdp):
        if not is_candidate(line):
            lines.append(line)
        elif lines[-1] != only:
            lines.append(only)
    return join(lines), known[0]


def _udp4_address(line: str) -> Address | None:
    candidate = parse_candidate(line) if is_candidate(line) else None
    if candidate is None or candidate.protocol.lower() != "udp" or ":" in candidate.address:
        return None
    return candidate.address, candidate.port
