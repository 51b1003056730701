"""What a command line says of the network, as values for the connection core.

The core, and aiortc with it, is loaded when these values are made: `smallrtc serve` opens its port before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from smallrtc_cli.config import PathMtu
from smallrtc_cli.errors import UsageError
from smallrtc_cli.protocol.ice_servers import IceServerSpec, parse_ice_servers
from smallrtc_cli.protocol.packet_sizes import chosen_sctp_chunk

if TYPE_CHECKING:
    from smallrtc_cli.rtc.ice import IceOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """As typed; an empty tuple or None stands for what was not."""

    ice_servers: tuple[str, ...] = ()
    ice_policy: str = "all"
    udp_ports: str | None = None
    interfaces: tuple[str, ...] = ()
    public_ip: str | None = None
    sctp_chunk: str | None = None

    def servers(self, environment: Mapping[str, str]) -> tuple[IceServerSpec, ...]:
        """A flag wins over SMALLRTC_ICE_SERVERS, that over PIPECAT_ICE_SERVERS; raises `UsageError`."""
        if self.ice_servers:
            return parse_ice_servers(self.ice_servers)
        named = environment.get("SMALLRTC_ICE_SERVERS") or environment.get("PIPECAT_ICE_SERVERS")
        return parse_ice_servers(named) if named else ()

    def path_mtu(self, environment: Mapping[str, str]) -> PathMtu:
        """The size of the data channel's chunks, from the flag or the environment; raises `UsageError`."""
        return PathMtu(sctp_chunk=chosen_sctp_chunk(self.sctp_chunk, environment))

    def check(self, environment: Mapping[str, str]) -> None:
        """Raise `UsageError` for what cannot be meant; where nothing was said, nothing is loaded for that."""
        self.path_mtu(environment)
        named = self.servers(environment)
        if named or self != NetworkOptions():
            self.ice(named)

    def ice(self, ice_servers: tuple[IceServerSpec, ...]) -> "IceOptions":
        """Those servers, and what `ends` says; raises `UsageError`."""
        from smallrtc_cli.rtc.servers import servers

        stuns, turns = servers(ice_servers)
        if self.ice_policy == "relay" and not turns:
            raise UsageError(
                "`--ice-policy relay` needs a TURN server", hint="name one: `--ice-servers turn:host:port`"
            )
        relay_only = self.ice_policy == "relay"
        return replace(self.ends(), relay_only=relay_only, stun_servers=tuple(stuns), turn_servers=tuple(turns))

    def ends(self) -> "IceOptions":
        """Ports, interfaces, an address to announce; raises `UsageError`."""
        from smallrtc_cli.rtc.addresses import check_interfaces, parse_public_ip, parse_udp_ports
        from smallrtc_cli.rtc.ice import IceOptions

        return IceOptions(
            udp_ports=parse_udp_ports(self.udp_ports) if self.udp_ports else None,
            interfaces=check_interfaces(self.interfaces),
            public_ip=parse_public_ip(self.public_ip) if self.public_ip else None,
        )
