"""The options that say something of the network, the same for every command that connects."""

from typing import Annotated

import typer

from smallrtc_cli.errors import UsageError


def _policy(text: str) -> str:
    if text not in {"all", "relay"}:
        raise UsageError(f"`--ice-policy {text}` is no policy", hint="it is `all` or `relay`")
    return text


IceServers = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SERVER",
        help="A STUN or TURN URL, or JSON with urls, username, credential; repeatable. PIPECAT_ICE_SERVERS.",
    ),
]
IcePolicy = Annotated[
    str, typer.Option(parser=_policy, metavar="all|relay", help="`relay`: let nothing but a TURN relay be used.")
]
UdpPorts = Annotated[
    str | None, typer.Option(metavar="A-B", help="Take UDP ports from this range, one for each session.")
]
Interface = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Use this interface or address only; repeatable.")
]
PublicIp = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Announce this too: where a 1:1 NAT forwards from.")
]
SctpChunk = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="User bytes in a chunk of the data channel; `auto` measures each path. SMALLRTC_SCTP_MAX_CHUNK_SIZE.",
    ),
]
