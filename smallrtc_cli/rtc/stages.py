"""How far a peer connection has come."""

import asyncio
from dataclasses import dataclass, field
from typing import Literal


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class Stages:
    """When a connection got how far, in loop time; None: not yet."""

    started: float = field(default_factory=_now)
    described: float | None = None
    "Both descriptions are known."
    ice: float | None = None
    connected: float | None = None
    "DTLS is up."
    channel: float | None = None

    def reach(self, stage: Literal["described", "ice", "connected", "channel"]) -> None:
        """It has come so far now; the first time counts."""
        if getattr(self, stage) is None:
            setattr(self, stage, _now())
