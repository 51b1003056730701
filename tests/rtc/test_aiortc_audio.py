"""A canary for each private name of aiortc that `aiortc_audio` touches: a name here says what moved."""

import asyncio
import threading

import pytest
from aiortc import AudioStreamTrack, RTCRtpCodecParameters, clock
from aiortc.mediastreams import MediaStreamError
from calls import until
from peer_connections import negotiate, peer_connection

from smallrtc_cli.protocol.rtp import RtpPacket, is_rtp, parse_rtp, rtp_header
from smallrtc_cli.rtc import aiortc_audio, aiortc_internals
from smallrtc_cli.rtc.aiortc_audio import count_received, receive_by, send_after, send_by

pytestmark = pytest.mark.usefixtures("loopback_only")

OPUS = 96
"The payload type that aiortc gives it."


@pytest.fixture
async def pair():
    """Two peer connections, not yet connected; the first sends silence."""
    one, other = peer_connection(), peer_connection()
    one.addTrack(AudioStreamTrack())
    yield one, other
    await asyncio.gather(one.close(), other.close())


async def connected(one, other):
    await negotiate(one, other)
    await until(lambda: one.connectionState == other.connectionState == "connected")


def receiving_by(pc, on_packet):
    pc.on("track", lambda _: receive_by(pc.getReceivers()[0], on_packet))


async def test_aiortc_still_makes_its_decoder_a_thread_of_the_module_threading_in_receive(pair):
    one, other = pair
    receiving_by(other, lambda _: None)
    await connected(one, other)
    await until(lambda: OPUS in aiortc_audio.received_codecs(other.getReceivers()[0]))
    assert not [thread.name for thread in threading.enumerate() if thread.name.endswith("-decoder")]


async def test_aiortc_still_hands_packets_to_handle_rtp_packet(pair):
    one, other = pair
    packets = []
    receiving_by(other, packets.append)
    await connected(one, other)
    await until(lambda: len(packets) >= 2)
    first, second = packets[:2]
    assert isinstance(first, RtpPacket)
    assert (first.payload_type, first.ssrc) == (OPUS, one.getSenders()[0]._ssrc)
    assert second.sequence_number == first.sequence_number + 1
    assert first.payload


async def test_aiortc_still_joins_its_decoder_when_the_other_side_is_gone_and_that_ends_the_track(pair):
    one, other = pair
    receiving_by(other, lambda _: None)
    await connected(one, other)
    reading = asyncio.ensure_future(other.getReceivers()[0].track.recv())
    await until(lambda: aiortc_audio.received_codecs(other.getReceivers()[0]))
    await one.close()
    with pytest.raises(MediaStreamError):
        await asyncio.wait_for(reading, 10)


async def test_aiortc_still_counts_received_packets_by_source_in_remote_streams(pair):
    one, other = pair
    packets = []
    receiving_by(other, packets.append)
    await connected(one, other)
    await until(lambda: packets)
    receiver = other.getReceivers()[0]
    for sequence in (7, 8, 10):
        count_received(receiver, RtpPacket(OPUS, sequence, 960 * sequence, 5, b"x"), 48_000)
    (found,) = [each for each in (await receiver.getStats()).values() if each.type == "inbound-rtp"]
    assert (found.ssrc, found.packetsReceived, found.packetsLost) == (5, 3, 1)
    assert [source.source for source in receiver.getSynchronizationSources()] == [5]


async def test_aiortc_still_reads_a_tracks_frames_from_its_queue_and_is_on_while_enabled(pair):
    one, other = pair
    receiving_by(other, lambda _: None)
    await negotiate(one, other)
    receiver = other.getReceivers()[0]
    assert aiortc_audio.unread(receiver.track) == 0
    aiortc_audio.hand_over(receiver.track, "frame")
    assert aiortc_audio.unread(receiver.track) == 1
    assert await receiver.track.recv() == "frame"
    assert aiortc_audio.is_receiving(receiver)
    aiortc_internals.set_receiving(receiver, False)
    assert not aiortc_audio.is_receiving(receiver)


async def test_aiortcs_transport_still_unprotects_by_rx_srtp_counts_in_rx_and_routes_by_its_router(pair):
    one, other = pair
    dtls = aiortc_internals.dtls_transport
    seen = []
    receiving_by(other, lambda _: None)
    await negotiate(one, other)
    assert not aiortc_audio.can_unprotect(dtls(other))
    aiortc_internals.ice_agent(other).take_media = lambda data: is_rtp(data) and not seen.append(data)
    await until(lambda: len(seen) >= 2 and aiortc_audio.can_unprotect(dtls(other)))
    before = aiortc_internals.transport_stats(dtls(other))
    packet = parse_rtp(aiortc_audio.unprotect(dtls(other), seen[-1]))
    after = aiortc_internals.transport_stats(dtls(other))
    assert packet.payload_type == OPUS
    assert after.packetsReceived == before.packetsReceived + 1
    assert after.bytesReceived == before.bytesReceived + len(seen[-1])
    assert aiortc_audio.route(dtls(other), packet) is other.getReceivers()[0]
    assert aiortc_audio.unprotect(dtls(other), seen[-1][:-1] + b"\0") is None


