"""A canary for each name of aiortc that `aiortc_descriptions` replaces: a name here says what moved."""

import asyncio

import pytest
from aiortc import (
    AudioStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCSessionDescription,
    VideoStreamTrack,
    rtcpeerconnection,
)
from aiortc.codecs import CODECS
from aiortc.sdp import SessionDescription

from smallrtc_cli.rtc import aiortc_descriptions
from smallrtc_cli.rtc.aiortc_descriptions import DescribedPeerConnection
from smallrtc_cli.rtc.ice import IceAgent

pytestmark = pytest.mark.usefixtures("loopback_only")


@pytest.fixture
async def pair():
    """Two of them, the first with sound, pictures and a data channel to offer."""
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    one, other = (DescribedPeerConnection(configuration, IceAgent) for _ in range(2))
    one.addTrack(AudioStreamTrack())
    one.addTrack(VideoStreamTrack())
    one.createDataChannel("chat")
    yield one, other
    await asyncio.gather(one.close(), other.close())


@pytest.fixture
def parsed(monkeypatch):
    """The texts that aiortc reads."""
    texts, parse = [], SessionDescription.parse
    monkeypatch.setattr(SessionDescription, "parse", lambda text: texts.append(text) or parse(text))
    return texts


def values(thing):
    """An object as values, all the way down; the type of a description is not in its text."""
    if isinstance(thing, list | tuple):
        return [values(each) for each in thing]
    if hasattr(thing, "__dict__"):
        return {name: values(each) for name, each in vars(thing).items() if name != "type"}
    return thing


async def test_aiortc_still_reads_from_an_offer_what_it_was_written_from(pair):
    offer = await pair[0].createOffer()
    assert values(SessionDescription.parse(str(offer.sdp))) == values(offer.sdp.source)


async def test_aiortc_still_reads_from_an_answer_what_it_was_written_from(pair):
    one, other = pair
    await one.setLocalDescription(await one.createOffer())
    await other.setRemoteDescription(one.localDescription)
    answer = await other.createAnswer()
    assert values(SessionDescription.parse(str(answer.sdp))) == values(answer.sdp.source)
    await other.setLocalDescription(answer)
    local = other.localDescription
    assert local.type == "answer"
    assert values(SessionDescription.parse(local.sdp)) == values(answer.sdp.source)


async def test_a_description_of_our_own_is_not_read_again_and_any_other_is(pair, parsed):
    one, _ = pair
    offer = await one.createOffer()
    await one.setLocalDescription(offer)
    assert parsed == []
    await one.setLocalDescription(RTCSessionDescription(str(offer.sdp), "offer"))
    assert parsed == [offer.sdp]


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_aiortc_still_finds_the_same_codecs_with_copies_that_are_not_as_deep(kind):
    local, remote = CODECS[kind], CODECS[kind][::-1]
    found = aiortc_descriptions._COMMON(local, remote)
    assert found == rtcpeerconnection.find_common_codecs(local, remote)
    assert found
    for codec in found:
        for original in local + remote:
            assert codec is not original
            assert codec.parameters is not original.parameters
            assert codec.rtcpFeedback is not original.rtcpFeedback


async def test_aiortc_still_has_its_remote_description_set_with_copies_of_its_codecs(pair):
    one, other = pair
    await one.setLocalDescription(await one.createOffer())
    offered = one.localDescription.sdp
    before = values(CODECS)
    await other.setRemoteDescription(
        RTCSessionDescription(offered.replace("a=rtpmap:96 ", "a=rtpmap:120 ").replace(" 96", " 120"), "offer")
    )
    assert other.getTransceivers()[0]._codecs[0].payloadType == 120
    assert values(CODECS) == before
