"""A canary for each private name of aiortc that the statistics touch, and for what our sockets rely on in aioice."""

import asyncio
import inspect

import pytest
from aioice import stun
from aioice.ice import CandidatePair, StunProtocol
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpCodecParameters
from aiortc.stats import RTCTransportStats
from calls import answering, dialed, idle_bot, until

from smallrtc_cli.rtc import aiortc_internals as internals
from smallrtc_cli.rtc.ice import IceAgent
from smallrtc_cli.rtc.sockets import CheckSocket

pytestmark = pytest.mark.usefixtures("loopback_only")


async def test_aiortc_still_keeps_the_openssl_connection_in_ssl_and_its_role_in_role():
    async with answering(idle_bot) as server:
        async with dialed(server.supervisor) as (_, connection):
            await until(lambda: server.connection.peer.stages.connected)
            found = [
                internals.dtls_security(internals.dtls_transport(side.pc)) for side in (connection, server.connection)
            ]
    assert {security.role for security in found} == {"client", "server"}
    assert {security.version for security in found} == {0xFEFD}
    assert {security.profile for security in found} == {"SRTP_AEAD_AES_256_GCM"}
    assert all(security.cipher.startswith("ECDHE-") for security in found)


async def test_a_transport_that_is_not_connected_is_not_protected():
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.createDataChannel("chat")
    assert internals.dtls_security(internals.dtls_transport(pc)) is None
    await pc.close()


async def test_aiortc_still_gives_one_entry_for_a_transport_in_get_stats():
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.createDataChannel("chat")
    entry = internals.transport_stats(internals.dtls_transport(pc))
    assert isinstance(entry, RTCTransportStats)
    assert (entry.type, entry.bytesSent, entry.dtlsState) == ("transport", 0, "new")
    await pc.close()


async def test_aiortc_still_has_the_codec_in_use_first_in_a_transceivers_codecs():
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    assert internals.codec(pc.addTransceiver("audio")) is None
    await pc.close()
    async with answering(idle_bot) as server:
        async with dialed(server.supervisor) as (_, connection):
            codec = internals.codec(connection.pc.getTransceivers()[0])
            assert isinstance(codec, RTCRtpCodecParameters)
            assert f"a=rtpmap:{codec.payloadType} opus/48000/2" in connection.pc.remoteDescription.sdp


def test_aioice_still_asks_by_request_with_a_key_where_it_checks_and_without_one_where_it_asks_a_server():
    assert list(inspect.signature(CheckSocket.request).parameters) == list(
        inspect.signature(StunProtocol.request).parameters
    )


async def connected(make_agent) -> tuple[IceAgent, IceAgent]:
    """Two agents that know each other's candidates and have chosen a pair."""
    one, other = make_agent(), make_agent()
    one.ice_controlling = True
    await asyncio.gather(one.gather_candidates(), other.gather_candidates())
    for here, there in ((one, other), (other, one)):
        here.remote_username, here.remote_password = there.local_username, there.local_password
        for candidate in (*there.local_candidates, None):
            await here.add_remote_candidate(candidate)
    await asyncio.wait_for(asyncio.gather(one.connect(), other.connect()), 10)
    return one, other


async def test_aioices_checks_still_go_through_the_sockets_request_and_come_by_check_incoming(make_agent):
    for agent in await connected(make_agent):
        pair = agent.nominated_pair()
        assert isinstance(pair, CandidatePair)
        assert isinstance(pair.protocol, CheckSocket)
        path = pair.protocol.paths[pair.remote_addr]
        assert path.requests_sent >= path.responses_received >= 1
        assert path.requests_received >= 1
        assert agent.requests_heard >= 1
        assert agent.path(pair) is path


async def test_a_question_to_a_stun_server_is_no_check(make_agent, stun_service):
    agent = make_agent([stun_service.server])
    await agent.gather_candidates()
    assert stun_service.requests == 1
    assert [socket.paths for socket in agent.sockets()] == [{}]


def test_aioice_still_repeats_a_request_first_after_retry_rto():
    assert stun.RETRY_RTO == 0.5
