"""A canary for each private name of aiortc and aioice that `aiortc_internals` touches: a name here says what moved."""

import asyncio
from fractions import Fraction

import pytest
from aioice.ice import CandidatePair, StunProtocol
from aioice.turn import TurnClientTcpProtocol, TurnClientUdpProtocol, TurnTransport
from aiortc import AudioStreamTrack, RTCRtpSender, VideoStreamTrack
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from av import AudioFrame
from calls import until
from peer_connections import call, peer_connection

from smallrtc_cli.rtc import aiortc_internals as internals
from smallrtc_cli.rtc.ice import IceAgent

pytestmark = pytest.mark.usefixtures("loopback_only")


# aioice's agent


async def test_aioice_still_gathers_once_by_its_local_candidates_start(make_agent):
    agent = make_agent()
    assert agent.begin_gathering()
    assert not agent.begin_gathering()
    await super(IceAgent, agent).gather_candidates()
    assert agent.local_candidates == []


async def test_aioice_still_refuses_to_connect_before_its_local_candidates_end(make_agent):
    agent = make_agent()
    agent.remote_username, agent.remote_password = "user", "p" * 22
    with pytest.raises(ConnectionError, match="gathering was not performed"):
        await super(IceAgent, agent).connect()
    agent.hosts_gathered()
    await agent.add_remote_candidate(None)
    with pytest.raises(ConnectionError, match="negotiation failed"):
        await super(IceAgent, agent).connect()


async def test_aioice_still_keeps_its_sockets_in_protocols(make_agent):
    agent = make_agent()
    await agent.gather_candidates()
    (protocol,) = agent.host_protocols()
    assert isinstance(protocol, StunProtocol)
    assert agent.relay_protocols() == []
    await agent.close()
    assert agent.host_protocols() == []


async def test_aioice_still_shows_what_is_in_its_local_candidates(make_agent):
    agent = make_agent()
    await agent.gather_candidates()
    (candidate,) = agent.local_candidates
    agent.add_local_candidate(candidate)
    assert agent.local_candidates == [candidate, candidate]


async def test_aioice_still_pairs_a_remote_candidate_by_pair_remote_candidate(make_agent):
    one, other = make_agent(), make_agent()
    await asyncio.gather(one.gather_candidates(), other.gather_candidates())
    await one.add_remote_candidate(other.local_candidates[0])
    (pair,) = one.pairs()
    assert isinstance(pair, CandidatePair)
    later = StunProtocol(one)
    later.local_candidate = one.local_candidates[0]
    one.add_local_candidate(later.local_candidate, later)
    assert [p.protocol for p in one.pairs()] == [pair.protocol, later]
    one._protocols.remove(later)


async def test_aioice_still_puts_the_outcome_into_its_check_list_state(make_agent):
    agent = make_agent()
    await agent.gather_candidates()
    outcome = agent.begin_checks()
    assert not outcome.done()
    await agent.add_remote_candidate(None)
    assert not internals.IceConnection.succeeded(await asyncio.wait_for(outcome, 5))


async def test_aioice_still_defers_checks_that_come_early_and_answers_them_later():
    async with call() as (one, _):
        pass
    agent = one.sctp.transport.transport._connection
    assert isinstance(agent._early_checks_done, bool)
    assert agent._early_checks_done
    assert len(agent._early_checks) == 0


async def test_aioice_still_asks_whether_remote_candidates_are_expected_before_it_fails(make_agent):
    agent = make_agent()
    await agent.gather_candidates()
    agent.still_gathering = True
    await agent.add_remote_candidate(None)
    outcome = agent.begin_checks()
    await asyncio.sleep(0)
    assert not outcome.done()
    agent.still_gathering = False
    agent.fail_if_exhausted()
    assert not internals.IceConnection.succeeded(await asyncio.wait_for(outcome, 5))


async def test_aioice_still_starts_one_check_for_each_call_of_check_periodic(make_agent):
    one, other = make_agent(), make_agent()
    await asyncio.gather(one.gather_candidates(), other.gather_candidates())
    one.remote_username, one.remote_password = other.local_username, other.local_password
    assert not one.start_next_check()
    await one.add_remote_candidate(other.local_candidates[0])
    assert one.start_next_check()
    assert one.pairs()[0].task is not None
    assert not one.start_next_check()
    one.end_checks()


