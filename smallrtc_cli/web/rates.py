"""How often one client may ask: a token bucket for each, pure, with the time as an argument.

A client that stays below `per_second` never waits; one that was quiet may send `burst` requests at once. A network's
clients count as one where they cannot be told apart: an IPv6 host owns a whole /64.
"""

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass

from smallrtc_cli.errors import RequestError


class TryLater(RequestError):
    """The request is fine, but not now; `retry_after` says in how many seconds it may be."""

    status = 429

    def __init__(self, sentence: str, *, retry_after: float, hint: str | None = None) -> None:
        super().__init__(sentence, hint=hint)
        self.retry_after = max(1, math.ceil(round(retry_after, 3)))  # a float's rest is no second


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate, and how far it may be exceeded for a moment."""

    per_second: float = 20.0
    "Requests per second and client in the long run; a page that reconnects sends one in two seconds."

    burst: int = 100
    "Requests that a client may send at once after a pause."


class Rates:
    """A bucket for each client; the longest idle one is forgotten when there are too many."""

    def __init__(self, rate: Rate = Rate(), *, most_clients: int = 1024) -> None:
        self._rate, self._most = rate, most_clients
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and since when

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: str, now: float) -> None:
        """Take one from the client's bucket; raises `TryLater` if it is empty."""
        left, since = self._buckets.pop(client, (float(self._rate.burst), now))
        left = min(float(self._rate.burst), left + (now - since) * self._rate.per_second)
        self._buckets[client] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        if left < 1:
            raise TryLater("too many requests from this address", retry_after=(1 - left) / self._rate.per_second)


def client_of(address: str | None) -> str:
    """Who is asking, from the address of the socket: the address, or the /64 of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:  # no socket with an address
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
