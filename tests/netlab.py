"""A small internet for tests, made of network namespaces: a host, two routers, a host, with IPv4 and IPv6.

    a -- r1 -- r2 -- b      (needs Linux, iproute2, nftables and the rights of root: `obstacle` says what is missing)

Between `a` and `b` every path carries 1500 bytes until `limit` says otherwise; the rules can be changed while calls go
on. TCP is kept to short segments, so that signalling passes where UDP does not, and teaches the kernel nothing.
"""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

Kind = Literal["local", "icmp", "router-silent", "black-hole"]
"""Who knows of a limit: the kernel of `a` itself (its interface has it), a router that tells (the link between the
routers has it), the same router not telling, nobody (`r1` or `r2` drops what is too long and knows no reason)."""

Direction = Literal["both", "up", "down"]

ADDRESSES: Final = {
    "a": {4: "10.77.1.2", 6: "fd77:1::2"},
    "r1": {4: "10.77.1.1", 6: "fd77:1::1"},
    "r2": {4: "10.77.3.1", 6: "fd77:3::1"},
    "b": {4: "10.77.3.2", 6: "fd77:3::2"},
}
"Where a host is reached, and a router from its host's side."

_INTERFACES: Final = {
    ("a", "eth0"): ("10.77.1.2/24", "fd77:1::2/64"),
    ("r1", "to-a"): ("10.77.1.1/24", "fd77:1::1/64"),
    ("r1", "to-r2"): ("10.77.2.1/24", "fd77:2::1/64"),
    ("r2", "to-r1"): ("10.77.2.2/24", "fd77:2::2/64"),
    ("r2", "to-b"): ("10.77.3.1/24", "fd77:3::1/64"),
    ("b", "eth0"): ("10.77.3.2/24", "fd77:3::2/64"),
}
_LINKS: Final = (
    (("a", "eth0"), ("r1", "to-a")),
    (("r1", "to-r2"), ("r2", "to-r1")),
    (("r2", "to-b"), ("b", "eth0")),
)
_ROUTES: Final = {
    "a": ("0.0.0.0/0 via 10.77.1.1", "::/0 via fd77:1::1"),
    "r1": ("10.77.3.0/24 via 10.77.2.2", "fd77:3::/64 via fd77:2::2"),
    "r2": ("10.77.1.0/24 via 10.77.2.1", "fd77:1::/64 via fd77:2::1"),
    "b": ("0.0.0.0/0 via 10.77.3.1", "::/0 via fd77:3::1"),
}
_AWAY: Final = {"r1": {"up": "to-r2", "down": "to-a"}, "r2": {"up": "to-b", "down": "to-r1"}}

_SWITCHES: Final = {
    "ipv4/ip_forward": 1,
    "ipv6/conf/all/forwarding": 1,
    "ipv6/conf/all/accept_dad": 0,  # an address would be unusable for a second
    "ipv6/conf/default/accept_dad": 0,
    "ipv4/icmp_ratelimit": 0,
    "ipv6/icmp/ratelimit": 0,
}