async def test_aioice_still_keeps_the_pair_in_use_in_nominated():
    async with call() as (one, _):
        agent = internals.ice_agent(one)
        assert isinstance(agent.nominated_pair(), CandidatePair)
        assert agent.nominated_pair() in agent.pairs()
        assert agent.nominated_pair().nominated


async def test_aioice_still_cancels_its_query_consent_task_at_the_end():
    async with call() as (one, _):
        consent = internals.ice_agent(one)._query_consent_task
        assert not consent.done()
    assert consent.cancelled()


async def test_aioice_still_ignores_remote_candidates_by_closing(make_agent):
    one, other = make_agent(), make_agent()
    await other.gather_candidates()
    assert not one.is_closing()
    one.begin_closing()
    assert one.is_closing()
    await one.add_remote_candidate(other.local_candidates[0])
    assert one.remote_candidates == []


async def test_aioice_still_keeps_its_pairs_in_check_list_and_how_a_check_ended_in_the_task_of_its_pair(make_agent):
    one, other = make_agent(), make_agent()
    await asyncio.gather(one.gather_candidates(), other.gather_candidates())
    one.remote_username, one.remote_password = other.local_username, other.local_password
    await one.add_remote_candidate(other.local_candidates[0])
    one.start_next_check()
    (pair,) = one.pairs()
    one.end_checks()
    await asyncio.wait({pair.task})
    one.let_go()
    assert (one.pairs(), pair.task) == ([], None)


async def test_aioices_turn_transport_still_has_its_udp_socket_behind_its_inner_protocol(make_agent):
    inner = TurnClientUdpProtocol(("127.0.0.1", 9), "u", "p", 600, 500)
    loop = asyncio.get_running_loop()
    below, _ = await loop.create_datagram_endpoint(lambda: inner, remote_addr=("127.0.0.1", 9))
    protocol = StunProtocol(make_agent())
    protocol.transport = TurnTransport(inner)
    assert internals.relay_socket(protocol) is below.get_extra_info("socket")
    protocol.transport = TurnTransport(TurnClientTcpProtocol(("127.0.0.1", 9), "u", "p", 600, 500))
    assert internals.relay_socket(protocol) is None
    below.close()


@pytest.mark.parametrize("rounds_of_goodbye", [0, 1, 3])
async def test_aioices_turn_transport_still_has_its_close_refresh_and_send_tasks_and_inner_protocol(
    make_agent, rounds_of_goodbye
):
    inner = TurnClientUdpProtocol(("127.0.0.1", 9), "u", "p", 600, 500)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: inner, remote_addr=("127.0.0.1", 9))
    protocol, transport = StunProtocol(make_agent()), TurnTransport(inner)
    inner.receiver = protocol
    protocol.connection_made(transport)
    transport.sendto(b"waits for a channel", ("127.0.0.1", 10))
    inner.refresh_task = asyncio.create_task(inner.refresh(600))
    closing = asyncio.create_task(protocol.close())
    for _ in range(rounds_of_goodbye):
        await asyncio.sleep(0)
    internals.abandon_relay(protocol)
    await asyncio.wait_for(closing, 5)
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


# aiortc's peer connection


async def test_aiortc_still_makes_its_transport_in_create_dtls_transport_and_uses_the_agent_put_in():
    async with call() as (one, other):
        for pc in (one, other):
            agent = internals.ice_agent(pc)
            assert isinstance(agent, IceAgent)
            assert agent.local_candidates
            assert agent.last_heard > 0  # what came went through it


async def test_aiortc_still_bundles_everything_on_the_transport_of_the_first_section():
    async with call(AudioStreamTrack(), VideoStreamTrack()) as (one, other):
        for pc in (one, other):
            transports = {t.receiver.transport for t in pc.getTransceivers()} | {pc.sctp.transport}
            assert transports == {internals.dtls_transport(pc)}


async def test_aiortc_still_keeps_the_keys_of_a_connection_in_its_dtls_transport_and_closes_that_first():
    async with call() as (one, other):
        transports = [internals.dtls_transport(pc) for pc in (one, other)]
        for dtls in transports:
            internals.forget_keys(dtls)
            assert None not in (dtls._ssl, dtls._rx_srtp, dtls._tx_srtp)  # they are needed
    for dtls in transports:
        assert dtls.state == "closed"
        assert (dtls._ssl, dtls._rx_srtp, dtls._tx_srtp) == (None, None, None)


