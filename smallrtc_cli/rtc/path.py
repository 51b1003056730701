"""What a connected path carries in one piece: the search of `protocol.mtu`, performed on the nominated pair.

The probes are SCTP packets within DTLS, a HEARTBEAT and a PAD chunk, byte for byte as long as a packet of the data
channel: exact for any cipher and any relay. They have no part in the association: nothing is numbered, acknowledged
or resent. A peer that does not know PAD is asked by STUN binding requests of the same length. Both show what passes
from here to there; the other direction is for the other side to probe.
"""

import asyncio
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from aioice import stun

from smallrtc_cli.protocol.mtu import STEP, Finding, MtuSearch, Outcome, Probe
from smallrtc_cli.protocol.packet_sizes import COMMON_MTUS, Layers, pad4
from smallrtc_cli.rtc import aiortc_internals
from smallrtc_cli.rtc.association import HEARTBEAT_INFO_LENGTH, Association
from smallrtc_cli.rtc.ice import IceAgent
from smallrtc_cli.rtc.wire import Wire

_GUESSED_ROUND_TRIP: Final = 0.1
"Seconds, where no check has been timed."

_PADDING: Final = 0xC05D
"A private attribute of STUN that an agent may ignore (RFC 8489 section 14); the official PADDING may not be."

_PIECES_TRIES: Final = 3


class Limit(StrEnum):
    """What keeps a longer packet from passing."""

    LOCAL = "local"
    "Our own interface: the system refuses to send it in one piece."

    ICMP = "icmp"
    "A router that tells (RFC 1191, RFC 8201), now or not long ago."

    BLACK_HOLE = "black-hole"
    "It disappears, and nothing comes back."

    NONE = "none"
    "Whatever a data channel can send passes."

    @property
    def words(self) -> str:
        """For people, as seen from the side that was limited."""
        return _IN_WORDS[self]


_IN_WORDS: Final = {
    Limit.LOCAL: "the limit of our own interface",
    Limit.ICMP: "a router says so",
    Limit.BLACK_HOLE: "a black hole: nothing comes back",
    Limit.NONE: "no limit was found",
}


@dataclass(frozen=True, slots=True)
class PathReport:
    """What is known of one direction of a path: from here to the other side."""

    finding: Finding
    layers: Layers
    method: str
    "`sctp` or `stun`."

    limit: Limit
    pieces_pass: bool | None
    "Whether a packet longer than the path arrives when it may be cut (IP fragments); None where nothing is too long."

    known_mtu: int | None
    "What our own system takes for the path's MTU."

    round_trip: float

    @property
    def chunk(self) -> int | None:
        """The most user bytes in a chunk; None where nothing was found."""
        return self.finding.largest

    @property
    def ip_packet(self) -> int | None:
        """The length of the longest packet that passed: the path's MTU, or up to three bytes less."""
        return None if self.chunk is None else self.layers.ip_packet(self.chunk)

    @property
    def mtu(self) -> int | None:
        """The path's MTU as people know it: within what was found, what our own system or the world calls by a name."""
        found, refused = self.ip_packet, self.refused_ip_packet
        if found is None or refused is None:
            return found
        named = [size for size in (self.known_mtu or 0, *COMMON_MTUS) if found <= size < refused]
        return named[0] if named else found

    @property
    def refused_ip_packet(self) -> int | None:
        """The length of the shortest packet that surely does not pass."""
        return None if self.finding.refused is None else self.layers.ip_packet(self.finding.refused)


class Echo(Protocol):
    """Makes probes, and tells which have been answered."""

    method: str
    "What a report calls it."

    def datagram(self, probe: Probe) -> bytes:
        """What to send for a probe; raises `ConnectionError` when the connection is gone."""

    def start(self, answered: Callable[[int], None]) -> None:
        """From now on call back with the id of each probe that is answered."""

    def stop(self) -> None:
        """Not any more."""


class HeartbeatEcho:
    """SCTP HEARTBEAT and PAD chunks within DTLS."""

    method = "sctp"

    def __init__(self, association: Association) -> None:
        self._association = association
        self._mark = os.urandom(HEARTBEAT_INFO_LENGTH - 4)
        self._stop: Callable[[], object] | None = None

    def datagram(self, probe: Probe) -> bytes:
        return self._association.probe(self._mark + struct.pack("!L", probe.id), probe.size)

    def start(self, answered: Callable[[int], None]) -> None:
        def acknowledged(info: bytes) -> None:
            if info.startswith(self._mark) and len(info) == HEARTBEAT_INFO_LENGTH:
                answered(struct.unpack("!L", info[-4:])[0])

        self._stop = self._association.on_heartbeat_ack(acknowledged)

    def stop(self) -> None:
        if self._stop is not None:
            self._stop()


class StunEcho:
    """Binding requests on the pair, as long as the packet of a data channel would be; any ICE agent answers."""

    method = "stun"

    def __init__(self, agent: IceAgent, layers: Layers) -> None:
        self._agent, self._layers = agent, layers
        self._pair = agent.nominated_pair()
        self._waiting: set[bytes] = set()
        self._answered: Callable[[int], None] = lambda _: None

    def datagram(self, probe: Probe) -> bytes:
        if self._agent.is_closing() or self._agent.remote_password is None:
            raise ConnectionError("not connected")
        request = self._agent.build_request(self._pair, nominate=False)
        self._waiting.add(request.transaction_id)
        self._pair.protocol.transactions[request.transaction_id] = _Transaction(lambda: self._answered(probe.id))
        return padded_request(request, self._agent.remote_password, pad4(self._layers.udp_payload(probe.size)))

    def start(self, answered: Callable[[int], None]) -> None:
        self._answered = answered

    def stop(self) -> None:
        for transaction in self._waiting:
            self._pair.protocol.transactions.pop(transaction, None)