_LEFT_OVER = re.compile(r"^smallrtc-(\d+)-\w+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Limit:
    """The longest IP packet that passes, in bytes, and how the path behaves towards a longer one."""

    size: int = 1500
    kind: Kind = "black-hole"
    router: str = "r1"
    "Where a black hole is."
    direction: Direction = "both"
    "Which way a black hole drops, up being from `a` to `b`; the other kinds are a link's, both ways."


def obstacle() -> str | None:
    """Why there can be no such laboratory here; None where there can."""
    for command in ("ip", "nft"):
        if shutil.which(command) is None:
            return f"`{command}` is not installed"
    trial = f"smallrtc-{os.getpid()}-trial"
    made = subprocess.run(["ip", "netns", "add", trial], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespaces: {made.stderr.strip()}"
    _call("ip", "netns", "del", trial)
    return None


class Lab:
    """The four nodes and the processes on them; one at a time in a test process. Use it with `with`."""

    def __init__(self) -> None:
        self._limit, self._loss = Limit(), 0
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        sweep()
        self.close()  # a killed run may have had our number
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes and take the namespaces away."""
        for process in self._processes:
            process.kill()
            process.wait(10)
        for node in ADDRESSES:
            with contextlib.suppress(subprocess.CalledProcessError):
                _call("ip", "netns", "del", self.name(node))

    @staticmethod
    def name(node: str) -> str:
        """A node's network namespace, which carries this process's number so that two runs never meet."""
        return f"smallrtc-{os.getpid()}-{node}"

    def command(self, node: str, arguments: Sequence[Any]) -> list[str]:
        """A command line that runs another one on a node; the process keeps its number."""
        return ["ip", "netns", "exec", self.name(node), *map(str, arguments)]

    def run(self, node: str, arguments: Sequence[Any], **popen: Any) -> subprocess.Popen[str]:
        """Start a program on a node, with pipes to its stdin and stdout; it ends with the laboratory."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(self.command(node, arguments), text=True, **(pipes | popen))
        self._processes.append(process)
        return process

    # The path

    def limit(self, size: int, kind: Kind = "black-hole", *, router: str = "r1", direction: Direction = "both") -> None:
        """Let no IP packet longer than `size` pass from now on; what kernels have learned before is forgotten.

        A link of less than 1280 bytes carries no IPv6 (RFC 8200): there only a black hole is a limit for both.
        """
        self._limit = Limit(size, kind, router, direction)
        self._apply()

    def loss(self, percent: int) -> None:
        """Drop so many in a hundred UDP packets between the routers, evenly: the same ones in each run."""
        self._loss = percent
        self._apply()

    def clear(self) -> None:
        """1500 bytes and no loss again."""
        self._limit, self._loss = Limit(), 0
        self._apply()

    def _apply(self) -> None:
        near, middle, _ = _LINKS
        size, kind = self._limit.size, self._limit.kind
        for link, narrow in ((near, kind == "local"), (middle, kind in {"icmp", "router-silent"})):
            for node, interface in link:
                self._ip(node, f"link set {interface} mtu {size if narrow else 1500}")
        self._address()  # an interface that was too narrow for IPv6 has lost that
        for router in _AWAY:
            _call("nft", "-f", "-", netns=self.name(router), stdin=self._rules(router))
        for node in ADDRESSES:
            self._ip(node, "-4 route flush cache", "-6 route flush cache")

    def _rules(self, router: str) -> str:
        limit, forward, output = self._limit, ["tcp flags syn tcp option maxseg size set 536"], []
        if limit.kind == "black-hole" and limit.router == router:
            way = "" if limit.direction == "both" else f'oifname "{_AWAY[router][limit.direction]}" '
            single = "meta l4proto != tcp"  # whose short segments cross the routers in long bundles
            forward.append(f"{way}{single} meta length > {limit.size} drop")
        if limit.kind == "router-silent":
            output = ["icmp type destination-unreachable drop", "icmpv6 type packet-too-big drop"]
        if self._loss and router == "r1":
            forward.append(f"meta l4proto udp numgen inc mod 100 {{ {_evenly(self._loss)} }} drop")
        chains = "\n".join(
            f"chain {hook} {{ type filter hook {hook} priority 0; {'; '.join(rules)}; }}"
            for hook, rules in (("forward", forward), ("output", output))
            if rules
        )
        return f"table inet lab {{}}\ndelete table inet lab\ntable inet lab {{\n{chains}\n}}\n"

    # Construction

    def _build(self) -> None:
        for node in ADDRESSES:
            _call("ip", "netns", "add", self.name(node))
            switches = "; ".join(f"echo {value} > /proc/sys/net/{path}" for path, value in _SWITCHES.items())
            _call("sh", "-ec", switches, netns=self.name(node))
            self._ip(node, "link set lo up")
        for (node, interface), (far_node, far_interface) in _LINKS:
            near, far = self.name(node), self.name(far_node)
            _call("ip", *f"link add {interface} netns {near} type veth peer {far_interface} netns {far}".split())
        for node, interface in _INTERFACES:
            self._ip(node, f"link set {interface} up")
        self._apply()

    def _address(self) -> None:
        wide = self._limit.size >= 1280 or self._limit.kind == "black-hole"
        for (node, interface), (v4, v6) in _INTERFACES.items():
            self._ip(node, f"addr replace {v4} dev {interface}")
            if wide:
                self._ip(node, f"addr replace {v6} dev {interface} nodad")
        for node, (v4, v6) in _ROUTES.items():
            self._ip(node, f"route replace {v4}", *([f"-6 route replace {v6}"] if wide else []))

    def _ip(self, node: str, *commands: str) -> None:
        for command in commands:
            _call("ip", "-n", self.name(node), *command.split())


def _evenly(percent: int) -> str:
    """Which in a hundred: `percent` of them, as far from each other as can be."""
    return ", ".join(str(number * 100 // percent) for number in range(percent))


def namespaces() -> str:
    """The network namespaces of this machine, as `ip` lists them."""
    return _call("ip", "netns", "list")


def sweep() -> None:
    """Take away what runs have left behind that were killed."""
    for found in _LEFT_OVER.finditer(namespaces()):
        if not Path(f"/proc/{found[1]}").exists():
            with contextlib.suppress(subprocess.CalledProcessError):  # another run sweeps too
                _call("ip", "netns", "del", found[0])


def _call(*command: str, netns: str | None = None, stdin: str = "") -> str:
    inside = ["ip", "netns", "exec", netns] if netns else []
    done = subprocess.run([*inside, *command], input=stdin, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
        error.add_note(done.stderr)
        raise error
    return done.stdout