async def test_aiortc_still_runs_run_rtp_until_it_is_cancelled_and_waits_for_its_two_events(pair):
    one, other = pair
    sender, states = one.getSenders()[0], []

    async def run(codec):
        states.append(codec)
        try:
            await asyncio.sleep(60)
        finally:
            states.append("over")

    send_by(sender, run)
    track = sender.track
    await connected(one, other)
    await until(lambda: states)
    assert isinstance(states[0], RTCRtpCodecParameters)
    assert states[0].payloadType == OPUS
    await asyncio.wait_for(one.close(), 10)
    assert states[1:] == ["over"]
    assert (track.readyState, sender.track) == ("ended", None)


@pytest.mark.parametrize("error", [ConnectionError, MediaStreamError, ValueError])
async def test_a_sender_that_cannot_go_on_does_not_keep_its_connection_from_closing(pair, error):
    one, other = pair
    ended = asyncio.Event()

    async def run(codec):
        ended.set()
        raise error

    send_by(one.getSenders()[0], run)
    await connected(one, other)
    await asyncio.wait_for(ended.wait(), 10)
    await asyncio.wait_for(one.close(), 10)


async def test_aiortc_still_sends_by_send_rtp_and_counts_what_was_sent_in_its_four_figures(pair):
    one, other = pair
    packets, ready = [], asyncio.Event()
    receiving_by(other, packets.append)
    sender = one.getSenders()[0]

    async def run(codec):
        ready.set()
        await asyncio.sleep(60)

    send_by(sender, run)
    await connected(one, other)
    await asyncio.wait_for(ready.wait(), 10)
    await until(lambda: aiortc_audio.received_codecs(other.getReceivers()[0]))
    assert aiortc_audio.is_sending(sender)
    packet = RtpPacket(OPUS, 1, 2, aiortc_audio.source(sender), b"sound")
    await aiortc_audio.send_packet(sender, packet, rtp_header(packet, marker=True, extensions=b""))
    await until(lambda: packets)
    assert packets == [packet]
    (found,) = [each for each in (await sender.getStats()).values() if each.type == "outbound-rtp"]
    assert (found.packetsSent, found.bytesSent) == (1, len(b"sound"))
    remote = []
    other.getReceivers()[0]._handle_rtcp_packet = lambda report: remote.append(report) or asyncio.sleep(0)
    await until(lambda: remote)
    assert (remote[0].sender_info.rtp_timestamp, remote[0].sender_info.packet_count) == (2, 1)


def test_the_time_of_reports_is_that_of_aiortcs_clock():
    before, ours, after = clock.current_ntp_time(), aiortc_audio._ntp_time(), clock.current_ntp_time()
    slack = 1 << 14  # 4 us: what a float and a datetime round
    assert before - slack <= ours <= after + slack


async def test_aiortc_still_gives_reports_to_a_senders_handle_rtcp_packet(pair):
    one, other = pair
    sender, told, seen = one.getSenders()[0], [], []
    aiortc_audio.on_reported_loss(sender, told.append)

    async def run(codec):
        await until(lambda: aiortc_audio.received_codecs(other.getReceivers()[0]))
        for number in (1, 2, 4, 5):
            packet = RtpPacket(OPUS, number, 960 * number, aiortc_audio.source(sender), b"x")
            await aiortc_audio.send_packet(sender, packet, rtp_header(packet, marker=False, extensions=b""))
        await asyncio.sleep(60)

    send_by(sender, run)
    receiver = other.getReceivers
    receiving_by(other, lambda packet: (seen.append(packet), count_received(receiver()[0], packet, 48_000)))
    await connected(one, other)
    await until(lambda: any(told))
    assert max(told) == pytest.approx(0.2, abs=0.01)
    assert "remote-inbound-rtp" in [each.type for each in (await sender.getStats()).values()]


async def test_aiortc_still_has_the_negotiated_header_extensions_in_a_transceivers_header_extensions(pair):
    one, other = pair
    (transceiver,) = one.getTransceivers()
    assert aiortc_audio.level_extension(transceiver) is None
    await negotiate(one, other)
    assert (aiortc_audio.mid_extension(transceiver), aiortc_audio.level_extension(transceiver)) == (1, 2)


async def test_aiortc_still_starts_run_rtp_when_it_is_told_to_send_and_nothing_leaves_before_it_is_ready(pair):
    one, other = pair
    sender, asked, ready, sent = one.getSenders()[0], asyncio.Event(), asyncio.Event(), []

    async def run(codec):
        sent.append(codec.payloadType)
        await asyncio.sleep(60)

    async def until_ready():
        asked.set()
        await ready.wait()

    send_by(sender, run)
    send_after(sender, until_ready)
    await connected(one, other)
    await asyncio.wait_for(asked.wait(), 10)
    assert sent == []
    ready.set()
    await until(lambda: sent == [OPUS])
    await asyncio.wait_for(one.close(), 10)


async def test_a_connection_that_closes_before_its_sender_is_ready_waits_for_that(pair):
    one, other = pair
    sender, asked, ready = one.getSenders()[0], asyncio.Event(), asyncio.Event()

    async def until_ready():
        asked.set()
        await ready.wait()

    send_after(sender, until_ready)
    await connected(one, other)
    await asyncio.wait_for(asked.wait(), 10)
    closing = asyncio.create_task(one.close())
    asyncio.get_running_loop().call_soon(ready.set)
    await asyncio.wait_for(closing, 10)
    assert sender.track is None