@dataclass(frozen=True, slots=True)
class _Transaction:
    """In the place of aioice's, which would resend the request: any answer, an error too, shows that it arrived."""

    answered: Callable[[], None]

    def response_received(self, *_: object) -> None:
        self.answered()


def padded_request(request: stun.Message, password: str, length: int) -> bytes:
    """A signed request of that length, or as short as it can be."""
    data = bytes(request)
    padding = length - len(data) - 4 - stun.INTEGRITY_LENGTH - stun.FINGERPRINT_LENGTH
    if padding >= 0:
        data += struct.pack("!HH", _PADDING, padding) + bytes(padding)
    data += struct.pack("!HH", 0x0008, 20) + stun.message_integrity(data, password.encode())
    data += struct.pack("!HHL", 0x8028, 4, stun.message_fingerprint(data))
    return stun.set_body_length(data, len(data) - stun.HEADER_LENGTH)


def layers_of(agent: IceAgent, association: Association) -> Layers:
    """What lies below the packets on the nominated pair; raises `ConnectionError` without one."""
    pair = agent.nominated_pair()
    if pair is None:
        raise ConnectionError("not connected")
    wire = Wire.of(pair)
    wire.close()
    security = aiortc_internals.dtls_security(association.sctp.transport)
    return Layers(wire.family, wire.leg.relay, **({"cipher": security.cipher} if security else {}))


async def probe_path(
    agent: IceAgent,
    association: Association,
    *,
    time_limit: float = 3.0,
    progress: Callable[[int], None] | None = None,
) -> PathReport:
    """Find the largest chunk that passes from here to there; `progress` is told of each larger one as it is proven.

    Takes four round trips or so, and `time_limit` seconds at most. For one at a time on each connection. Raises
    `ConnectionError` when the connection is gone.
    """
    layers = layers_of(agent, association)
    pair = agent.nominated_pair()
    wire = Wire.of(pair)
    began = asyncio.get_running_loop().time()
    try:
        measured = agent.path(pair).round_trip
        prober = _Prober(wire, layers, measured or _GUESSED_ROUND_TRIP, began + time_limit, progress)
        finding, echo = await prober.search([HeartbeatEcho(association), StunEcho(agent, layers)])
        known = wire.known_mtu()
        pieces = await prober.pieces_pass(echo, finding) if finding.refused else None
    finally:
        wire.close()
    return PathReport(finding, layers, echo.method, limit_of(finding, layers, known), pieces, known, prober.round_trip)


def limit_of(finding: Finding, layers: Layers, known_mtu: int | None) -> Limit:
    """What the limit is due to. The system's own knowledge counts only where a packet above it left and was lost."""
    if finding.refused is None:
        return Limit.NONE
    if finding.local:
        return Limit.LOCAL
    told = known_mtu is not None and known_mtu < layers.ip_packet(finding.refused)
    return Limit.ICMP if told else Limit.BLACK_HOLE


class _Prober:
    """Performs searches on one wire until a deadline."""

    def __init__(
        self, wire: Wire, layers: Layers, round_trip: float, deadline: float, progress: Callable[[int], None] | None
    ) -> None:
        self._wire, self._layers, self._deadline, self._progress = wire, layers, deadline, progress
        self._loop = asyncio.get_running_loop()
        self.round_trip = round_trip

    async def search(self, echoes: Iterable[Echo]) -> tuple[Finding, Echo]:
        """Search with the first echo that answers at all."""
        for echo in echoes:
            finding = await self._search(echo)
            if finding.outcome is not Outcome.UNANSWERED:
                break
        return finding, echo

    async def _search(self, echo: Echo) -> Finding:
        ladder = self._layers.ladder()
        left = max(0.0, self._deadline - self._loop.time())
        search = MtuSearch(ladder[0], ladder[-1], self.round_trip, common=ladder, time_limit=left)
        heard = asyncio.Event()

        def answered(probe_id: int) -> None:
            search.answered(probe_id, self._loop.time())
            heard.set()

        echo.start(answered)
        try:
            while search.result is None:
                self._send(echo, search, search.next(self._loop.time()))
                await self._wait(heard, search.deadline)
                if self._progress is not None and search.best is not None:
                    self._progress(search.best)
        finally:
            echo.stop()
        self.round_trip = search.round_trip
        return search.result

    def _send(self, echo: Echo, search: MtuSearch, probes: list[Probe]) -> None:
        """Those that end a round are small: they go although one before them is too long."""
        for part in ([p for p in probes if p.size > STEP], [p for p in probes if p.size <= STEP]):
            refused = self._wire.send_whole([echo.datagram(probe) for probe in part])
            if refused is not None:
                search.too_big(part[refused].size)

    async def _wait(self, heard: asyncio.Event, until: float | None) -> None:
        if until is None:
            return
        heard.clear()
        try:
            async with asyncio.timeout_at(until):
                await heard.wait()
        except TimeoutError:
            return

    async def pieces_pass(self, echo: Echo, finding: Finding) -> bool:
        """Whether a packet that is too long arrives when it may be cut."""
        heard, size = asyncio.Event(), finding.refused or 0
        echo.start(lambda _: heard.set())
        try:
            datagrams = [echo.datagram(Probe(number, size)) for number in range(_PIECES_TRIES)]
            self._wire.send_in_pieces(datagrams, self._layers.ip_packet(finding.largest or size))
            await self._wait(heard, min(self._deadline, self._loop.time() + 0.05 + 1.5 * self.round_trip))
        finally:
            echo.stop()
        return heard.is_set()
