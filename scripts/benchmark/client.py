"""The peer that measures: aiortc for SDP, ICE, DTLS and SCTP, our own hands for RTP.

RTP is stamped in the datagram callback, below every queue and buffer, kept as it is, and decoded when all is over. What
is sent was encoded before. ICE waits for events where aioice polls every 20 ms: no such step is in the figures.
"""
# ruff: noqa: SLF001 - below the jitter buffer there are no public names

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import uuid4

import aiohttp
import aioice
import aiortc.rtcicetransport
from aioice.ice import CandidatePair
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from av import AudioFrame

from benchmark import packets
from benchmark.impairment import CLEAN, Impairment, Network
from benchmark.timeline import FRAME_SECONDS, Record

PATIENCE = 15.0
"Seconds after which what did not come will not come."

_PING = 1.0
"Seconds between two `ping` messages; Pipecat's server takes a client that stopped for lost."


class NotConnected(Exception):
    """A connection did not come up, and up to where it came."""


class Agent(aioice.Connection):
    """aioice's agent, which starts all checks at once, waits for their outcome, and hands RTP over as it arrives."""

    on_rtp: Callable[[bytes], None] | None = None

    def _check_periodic(self) -> bool:
        for pair in self._check_list:
            if pair.state in (CandidatePair.State.WAITING, CandidatePair.State.FROZEN):
                self.check_start_task(pair)
        return False

    def data_received(self, data: bytes, component: int) -> None:
        is_media = len(data) > 1 and 127 < data[0] < 192
        if self.on_rtp is None or not is_media:
            super().data_received(data, component)
        elif not 192 <= data[1] <= 223:  # RTCP, of which nothing is needed
            self.on_rtp(data)

    def send_now(self, data: bytes) -> None:
        """Send a datagram, unless the connection is gone."""
        pair = self._nominated.get(1)
        if pair is not None and not pair.protocol.transport.is_closing():
            pair.protocol.transport.sendto(data, pair.remote_addr)


aiortc.rtcicetransport.__dict__["Connection"] = Agent  # in this process only: aiortc has no other way


@dataclass(slots=True)
class Stages:
    """Seconds since just before the POST; None for what did not come."""

    answer: float | None = None
    ice: float | None = None
    dtls: float | None = None
    channel: float | None = None
    first_packet: float | None = None
    first_sound: float | None = None


class _Nothing(AudioStreamTrack):
    """What aiortc's own sender gets: no frame, ever."""

    async def recv(self) -> AudioFrame:
        await asyncio.get_running_loop().create_future()
        raise AssertionError


