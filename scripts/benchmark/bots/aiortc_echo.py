"""Bare aiortc behind aiohttp: every track comes back as it is, every message that is not labelled as RTVI's too."""

import json
import sys
from typing import Any

from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

connections: set[RTCPeerConnection] = set()


async def answer(request: web.Request) -> web.Response:
    offer = await request.json()
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connections.add(pc)

    @pc.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        pc.addTrack(track)

    @pc.on("datachannel")
    def on_datachannel(channel: RTCDataChannel) -> None:
        channel.on("message", lambda message: echo(channel, message))

    @pc.on("connectionstatechange")
    async def on_change() -> None:
        if pc.connectionState in ("failed", "closed"):
            connections.discard(pc)
            await pc.close()

    await pc.setRemoteDescription(RTCSessionDescription(offer["sdp"], offer["type"]))
    await pc.setLocalDescription(await pc.createAnswer())
    return web.json_response({"sdp": pc.localDescription.sdp, "type": pc.localDescription.type})


def echo(channel: RTCDataChannel, message: str | bytes) -> None:
    if is_for_the_bot(message):
        channel.send(message)


def is_for_the_bot(message: str | bytes) -> bool:
    if isinstance(message, str) and message.startswith("ping"):
        return False
    decoded: Any = json.loads(message)
    return bool(decoded.get("label") != "rtvi-ai")


def main() -> None:
    app = web.Application()
    app.router.add_post("/api/offer", answer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
