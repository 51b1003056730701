"""Where a server can be reached: the addresses to print, for people here and in the local network; as QR code too."""

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_QUIET: Final = 2  # modules around a QR code; the standard's four take much room, and telephones do with two


@dataclass(frozen=True, slots=True)
class Place:
    """A URL to print, and what to call it: `here` for this machine, `network` for others."""

    label: str
    url: str


def places(
    host: str, port: int, scheme: str = "http", token: str | None = None, addresses: Iterable[str] = ()
) -> list[Place]:
    """The URLs of a server that listens on `host`; `addresses` are those of all interfaces.

    Where it listens on all of them, each that others could use is listed, IPv6 only where there is no IPv4.
    """
    bound = _address(host)
    if bound is None or not bound.is_unspecified:
        local = _is_localhost(host) or (bound is not None and bound.is_loopback)
        return [Place("here" if local else "network", _url(scheme, host, port, token))]
    known = [parsed for parsed in map(_address, dict.fromkeys(addresses)) if parsed is not None]
    usable = [each for each in known if not (each.is_loopback or each.is_link_local or each.is_unspecified)]
    fourth = [each for each in usable if each.version == 4]
    sixth = [each for each in usable if each.version == 6 and bound.version == 6]
    reached = [Place("network", _url(scheme, str(each), port, token)) for each in fourth or sixth]
    return [Place("here", _url(scheme, "localhost", port, token)), *reached]


def local_names() -> frozenset[str]:
    """The names that this machine goes by, in lower case: as it calls itself, and with `.local` (mDNS)."""
    name = socket.gethostname().lower().rstrip(".")
    return frozenset({"localhost", name, f"{name.partition('.')[0]}.local"} - {"", ".local"})


def qr_code(url: str, *, dark_terminal: bool = True) -> str:
    """The URL as a QR code of half blocks, two rows of modules in a line of text.

    On a dark terminal what is light in the code is drawn, on a light one what is dark.
    """
    import segno  # small, but only for servers that the network can reach

    rows = [[bool(module) != dark_terminal for module in row] for row in segno.make_qr(url).matrix_iter(border=_QUIET)]
    if len(rows) % 2:
        rows.append([dark_terminal] * len(rows[0]))
    halves = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
    return "\n".join(
        "".join(halves[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    )


def _url(scheme: str, host: str, port: int, token: str | None) -> str:
    literal = f"[{host}]" if ":" in host else host
    place = literal if port == _DEFAULT_PORTS.get(scheme) else f"{literal}:{port}"
    return f"{scheme}://{place}/" + (f"?token={quote(token, safe='')}" if token else "")


def _is_localhost(host: str) -> bool:
    return host.lower() == "localhost" or host.lower().endswith(".localhost")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