class Client:
    """One session: `connect` it, look at `stages` and `record`, `close` it."""

    def __init__(self, payloads: Sequence[bytes], network: Network = CLEAN, seed: int = 0, drift: float = 0.0) -> None:
        """`drift` is the share by which the clock that paces what is sent is too fast."""
        self.record = Record()
        self.stages = Stages()
        self.lateness: list[float] = []
        self.on_message: Callable[[Any], None] = lambda _: None
        self._payloads = payloads
        self._there = Impairment(network, 2 * seed)
        self._back = Impairment(replace(network, jitter=0.0), 2 * seed + 1)
        self._pace = FRAME_SECONDS / (1 + drift)
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._changed = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._decoder: packets.Decoder | None = packets.Decoder()
        self._index = 0
        self._closed = False

    async def connect(self, url: str, extra: dict[str, str]) -> None:
        """Offer, and wait for the data channel; sound is sent from the moment on that DTLS is connected."""
        self._pc.addTrack(_Nothing())
        self._open_channel()
        await self._pc.setLocalDescription(await self._pc.createOffer())
        self._listen()
        offer = {"sdp": self._pc.localDescription.sdp, "type": "offer"} | extra
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE)) as http:
            self._began = time.monotonic()
            async with http.post(url, json=offer) as response:
                answer = await response.json() if response.status == 200 else await _refused(response)
        self.stages.answer = time.monotonic() - self._began
        self._payload_type = _opus(answer.get("sdp", ""))
        await self._pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        await self.until(lambda: self.stages.channel is not None, "data channel")

    async def until(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Wait for something that a packet or message brings about; raises `NotConnected` if it does not."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise NotConnected(f"{what}: nothing within {seconds:.0f} s") from None

    def send(self, message: dict[str, Any] | str) -> None:
        """By the data channel."""
        self._channel.send(message if isinstance(message, str) else json.dumps(message))

    async def close(self) -> None:
        """End the session; the server is told by DTLS."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._pc.close(), 5)

    def _open_channel(self) -> None:
        self._channel = self._pc.createDataChannel("chat")
        self._channel.on("open", self._opened)
        self._channel.on("message", self._heard)

    def _opened(self) -> None:
        self._mark("channel")
        self._ping()

    def _heard(self, text: str | bytes) -> None:
        with contextlib.suppress(ValueError):
            self.on_message(json.loads(text))
        self._changed.set()

    def _ping(self) -> None:
        if self._channel.readyState == "open":
            self.send(f"ping: {time.time():.0f}")
            self._timers["ping"] = asyncio.get_running_loop().call_later(_PING, self._ping)

    def _listen(self) -> None:
        sender = self._pc.getSenders()[0]
        self._ssrc, self._dtls = sender._ssrc, sender.transport
        self._agent = cast(Agent, self._dtls.transport._connection)
        self._dtls.transport.on("statechange", self._ice_changed)
        self._dtls.on("statechange", self._dtls_changed)

    def _ice_changed(self) -> None:
        if self._dtls.transport.state == "completed":
            self._mark("ice")

    def _dtls_changed(self) -> None:
        if self._dtls.state == "connected":
            self._mark("dtls")
            self._agent.on_rtp = self._arriving
            self._due = time.monotonic()
            self._send_next()
        self._changed.set()

    def _mark(self, stage: str) -> None:
        if getattr(self.stages, stage) is None:
            setattr(self.stages, stage, time.monotonic() - self._began)
        self._changed.set()

    def _send_next(self) -> None:
        """Send the packet that is due; after a stall all that were missed, as a sound card would hand them over."""
        if self._closed or self._dtls.state != "connected":
            return
        now = time.monotonic()
        payload = self._payloads[self._index % len(self._payloads)]
        packet = packets.build(self._payload_type, self._index, self._index * packets.FRAME, self._ssrc, payload)
        self.lateness.append(now - self._due)
        self.record.sent.append(now)
        self._through(self._there, self._agent.send_now, self._dtls._tx_srtp.protect(packet))
        self._index += 1
        self._due += self._pace
        self._timers["send"] = asyncio.get_running_loop().call_at(self._due, self._send_next)

    def _arriving(self, data: bytes) -> None:
        self._through(self._back, self._arrived, data)

    def _arrived(self, data: bytes) -> None:
        now = time.monotonic()
        packet = self._dtls._rx_srtp.unprotect(data)
        self.record.received.append((now, packet))
        if self._decoder is not None:
            self._first(packet, now - self._began)

    def _first(self, packet: bytes, seconds: float) -> None:
        """Decode until there is sound in it; only then is it the echo, not the silence before it."""
        assert self._decoder is not None
        if self.stages.first_packet is None:
            self.stages.first_packet = seconds
        sound = self._decoder.decode(packets.parse(packet).payload)
        if len(sound) and float((sound**2).mean()) > 1e-5:  # -50 dBFS
            self.stages.first_sound = seconds
            self._decoder = None
            self._changed.set()

    @staticmethod
    def _through(impairment: Impairment, onward: Callable[[bytes], None], data: bytes) -> None:
        delay = impairment.delay()
        if delay == 0:
            onward(data)
        elif delay is not None:
            asyncio.get_running_loop().call_later(delay, onward, data)


async def _refused(response: aiohttp.ClientResponse) -> dict[str, str]:
    raise NotConnected(f"the offer was answered with {response.status}: {(await response.text())[:200]}")


def _opus(sdp: str) -> int:
    found = re.search(r"a=rtpmap:(\d+) opus/48000", sdp)
    if found is None:
        raise NotConnected("there is no Opus in the answer")
    return int(found[1])


@contextlib.asynccontextmanager
async def connected(url: str, payloads: Sequence[bytes], **options: Any) -> AsyncIterator[Client]:
    """A session until the end of the block."""
    client = Client(payloads, **options)
    try:
        await client.connect(url, {"webrtc_id": uuid4().hex})
        yield client
    finally:
        await client.close()
