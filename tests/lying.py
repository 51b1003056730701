"""A SmallWebRTC server that is not quite one: it answers as aiortc does, and then says something else."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription

Lie = Callable[[RTCPeerConnection], Awaitable[str]]
"Gives the SDP to answer with; the offer is known to the peer connection, the answer is not made yet."


class Liar:
    """`/api/offer` and nothing else; keeps what was asked."""

    def __init__(self, lie: Lie) -> None:
        self._lie = lie
        self._stack = contextlib.AsyncExitStack()
        self.offers: list[dict[str, Any]] = []
        self.patches: list[dict[str, Any]] = []

    async def offer(self, request: web.Request) -> web.Response:
        said, peer = await request.json(), RTCPeerConnection()
        self._stack.push_async_callback(peer.close)
        self.offers.append(said)
        await peer.setRemoteDescription(RTCSessionDescription(said["sdp"], said["type"]))
        return web.json_response({"sdp": await self._lie(peer), "type": "answer", "pc_id": "SmallWebRTCConnection#1"})

    async def patch(self, request: web.Request) -> web.Response:
        self.patches.append(await request.json())
        return web.json_response({"status": "success"})

    async def close(self) -> None:
        await self._stack.aclose()


@contextlib.asynccontextmanager
async def serving(offer: Any, patch: Any = None) -> AsyncIterator[str]:
    """Two handlers behind a free port; gives the URL."""
    application = web.Application()
    application.router.add_post("/api/offer", offer)
    if patch is not None:
        application.router.add_patch("/api/offer", patch)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def lying(lie: Lie) -> AsyncIterator[tuple[str, Liar]]:
    """The server until the end of the block, and its URL."""
    liar = Liar(lie)
    try:
        async with serving(liar.offer, liar.patch) as url:
            yield url, liar
    finally:
        await liar.close()


async def truth(peer: RTCPeerConnection) -> str:
    """The answer as it is."""
    await peer.setLocalDescription(await peer.createAnswer())
    return str(peer.localDescription.sdp)
