"""Servers as the stages name them: always with host and port."""

from smallrtc_cli.rtc.servers import StunServer, TurnServer


def place(host: str, port: int) -> str:
    """`host:port`, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def shown(server: StunServer | TurnServer) -> str:
    """Its URL in full, whatever was left out where it was typed."""
    where = place(server.host, server.port)
    if isinstance(server, StunServer):
        return f"stun:{where}"
    return f"turns:{where}" if server.secure else f"turn:{where}?transport={server.transport}"
