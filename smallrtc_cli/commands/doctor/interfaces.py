"""The network interfaces: what they carry, and which of them are of no use to a call."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from smallrtc_cli.report.stages import Mark, Stage
from smallrtc_cli.rtc.links import Link

NAME: Final = "interfaces"

_VPN: Final = re.compile(r"(u?tun|tap|wg|ppp|ipsec|tailscale|zt|nordlynx|nebula|gpd|cscotun)[0-9a-z]*", re.IGNORECASE)
_BRIDGE: Final = re.compile(
    r"(docker|podman|cni|virbr|lxcbr|lxdbr|vmnet|vboxnet|flannel|cali|veth|bridge|incusbr)[0-9a-z._-]*|br-[0-9a-f]{12}",
    re.IGNORECASE,
)
_LEAST_MTU: Final = 1280  # of IPv6 (RFC 8200 section 5); video packets and aiortc's chunks are made for it


def judge(links: Sequence[Link], chosen: Sequence[str] = ()) -> Stage:
    """`chosen` are the addresses that `--interface` left; none means all."""
    if not links:
        cure = "bring one up: `ip link set lo up` is enough for calls on this machine"
        return Stage(NAME, Mark.FAIL, "no network interface is up, not even the loopback one", cure)
    outer = [
        link for link in links if any(_leads_out(each) and (not chosen or each in chosen) for each in link.addresses)
    ]
    if not outer:
        detail = f"loopback only: {_listed(links)}"
        if chosen:
            return Stage(NAME, Mark.OK, detail)
        return Stage(NAME, Mark.WARN, detail, "calls on this machine work; connect a network for others")
    plain = [link for link in outer if not _complaint(link)]
    complaints = [complaint for link in outer if (complaint := _complaint(link))]
    if not complaints:
        return Stage(NAME, Mark.OK, f"network: {_listed(outer)}")
    detail = f"{', '.join(complaints)}; network: {_listed(outer)}"
    return Stage(NAME, Mark.WARN, detail, _cure(plain))


def _cure(plain: Sequence[Link]) -> str:
    if plain:
        return f"use `--interface {plain[0].name}` to leave the others out"
    return "large packets may not pass: calls connect, and then large messages stall or video stays black"


def _complaint(link: Link) -> str | None:
    if _VPN.fullmatch(link.name):
        return f"`{link.name}` is a VPN" + (f" with MTU {link.mtu}" if link.mtu else "")
    if _BRIDGE.fullmatch(link.name):
        count = sum(_leads_out(each) for each in link.addresses)
        return f"`{link.name}` adds {count} candidate{'' if count == 1 else 's'} that nobody outside reaches"
    if link.mtu is not None and link.mtu < _LEAST_MTU:
        return f"`{link.name}` has MTU {link.mtu}"
    return None


def _leads_out(address: str) -> bool:
    """Whether a host candidate comes of it."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return not parsed.is_loopback and not (parsed.version == 6 and parsed.is_link_local)


def _listed(links: Sequence[Link]) -> str:
    return ", ".join(f"{link.name} ({_what(link)})" for link in links)


def _what(link: Link) -> str:
    return ", ".join([*link.addresses, *([f"MTU {link.mtu}"] if link.mtu else [])])
