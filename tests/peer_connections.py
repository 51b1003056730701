"""Two peer connections of aiortc's with our agents in them, and nothing else of ours."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from calls import until

from smallrtc_cli.rtc import aiortc_internals as internals
from smallrtc_cli.rtc.ice import IceAgent


def peer_connection() -> internals.PeerConnection:
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    return internals.PeerConnection(configuration, IceAgent)


async def negotiate(one: RTCPeerConnection, other: RTCPeerConnection, message_size: int = 262_144) -> None:
    await one.setLocalDescription(await one.createOffer())
    sdp = re.sub("(?<=a=max-message-size:)[0-9]+", str(message_size), one.localDescription.sdp)
    await other.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
    await other.setLocalDescription(await other.createAnswer())
    await one.setRemoteDescription(other.localDescription)


@contextlib.asynccontextmanager
async def call(
    *tracks: MediaStreamTrack, channel: bool = True, message_size: int = 262_144
) -> AsyncIterator[tuple[internals.PeerConnection, internals.PeerConnection]]:
    """Two connected peer connections; the first sends."""
    one, other = peer_connection(), peer_connection()
    try:
        for track in tracks:
            one.addTrack(track)
        if channel:
            one.createDataChannel("chat")
        await negotiate(one, other, message_size)
        await until(lambda: one.connectionState == other.connectionState == "connected")
        yield one, other
    finally:
        await asyncio.gather(one.close(), other.close())
