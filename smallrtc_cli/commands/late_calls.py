"""The `Calls` of a server that listens already, while they are being loaded: who asks for one waits until then."""

import asyncio
from typing import TYPE_CHECKING, Any

from smallrtc_cli.errors import ServerClosing
from smallrtc_cli.protocol.signalling import Answer, SmallWebRTCPatchRequest, SmallWebRTCRequest

if TYPE_CHECKING:  # not to be loaded from here
    from smallrtc_cli.commands.serve_calls import Calls


class LateCalls:
    """Hands on what is asked once there is somebody to ask; an `Exchange`.

    The wait has no bound of its own: one of `begin` and `close` ends it, and how many may wait is the door's to say.
    """

    def __init__(self) -> None:
        self._calls: Calls | None = None
        self._settled = asyncio.Event()

    def begin(self, calls: "Calls") -> None:
        """They can answer now."""
        self._calls = calls
        self._settled.set()

    def close(self) -> None:
        """Refuse who still waits by `ServerClosing`; again, or after `begin`, is nothing."""
        self._settled.set()

    async def _there(self) -> "Calls":
        await self._settled.wait()
        if self._calls is None:
            raise ServerClosing("the server is shutting down")
        return self._calls

    async def offer(self, request: SmallWebRTCRequest) -> Answer:
        return await (await self._there()).offer(request)

    async def candidates(self, request: SmallWebRTCPatchRequest) -> None:
        await (await self._there()).candidates(request)

    async def stats(self) -> dict[str, Any]:
        return await (await self._there()).stats()

    async def metrics(self) -> str:
        return await (await self._there()).metrics()

    @property
    def error(self) -> str | None:
        """What is wrong with the last edit of the bot, for people."""
        broken = self._calls.broken if self._calls is not None else None
        return (broken.traceback or str(broken.error)) if broken else None
