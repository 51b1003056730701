"""Our SCTP against that of Chromium: a page without anything but a data channel, which sends back what it gets."""

import contextlib
import random
import shutil
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import patch

import pytest
import pytest_asyncio
from aiortc import RTCSessionDescription
from calls import until
from peer_connections import peer_connection

from smallrtc_cli.rtc.sockets import CheckSocket

playwright = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("chromium is not installed", allow_module_level=True)

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns",
]  # fmt: skip

_APPLICATION_DATA = 23  # the type of a DTLS 1.2 record

OFFER = """async () => {
    window.pc = new RTCPeerConnection();
    window.channel = pc.createDataChannel("chat");
    channel.binaryType = "arraybuffer";
    channel.onmessage = (event) => channel.send(event.data);
    await pc.setLocalDescription(await pc.createOffer());
    if (pc.iceGatheringState !== "complete")
        await new Promise((done) => pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done());
    return pc.localDescription.sdp;
}"""


@pytest_asyncio.fixture
async def page() -> AsyncIterator[Any]:
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


@contextlib.contextmanager
def lossy(share: float) -> Iterator[list[int]]:
    """That share of the DTLS records with data, of either direction, is lost in our socket; yields their lengths."""
    draws, receive, send = random.Random(7), CheckSocket.datagram_received, CheckSocket.send_data
    lost: list[int] = []

    def is_lost(data: bytes) -> bool:
        loses = data[0] == _APPLICATION_DATA and draws.random() < share
        lost.extend([len(data)] * loses)
        return loses

    def receive_some(self: CheckSocket, data: bytes, addr: Any) -> None:
        if not is_lost(data):
            receive(self, data, addr)

    async def send_some(self: CheckSocket, data: bytes, addr: Any) -> None:
        if not is_lost(data):
            await send(self, data, addr)

    with (
        patch.object(CheckSocket, "datagram_received", receive_some),
        patch.object(CheckSocket, "send_data", send_some),
    ):
        yield lost


@pytest.mark.parametrize(("count", "share"), [(180, 0.0), (60, 0.05)])
async def test_megabytes_to_chromium_and_back_arrive_once_in_order_and_unchanged(page, count, share):
    draws = random.Random(5)
    given = [draws.randbytes(draws.choice((1, 100, 1200, 16_000, 150_000))) for _ in range(count)]
    assert sum(map(len, given)) > 5_000_000 * (1 if share == 0 else 0.25)
    pc, channels, received = peer_connection(), [], []
    pc.on("datachannel", channels.append)
    try:
        await pc.setRemoteDescription(RTCSessionDescription(await page.evaluate(OFFER), "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        await page.evaluate("sdp => pc.setRemoteDescription({type: 'answer', sdp})", pc.localDescription.sdp)
        await until(lambda: channels, 20)
        channels[0].on("message", received.append)
        with lossy(share) as lost:
            for message in given:
                channels[0].send(message)
            await until(lambda: len(received) == len(given), 40)
            assert received == given
            await until(lambda: not pc.association.outstanding, 20)
            assert (len(lost) > 10) is (share > 0)
    finally:
        await pc.close()
