"""STUN and TURN servers: their URLs, and the questions that an agent has for them.

A question is a function that asks once, and raises when there is no answer; whom to ask, when and for how long is the
agent's to decide (`ice`).
"""

import logging
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from aioice import Candidate, Connection, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, relayed_candidate

from smallrtc_cli.errors import UsageError
from smallrtc_cli.protocol.signalling import IceServerSpec
from smallrtc_cli.rtc.addresses import is_literal
from smallrtc_cli.rtc.aiortc_internals import relay_socket
from smallrtc_cli.rtc.lookup import on_thread
from smallrtc_cli.rtc.sockets import COMPONENT, CheckSocket, enlarge_buffers

logger = logging.getLogger(__name__)

Relay = tuple[Candidate, StunProtocol]
"A relayed candidate, and the socket behind it."

_URL = re.compile(
    r"(?P<scheme>stuns?|turns?):(\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<host>[^\[\]?:/@]+))"
    r"(:(?P<port>[0-9]{1,5}))?(\?transport=(?P<transport>udp|tcp))?",
    re.IGNORECASE,
)  # RFC 7064 and RFC 7065, section 3.1 of each


@dataclass(frozen=True, slots=True)
class StunServer:
    """Where to ask for the own public address."""

    url: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class TurnServer:
    """Where to ask for a relay; `transport` is udp or tcp, `secure` TLS on top of tcp."""

    url: str
    host: str
    port: int
    transport: str
    secure: bool
    username: str | None
    credential: str | None = field(repr=False)


def servers(specs: Sequence[IceServerSpec]) -> tuple[list[StunServer], list[TurnServer]]:
    """Sort ICE servers by kind; raises `UsageError` for a URL that is none (RFC 7064, RFC 7065)."""
    stuns, turns = [], []
    for spec in specs:
        for url in spec.urls:
            server = _server(url, spec)
            if isinstance(server, StunServer):
                stuns.append(server)
            elif isinstance(server, TurnServer):
                turns.append(server)
    return stuns, turns


def _server(url: str, spec: IceServerSpec) -> StunServer | TurnServer | None:
    parts = _URL.fullmatch(url)
    if parts is None:
        hint = "write stun:host:port or turn:host:port?transport=udp"
        raise UsageError(f"`{url}` is not the URL of an ICE server", hint=hint)
    scheme, secure = parts["scheme"].lower(), parts["scheme"].lower().endswith("s")
    host, port = parts["ipv6"] or parts["host"], int(parts["port"] or (5349 if secure else 3478))
    transport = (parts["transport"] or ("tcp" if secure else "udp")).lower()
    if secure and (scheme == "stuns" or transport == "udp"):
        logger.warning("%s is left out: TLS is there for TURN over TCP only", url)
        return None
    if scheme == "stun":
        return StunServer(url, host, port)
    return TurnServer(url, host, port, transport, secure, spec.username, spec.credential)


def mapping(protocol: StunProtocol, server: StunServer) -> Callable[[], Awaitable[Candidate]]:
    """How to ask a STUN server for the public address of a host candidate's socket."""

    async def ask() -> Candidate:
        address = await resolve(server.host, server.port)
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        response, _ = await protocol.request(request, address)
        if "XOR-MAPPED-ADDRESS" not in response.attributes:
            raise ConnectionError("the answer has no address in it")
        host, port = response.attributes["XOR-MAPPED-ADDRESS"]
        base = protocol.local_candidate
        return Candidate(
            foundation=candidate_foundation("srflx", "udp", base.host),
            component=COMPONENT,
            transport="udp",
            priority=candidate_priority(COMPONENT, "srflx"),
            host=host,
            port=port,
            type="srflx",
            related_address=base.host,
            related_port=base.port,
        )

    return ask


def allocation(agent: Connection, server: TurnServer, *, hide: bool) -> Callable[[], Awaitable[Relay]]:
    """How to ask a TURN server for a relay; `hide` keeps the own address out of the candidate."""

    async def ask() -> Relay:
        address = await resolve(server.host, server.port)
        candidate, protocol = await relayed_candidate(
            component=COMPONENT,
            hide_related_address=hide,
            protocol_factory=lambda: CheckSocket(agent),
            # The certificate is checked against the name, so TLS gets the name.
            turn_server=(server.host, server.port) if server.secure else address,
            turn_username=server.username,
            turn_password=server.credential,
            turn_ssl=server.secure,
            turn_transport=server.transport,
        )
        below = relay_socket(protocol)
        if below is not None:
            enlarge_buffers(below)
        return candidate, protocol

    return ask


async def resolve(host: str, port: int) -> tuple[str, int]:
    """The IPv4 address of a name. A resolver that hangs holds up neither the loop nor the end of the process."""
    if is_literal(host):
        return host, port
    return await on_thread(lambda: socket.gethostbyname(host), f"resolve {host}"), port
