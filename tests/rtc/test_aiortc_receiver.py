"""A canary for each name of aiortc that `aiortc_receiver` touches, and that its estimates are aiortc's."""

import asyncio

import pytest
from aiortc import RTCConfiguration, RTCRtpReceiver, VideoStreamTrack
from aiortc.rate import RemoteBitrateEstimator
from calls import until
from peer_connections import negotiate

from smallrtc_cli.rtc.aiortc_descriptions import DescribedPeerConnection
from smallrtc_cli.rtc.aiortc_receiver import LateEstimator, Receiver
from smallrtc_cli.rtc.ice import IceAgent

pytestmark = pytest.mark.usefixtures("loopback_only")


def estimator(receiver: RTCRtpReceiver) -> LateEstimator | None:
    return receiver._RTCRtpReceiver__remote_bitrate_estimator


@pytest.fixture
async def pair():
    one, other = (DescribedPeerConnection(RTCConfiguration(iceServers=[]), IceAgent) for _ in range(2))
    yield one, other
    await asyncio.gather(one.close(), other.close())


async def test_aiortc_still_estimates_what_pictures_may_take_and_only_when_they_come(pair):
    one, other = pair
    one.addTrack(VideoStreamTrack())
    await negotiate(one, other)
    (sending,), (receiving,) = one.getReceivers(), other.getReceivers()
    assert isinstance(receiving, Receiver)
    await until(lambda: estimator(receiving).made is not None)
    assert estimator(sending).made is None


async def test_aiortc_still_estimates_nothing_for_sound(pair):
    one, _ = pair
    assert estimator(one.addTransceiver("audio").receiver) is None


def test_the_estimates_are_aiortcs():
    late, usual = LateEstimator(), RemoteBitrateEstimator()
    packets = [
        {"arrival_time_ms": 10 * n, "abs_send_time": (10 * n << 18) // 1000 % (1 << 24), "payload_size": 900, "ssrc": 7}
        for n in range(400)
    ]
    estimates = [late.add(**packet) for packet in packets]
    assert estimates == [usual.add(**packet) for packet in packets]
    assert any(estimates)