async def test_aiortc_still_tells_a_peer_connection_by_listeners_that_hold_it():
    async with call(AudioStreamTrack()) as (one, _):
        dtls = internals.dtls_transport(one)
        assert dtls.listeners("statechange")
    assert not dtls.listeners("statechange")
    assert not dtls.transport.listeners("statechange")


async def test_a_method_that_was_replaced_on_one_object_is_its_class_again():
    async with call(AudioStreamTrack()) as (one, _):
        sender = one.getSenders()[0]
        sender._run_rtp = sender._handle_rtcp_packet
        internals.restore_methods(sender)
        assert sender._run_rtp.__func__ is RTCRtpSender._run_rtp
        assert sender.track is not None


async def test_without_a_section_there_is_no_transport_and_no_agent():
    pc = peer_connection()
    assert internals.dtls_transport(pc) is None
    assert internals.ice_agent(pc) is None
    await pc.close()


# aiortc's data channel


async def test_aiortc_still_keeps_unsent_and_unacknowledged_messages_in_its_three_sctp_queues():
    async with call() as (one, other):
        channels = []
        other.on("datachannel", channels.append)
        channel = one.createDataChannel("more")
        await until(lambda: channel.readyState == "open" and not internals.unacknowledged(one.sctp))
        acknowledged = []
        stop = one.association.on_acknowledgement(lambda: acknowledged.append(internals.unacknowledged(one.sctp)))
        channel.send("x" * 100_000)
        assert internals.unacknowledged(one.sctp) > 0
        await until(lambda: acknowledged and acknowledged[-1] == 0)
        stop()
        told = len(acknowledged)
        channel.send("y")
        await until(lambda: not internals.unacknowledged(one.sctp))
        assert len(acknowledged) == told


# aiortc's receiver


async def test_aiortc_still_drops_packets_undecoded_when_enabled_is_false():
    async with call(AudioStreamTrack(), channel=False) as (_, other):
        receiver = other.getReceivers()[0]
        await until(lambda: receiver.track._queue.qsize() > 0)
        internals.set_receiving(receiver, False)
        last = (await receiver.getStats()).values()
        before = {s.type: s.packetsReceived for s in last if s.type == "inbound-rtp"}
        internals.drop_frames(receiver.track, 0)
        await asyncio.sleep(0.1)
        after = {s.type: s.packetsReceived for s in (await receiver.getStats()).values() if s.type == "inbound-rtp"}
        assert after == before
        internals.set_receiving(receiver, True)
        await until(lambda: receiver.track._queue.qsize() > 0)


async def test_aiortc_still_keeps_the_decoded_frames_in_remote_stream_track_queue():
    track = RemoteStreamTrack(kind="audio")
    frames = [AudioFrame(format="s16", layout="mono", samples=n) for n in (1, 2)]
    for frame in frames:
        frame.time_base = Fraction(1, 48_000)
        track._queue.put_nowait(frame)
    assert track._queue.qsize() == 2
    assert internals.drop_frames(track, keep=1) == 1
    assert await track.recv() is frames[1]
    assert track._queue.qsize() == 0


async def test_aiortc_still_ends_a_remote_track_by_none_in_its_queue_and_dropping_frames_keeps_that():
    track = RemoteStreamTrack(kind="audio")
    internals.end_track(track)
    assert internals.drop_frames(track, keep=0) == 0
    with pytest.raises(MediaStreamError):
        await asyncio.wait_for(track.recv(), 5)
    assert track.readyState == "ended"


async def test_aiortc_still_sends_a_picture_loss_indication_by_send_rtcp_pli():
    async with call(VideoStreamTrack(), channel=False) as (_, other):
        receiver, asked = other.getReceivers()[0], []
        await until(receiver.getSynchronizationSources)
        send = receiver._send_rtcp_pli

        async def noted(source: int) -> None:
            asked.append(source)
            await send(source)

        receiver._send_rtcp_pli = noted
        await internals.request_keyframe(receiver)
        assert asked == [source.source for source in receiver.getSynchronizationSources()]


async def test_aiortc_still_has_the_negotiated_codecs_in_a_transceivers_codecs():
    async with call(AudioStreamTrack(), VideoStreamTrack(), channel=False) as (one, _):
        assert [internals.clock_rate(t) for t in one.getTransceivers()] == [48_000, 90_000]
    pc = peer_connection()
    assert internals.clock_rate(pc.addTransceiver("audio")) == 48_000
    await pc.close()
