"""Network interfaces with what they carry: `addresses.Interface` and the MTU that the system gives it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smallrtc_cli.rtc.addresses import local_interfaces

_SYSTEM: Final = Path("/sys/class/net")
"Linux; there is no such place elsewhere."


@dataclass(frozen=True, slots=True)
class Link:
    """An interface that has an address; `mtu` in bytes of IP packets, None where the system does not say."""

    name: str
    addresses: tuple[str, ...]
    mtu: int | None = None


def links() -> tuple[Link, ...]:
    """The interfaces of this machine."""
    return tuple(Link(each.name, each.addresses, _mtu(each.name)) for each in local_interfaces())


def _mtu(name: str) -> int | None:
    try:
        return int((_SYSTEM / name / "mtu").read_text("ascii"))
    except (OSError, ValueError):
        return None
