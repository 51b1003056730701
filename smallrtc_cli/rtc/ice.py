"""The ICE agent: candidates without delay, all servers tried, a connection on its event.

On top of aioice: host candidates are ready at once, also on a machine that has only a loopback interface; every
STUN and TURN server is tried, the next one beside it when one is slow, and none of them can delay an offer or an
answer by more than `gather_timeout`; `connect` returns in the moment a pair is nominated; a sign of life can be
asked for; close is bounded even when a TURN server is gone. Sockets are opened on the interfaces and ports that the
options allow, an address known only outside is announced with them, and what checks have shown is kept for a diagnosis.
"""

import asyncio
import ipaddress
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aioice import Candidate, TransportPolicy, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import CandidatePair, StunProtocol

from smallrtc_cli.config import Ice
from smallrtc_cli.errors import UsageError
from smallrtc_cli.rtc.addresses import (
    announced,
    bind_udp,
    chosen_addresses,
    is_literal,
    local_interfaces,
    own_addresses,
)
from smallrtc_cli.rtc.aiortc_internals import IceConnection, abandon_relay
from smallrtc_cli.rtc.servers import StunServer, TurnServer, allocation, mapping, resolve
from smallrtc_cli.rtc.sockets import COMPONENT, CheckSocket, Path, open_socket

logger = logging.getLogger(__name__)

T = TypeVar("T")

_RELAY_FAREWELL = 1.0
"Seconds that a TURN server gets to confirm the end of an allocation; it expires by itself anyway."

_REMEMBERED = 64
"Remote candidates that are remembered for a diagnosis; browsers send about ten."


@dataclass(frozen=True, slots=True)
class IceOptions:
    """How to be reachable: servers to use, sockets to open, what to announce."""

    stun_servers: Sequence[StunServer] = ()
    turn_servers: Sequence[TurnServer] = ()
    relay_only: bool = False
    "Let nothing but a TURN server's relay be used."

    udp_ports: range | None = None
    "Host candidates are bound inside this range (`parse_udp_ports`); the way to a TURN server may have any port."

    interfaces: tuple[str, ...] = ()
    "Names or addresses of the only network interfaces to use (`check_interfaces`)."

    public_ip: str | None = None
    "An address or a name under which a 1:1 NAT forwards to this machine, port by port (`parse_public_ip`)."


def host_addresses(interfaces: Sequence[str] = ()) -> list[str]:
    """The addresses of this machine, or of those interfaces; the loopback address where there is no other.

    Raises `UsageError` for an interface that is not there (any more).
    """
    if interfaces:
        return chosen_addresses(interfaces, local_interfaces())
    return own_addresses() or ["127.0.0.1"]


