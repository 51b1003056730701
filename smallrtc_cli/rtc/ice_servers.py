"""ICE servers as Pipecat's bots name them: a list of URLs, or aiortc's `RTCIceServer`s."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiortc import RTCIceServer

from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.rtc.ice import IceOptions
from smallrtc_cli.rtc.servers import servers

IceServer = RTCIceServer


def ice_server_list(given: Sequence[str] | Sequence[IceServer] | None) -> list[IceServer]:
    """Read either form; raises `TypeError` for a mixture."""
    entries: list[Any] = list(given or ())
    if all(isinstance(entry, str) for entry in entries):
        return [IceServer(urls=entry) for entry in entries]
    if all(isinstance(entry, IceServer) for entry in entries):
        return entries
    raise TypeError("ice_servers are all URLs or all IceServer objects")


def ice_options(given: IceOptions, ice_servers: Sequence[IceServer], policy: str) -> IceOptions:
    """`given` with these servers beside its own, and only relays where either says so.

    Raises `UsageError` for a URL that is none, and `ValueError` for an unknown policy.
    """
    if policy not in ("all", "relay"):
        raise ValueError(f"the ICE transport policy is `all` or `relay`, not `{policy}`")
    stun_servers, turn_servers = servers([_spec(server) for server in ice_servers])
    return replace(
        given,
        stun_servers=(*given.stun_servers, *stun_servers),
        turn_servers=(*given.turn_servers, *turn_servers),
        relay_only=given.relay_only or policy == "relay",
    )


def _spec(server: IceServer) -> IceServerSpec:
    urls = (server.urls,) if isinstance(server.urls, str) else tuple(server.urls)
    return IceServerSpec(urls, server.username, server.credential)
