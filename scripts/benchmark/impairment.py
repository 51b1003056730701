"""A bad network, made in the client's own datagram path: RTP is lost or late, by a seed, alike for every server."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """What happens to each RTP packet; STUN, DTLS, SCTP and RTCP pass untouched."""

    loss: float = 0.0
    "Probability that a packet is lost, in either direction."

    jitter: float = 0.0
    """Seconds: each packet to the server is delayed by 0 to this, evenly, and may overtake another. None of those that
    come back is: that adds its mean to every server's latency alike, and no server can help it.
    """


CLEAN = Network()
LOSSY = Network(loss=0.01)
JITTERY = Network(loss=0.005, jitter=0.030)


class Impairment:
    """One direction of one session."""

    def __init__(self, network: Network, seed: int) -> None:
        self._network, self._random = network, random.Random(seed)

    def delay(self) -> float | None:
        """Seconds by which the next packet is late; None: it is lost."""
        lost, late = self._random.random(), self._random.random()
        return None if lost < self._network.loss else late * self._network.jitter