class IceAgent(IceConnection):
    """One end of an ICE connection; see the module's docstring for what it adds to aioice."""

    def __init__(
        self,
        stun_servers: Sequence[StunServer] = (),
        turn_servers: Sequence[TurnServer] = (),
        *,
        relay_only: bool = False,
        udp_ports: range | None = None,
        interfaces: Sequence[str] = (),
        public_ip: str | None = None,
        settings: Ice | None = None,
        trickle: Callable[[Candidate | None], None] | None = None,
    ) -> None:
        """`trickle` is called with each candidate that comes after `gather_candidates` returned, then None."""
        policy = TransportPolicy.RELAY if relay_only else TransportPolicy.ALL
        super().__init__(ice_controlling=False, transport_policy=policy)
        self._stun_servers, self._turn_servers = stun_servers, turn_servers
        self.relay_only = relay_only
        self._udp_ports, self._interfaces, self._public_ip = udp_ports, interfaces, public_ip
        self._settings = settings or Ice()
        self._trickle = trickle
        self._wake = asyncio.Event()
        self._opening: asyncio.Task[None] | None = None
        self._gathering: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._returned = False
        self.take_media: Callable[[bytes], bool] | None = None
        "Sees what is no STUN first, and says whether it has taken it."
        self.last_heard = 0.0
        "When the last packet of any kind came from the other side, in loop time."
        self.path_lost = False
        "Whether the socket of the nominated pair died under us."
        self.server_errors: dict[str, str] = {}
        "Why a STUN or TURN server gave no candidate, by its URL."
        self.host_errors: dict[str, str] = {}
        "Why there is no host candidate on an address, or for an interface."
        self.offered: deque[Candidate] = deque(maxlen=_REMEMBERED)
        "What the other side offered, also what cannot be used; an mDNS name stands as it came."
        self.requests_heard = 0
        "Checks that arrived from anybody, also those with a wrong password."

    # Gathering

    async def gather_candidates(self) -> None:
        """Open the host candidates and ask the servers, waiting for these as long as the settings allow."""
        if self.is_closing() or not self.begin_gathering():
            return
        self._opening = asyncio.create_task(self._open_hosts())
        await asyncio.shield(self._opening)  # sockets that are half open would have no owner
        if self._has_questions() and not self.is_closing():
            self.still_gathering = True
            self._gathering = asyncio.create_task(self._ask_servers())
            await asyncio.wait({self._gathering}, timeout=self._patience())
        self._returned = True
        self.hosts_gathered()

    async def _open_hosts(self) -> None:
        for address in self._own_addresses():
            try:
                protocol = await open_socket(lambda: CheckSocket(self), bind_udp(address, self._udp_ports))
            except OSError as error:
                self.host_errors[address] = error.strerror or _reason(error)
                logger.warning("no candidate on %s: %s", address, self.host_errors[address])
                continue
            protocol.local_candidate = _host_candidate(protocol)
            self.add_local_candidate(protocol.local_candidate, protocol)
        if self._public_ip is not None and is_literal(self._public_ip):
            self._announce(self._public_ip)

    def _own_addresses(self) -> list[str]:
        if self.relay_only:
            return []
        try:
            return host_addresses(self._interfaces)
        except UsageError as error:  # it was there when the options were read
            self.host_errors[", ".join(self._interfaces)] = str(error)
            return []

    def _announce(self, public: str) -> None:
        for protocol in self.host_protocols():
            candidate = announced(protocol.local_candidate, public)
            if candidate is not None:
                self._found_reflexive(candidate)

    def _has_questions(self) -> bool:
        named = self._public_ip is not None and not is_literal(self._public_ip) and not self.relay_only
        return bool(self._stun_servers or self._turn_servers or named)

    @property
    def servers(self) -> tuple[str, ...]:
        """The URLs of all servers to ask."""
        return (*(server.url for server in self._stun_servers), *(server.url for server in self._turn_servers))

    def sockets(self) -> list[StunProtocol]:
        """The sockets of the candidates, and the allocations on TURN servers."""
        return [*self.host_protocols(), *self.relay_protocols()]

    @property
    def trickling(self) -> bool:
        """Whether more local candidates may come."""
        return self.still_gathering

    def _patience(self) -> float | None:
        if self.relay_only:
            return None  # there is nothing to say without a relay, and the question itself has its limit
        return 0.0 if self._trickle else self._settings.gather_timeout

    async def _ask_servers(self) -> None:
        tasks = [asyncio.create_task(self._reflexive(p)) for p in self.host_protocols() if _is_ipv4(p)]
        if self._turn_servers:
            tasks.append(asyncio.create_task(self._relayed()))
        if self._public_ip is not None and not is_literal(self._public_ip) and not self.relay_only:
            tasks.append(asyncio.create_task(self._announce_name(self._public_ip)))
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=self._settings.trickle_timeout)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._gathered()

    def _gathered(self) -> None:
        self.still_gathering = False
        self._wake.set()
        if self.is_closing():
            return
        self.fail_if_exhausted()
        if self._returned and self._trickle:
            self._trickle(None)

    async def _reflexive(self, protocol: StunProtocol) -> None:
        questions = [(s.url, mapping(protocol, s)) for s in self._stun_servers]
        await self._first_success(questions, self._found_reflexive)

    def _found_reflexive(self, candidate: Candidate) -> None:
        known = {(c.host, c.port) for c in self.local_candidates}
        if (candidate.host, candidate.port) not in known:
            self._found(candidate)

    async def _announce_name(self, name: str) -> None:
        async def look_up() -> str:
            return (await resolve(name, 0))[0]

        await self._first_success([(name, look_up)], self._announce)

    async def _relayed(self) -> None:
        attempts = [(s.url, allocation(self, s, hide=self.relay_only)) for s in self._turn_servers]
        await self._first_success(attempts, lambda relay: self._found(*relay))

    def _found(self, candidate: Candidate, protocol: StunProtocol | None = None) -> None:
        self.add_local_candidate(candidate, protocol)
        self._wake.set()
        if self._returned and self._trickle and not self.is_closing():
            self._trickle(candidate)

    async def _first_success(
        self, attempts: Sequence[tuple[str, Callable[[], Awaitable[T]]]], use: Callable[[T], None]
    ) -> None:
        """Start the attempts in order, the next one when the last failed or is slow, until one has a result to use."""
        waiting, running = list(attempts), dict[asyncio.Future[T], str]()
        found = False
        try:
            while (waiting or running) and not found:
                if waiting:
                    url, start = waiting.pop(0)
                    running[asyncio.ensure_future(start())] = url
                pause = self._settings.stagger if waiting else None
                await asyncio.wait(running, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                found = self._harvest(running, use)
        finally:
            # A relay that came in the moment of a cancellation is used too: so it has an owner that closes it.
            if not (self._harvest(running, use) or found):
                self.server_errors.update(dict.fromkeys(running.values(), "no answer"))
            for attempt in running:
                attempt.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _harvest(self, running: dict[asyncio.Future[T], str], use: Callable[[T], None]) -> bool:
        """Take out what has finished, use each result and note each error; whether there was a result."""
        found = False
        for attempt in [a for a in running if a.done() and not a.cancelled()]:
            url = running.pop(attempt)
            if (error := attempt.exception()) is None:
                found = True
                use(attempt.result())
            else:
                self.server_errors[url] = _reason(error)
                logger.info("no candidate from %s: %s", url, self.server_errors[url])
        return found

    # Checks

    async def add_remote_candidate(self, remote_candidate: Candidate | None) -> None:
        """Add a remote candidate (None: no more will come) and go on checking at once."""
        if remote_candidate is not None:
            self.offered.append(remote_candidate)
        await super().add_remote_candidate(remote_candidate)
        self._wake.set()

    async def connect(self) -> None:
        """Check pairs until one is nominated; raises `ConnectionError` when none can be."""
        if self.remote_username is None or self.remote_password is None:
            raise ConnectionError("the remote ICE credentials are missing")
        if self.is_closing():
            raise ConnectionError("the ICE agent is closed")
        outcome = self.begin_checks()
        outcome.add_done_callback(lambda _: self._wake.set())
        try:
            while not outcome.done():
                self._wake.clear()
                await self._pause(self._settings.pacing if self.start_next_check() else None)
        finally:
            outcome.cancel()
            self.end_checks()
        if not self.succeeded(outcome.result()) or self.is_closing():
            raise ConnectionError("no candidate pair works")
        self.last_heard = asyncio.get_running_loop().time()
        self.start_consent()

    async def _pause(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def check_complete(self, pair: object) -> None:
        super().check_complete(pair)  # type: ignore[arg-type]
        self._wake.set()

    # Liveness

    def data_received(self, data: bytes, component: int) -> None:
        self.last_heard = asyncio.get_running_loop().time()
        if self.take_media is None or not self.take_media(data):
            super().data_received(data, component)

    def check_incoming(self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol) -> None:
        self.last_heard = asyncio.get_running_loop().time()  # aioice has checked the password by now
        if isinstance(protocol, CheckSocket):
            protocol.path(addr).requests_received += 1
        super().check_incoming(message, addr, protocol)

    def request_received(self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol) -> None:
        self.requests_heard += 1
        super().request_received(message, addr, protocol)

    @staticmethod
    def path(pair: CandidatePair) -> Path:
        """What checks on a pair have shown."""
        known = pair.protocol.paths if isinstance(pair.protocol, CheckSocket) else {}
        return known.get(pair.remote_addr) or Path()

    def protocol_lost(self, protocol: StunProtocol) -> None:
        pair = self.nominated_pair()
        self.path_lost = self.path_lost or (pair is not None and pair.protocol is protocol)
        super().protocol_lost(protocol)

    async def ask_consent(self) -> bool:
        """Ask for a sign of life on the nominated pair; whether one came (within half a second)."""
        pair = self.nominated_pair()
        if pair is None or self.remote_password is None:
            return False
        request = self.build_request(pair, nominate=False)
        key = self.remote_password.encode()
        try:
            await pair.protocol.request(request, pair.remote_addr, integrity_key=key, retransmissions=0)
        except stun.TransactionError:
            return False
        self.last_heard = asyncio.get_running_loop().time()
        return True

    async def close(self) -> None:
        """Close all sockets, once, for as many as ask; relays that do not say goodbye in time are left to expire."""
        if self._ending is None:
            self.begin_closing()
            self._ending = asyncio.create_task(self._close())
        await asyncio.shield(self._ending)

    def let_go(self) -> None:
        super().let_go()
        self.take_media = self._trickle = None

    async def _close(self) -> None:
        if self._opening is not None:
            await asyncio.wait({self._opening})
        if self._gathering is not None:
            self._gathering.cancel()
            await asyncio.wait({self._gathering})
        loop, relays = asyncio.get_running_loop(), self.relay_protocols()
        farewells = [loop.call_later(_RELAY_FAREWELL, abandon_relay, relay) for relay in relays]
        try:
            await super().close()
        finally:
            for farewell in farewells:
                farewell.cancel()
            for relay in relays:
                abandon_relay(relay)  # a connection that broke in the middle of the goodbye leaves that waiting


def _host_candidate(protocol: CheckSocket) -> Candidate:
    host, port = protocol.transport.get_extra_info("sockname")[:2]
    return Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=COMPONENT,
        transport="udp",
        priority=candidate_priority(COMPONENT, "host"),
        host=host,
        port=port,
        type="host",
    )


def _is_ipv4(protocol: StunProtocol) -> bool:
    return ipaddress.ip_address(protocol.local_candidate.host).version == 4


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
