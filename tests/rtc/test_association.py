"""aiortc's SCTP association with a chunk size of its own: a canary for each private name, and what we add to it."""

import asyncio
import random
import types

import pytest
from aiortc import RTCSctpTransport, VideoStreamTrack, rtcsctptransport
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.mediastreams import VIDEO_TIME_BASE
from aiortc.rtcsctptransport import InboundStream
from av import VideoFrame
from calls import until
from narrow_path import narrow_path
from peer_connections import call
from sctp_pairs import AIORTCS, OURS, Weather
from sctp_pairs import pair as sctp_pair
from virtual_time import run_virtually

from smallrtc_cli.protocol.congestion import Window
from smallrtc_cli.protocol.packet_sizes import Layers
from smallrtc_cli.rtc import aiortc_internals as internals
from smallrtc_cli.rtc import association
from smallrtc_cli.rtc.association import Association
from smallrtc_cli.rtc.sctp import Sctp
from smallrtc_cli.rtc.sctp_receiver import Reassembly, SctpReceiver
from smallrtc_cli.rtc.sctp_sender import CAUTIOUS_CHUNK, SctpSender

pytestmark = pytest.mark.usefixtures("loopback_only")

CHUNKS = [480, 481, 1100, 1101, 1184, 1404, 1432]


def functions(cls: type) -> dict[str, types.FunctionType]:
    members = {name: getattr(member, "__func__", member) for name, member in vars(cls).items()}
    return {name: member for name, member in members.items() if isinstance(member, types.FunctionType)}


async def opened(one: internals.PeerConnection, other: internals.PeerConnection) -> tuple[list, list]:
    """A channel from one to the other, with what arrives and the lengths of the chunks that carry it."""
    received, lengths = [], []
    receive = other.sctp._receive_data_chunk

    async def noted(chunk) -> None:
        lengths.append(len(chunk.user_data))
        await receive(chunk)

    other.sctp._receive_data_chunk = noted
    other.on("datachannel", lambda channel: channel.on("message", received.append))
    one.line = one.createDataChannel("more")
    await until(lambda: one.line.readyState == "open" and not internals.unacknowledged(one.sctp))
    lengths.clear()
    return received, lengths


def test_aiortc_still_counts_in_chunks_in_these_methods_only_and_all_are_ours():
    named = {n for n, f in functions(RTCSctpTransport).items() if "USERDATA_MAX_LENGTH" in f.__code__.co_names}
    assert named == {"__init__", "_receive_sack_chunk", "_send", "_t3_expired", "_transmit"}
    assert named <= functions(SctpSender).keys()


@pytest.mark.parametrize(
    ("half", "replaced"),
    [
        (
            SctpSender,
            {"_data_channel_flush", "_receive_sack_chunk", "_send", "_t1_expired", "_t3_expired", "_transmit"},
        ),
        (
            SctpReceiver,
            {"_abort", "_get_inbound_stream", "_mark_received", "_receive_data_chunk", "_receive_forward_tsn_chunk"}
            | {"_handle_data", "_receive", "_send_sack", "_set_extensions"},
        ),
        (Sctp, {"_send_chunk"}),
        (Reassembly, {"add_chunk"}),
    ],
)
def test_aiortc_still_has_the_methods_that_ours_replace(half, replaced):
    there = functions(InboundStream if half is Reassembly else RTCSctpTransport).keys()
    assert there & functions(half).keys() - {"__init__"} == replaced


def test_aiortc_still_sends_nothing_and_arms_no_timer_of_t3_but_in_the_methods_that_ours_replace():
    timers = {"_t3_restart", "_t3_start", "_t3_handle", "_send_sack"}
    used = {n for n, f in functions(RTCSctpTransport).items() if timers & {*f.__code__.co_names}}
    own = {"__init__", "_t3_cancel", "_t3_restart", "_t3_start"}
    assert used == own | {"_handle_data", "_receive_sack_chunk", "_t3_expired", "_transmit"}


def test_aiortc_still_cuts_video_by_a_constant_of_its_encoders_modules():
    for kind in (Vp8Encoder, H264Encoder):
        assert any("PACKET_MAX" in f.__code__.co_names for f in functions(kind).values())


async def test_aiortc_still_makes_its_association_in_create_sctp_transport():
    async with call() as (one, other):
        for pc in (one, other):
            assert pc.association.sctp is pc.sctp
            assert pc.association.chunk == CAUTIOUS_CHUNK == 1080


async def test_each_association_cuts_by_its_own_size_and_aiortcs_is_untouched():
    before = rtcsctptransport.USERDATA_MAX_LENGTH
    async with call() as (one, other):
        received, lengths = await opened(one, other)
        for size in (600, 1400):
            one.association.chunk = size
            lengths.clear()
            one.line.send("x" * 5000)
            await until(lambda: received == ["x" * 5000])
            received.clear()
            assert max(lengths) == size
        assert other.association.chunk == CAUTIOUS_CHUNK
    assert before == rtcsctptransport.USERDATA_MAX_LENGTH


async def test_a_probe_is_as_long_as_a_packet_with_so_many_user_bytes_and_as_the_arithmetic_says():
    async with call() as (one, _):
        sctp, dtls = one.sctp, one.sctp.transport
        await until(lambda: sctp.state == "connected")
        cipher = internals.dtls_security(dtls).cipher
        for size in CHUNKS:
            chunk = rtcsctptransport.DataChunk()
            chunk.user_data = bytes(size)
            packet = rtcsctptransport.serialize_packet(5000, 5000, 1, chunk)
            dtls._ssl.send(packet)
            record = dtls._ssl.bio_read(4096)
            assert (
                len(one.association.probe(bytes(8), size)) == len(record) == Layers(4, None, cipher).udp_payload(size)
            )
        assert sctp.state == "connected"


async def test_the_other_side_acknowledges_a_probe_with_its_info():
    async with call() as (one, _):
        heard = []
        stop = one.association.on_heartbeat_ack(heard.append)
        for info in (b"12345678", b"abcdefgh"):
            record = one.association.probe(info, 1000)
            await one.sctp.transport.transport._send(record)
        await until(lambda: heard == [b"12345678", b"abcdefgh"])
        stop()
        assert "_receive_chunk" not in one.sctp.__dict__


async def test_a_probe_on_a_closed_connection_is_a_connection_error():
    async with call() as (one, _):
        association = one.association
    with pytest.raises(ConnectionError):
        association.probe(bytes(8), 1000)


async def test_acknowledgements_are_told_to_all_that_listen_until_they_stop():
    async with call() as (one, other):
        received, _ = await opened(one, other)
        told: list[str] = []
        stops = [one.association.on_acknowledgement(lambda name=name: told.append(name)) for name in "ab"]
        one.line.send("1")
        await until(lambda: {*told} == {"a", "b"} and not internals.unacknowledged(one.sctp))
        stops[0]()
        told.clear()
        one.line.send("2")
        await until(lambda: told and not internals.unacknowledged(one.sctp))
        stops[1]()
        assert {*told} == {"b"}
        one.association.chunk = 500
        one.line.send("x" * 3000)  # it still counts in its own chunks
        await until(lambda: received == ["1", "2", "x" * 3000])


async def test_an_acknowledgement_tells_how_much_room_the_other_side_has():
    async with call() as (one, other):
        await opened(one, other)
        stop = one.association.on_acknowledgement(lambda: None)
        other.sctp._advertised_rwnd = 4711
        one.line.send("1")
        await until(lambda: not internals.unacknowledged(one.sctp))
        stop()
        assert one.association.window == 4711


async def test_an_association_that_has_learned_much_can_begin_as_carefully_as_a_fresh_one():
    async with call() as (one, other):
        received, _ = await opened(one, other)
        association, sctp = one.association, one.sctp
        association.chunk = 1000
        fresh = Window(1000).size
        one.line.send("x" * 200_000)
        await until(lambda: received and not internals.unacknowledged(sctp))
        assert sctp.window.size > fresh
        association.start_slowly()
        assert sctp.window.size == fresh
        one.line.send("y" * 200_000)
        await until(lambda: len(received) == 2)


async def test_the_other_side_can_be_asked_for_what_it_has():
    async with call() as (one, other):
        await opened(one, other)
        told = asyncio.Event()
        stop = one.association.on_acknowledgement(told.set)
        before = one.association.acknowledged_up_to
        assert await one.association.ask_for_sack()
        await asyncio.wait_for(told.wait(), 10)
        stop()
        assert one.association.acknowledged_up_to == before
        one.sctp._remote_partial_reliability = False
        assert not await one.association.ask_for_sack()


@pytest.mark.parametrize(("kind", "is_aiortcs"), [(OURS, False), (AIORTCS, True)])
def test_aiortc_still_says_just_these_extensions_and_ours_says_more(kind, is_aiortcs):
    async def told() -> list[int]:
        async with sctp_pair(Weather(), OURS, kind) as (one, _):
            return one.sctp._remote_extensions

    assert (run_virtually(told()) == association._EXTENSIONS_OF_AIORTC) is is_aiortcs


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", [OURS, AIORTCS])
def test_a_path_that_shrinks_costs_no_message_and_copies_none_whoever_receives(kind, seed):
    async def exchange() -> None:
        draws, weather = random.Random(seed), Weather(late=0.002 * (seed % 2), seed=seed)
        async with sctp_pair(weather, OURS, kind) as (one, other):
            ours = Association(one.sctp)
            ours.chunk = 1400
            given = [f"{number} " + "x" * draws.choice((5, 50, 300, 1200, 2500, 9000)) for number in range(80)]
            for number, message in enumerate(given):
                one.channel.send(message)
                await asyncio.sleep(0.001)
                if number == 20 + 5 * seed:
                    weather.eats = lambda chunk: len(getattr(chunk, "user_data", b"")) > 1000
            await asyncio.sleep(3)
            assert len(other.received) < len(given)
            ours.chunk = 1000
            while not one.idle:
                assert await ours.ask_for_sack()
                await asyncio.sleep(0.1)
                await (ours.recut() if ours.can_recut() else ours.send_anew())
                await asyncio.sleep(2)
            assert sorted(other.received) == sorted(given)

    run_virtually(exchange())


async def test_what_the_other_side_has_nothing_of_is_cut_anew_without_a_new_number_for_what_it_has(monkeypatch):
    monkeypatch.setattr(association, "_SETTLED", 0.0)
    with narrow_path() as path:
        async with call() as (one, other):
            received, lengths = await opened(one, other)
            one.association.chunk = 1400
            path.mtu = 1000
            one.line.send("x" * 20_000)
            one.line.send("y")
            await until(lambda: one.association.in_flight)
            assert not received
            assert {*one.association.in_flight} == {1400}
            assert not lengths
            one.association.chunk = 800
            assert one.association.can_recut()
            await one.association.recut()
            await until(lambda: received == ["x" * 20_000, "y"], 20)
            assert max(lengths) == 800


async def test_nothing_is_cut_anew_of_which_the_other_side_has_a_part(monkeypatch):
    monkeypatch.setattr(association, "_SETTLED", 0.0)
    with narrow_path() as path:
        async with call() as (one, other):
            received, lengths = await opened(one, other)
            one.association.chunk = 1400
            path.mtu = 1000
            one.line.send("x" * 1600)  # its second chunk arrives
            await until(lambda: any(chunk._acked for chunk in one.sctp._sent_queue))
            one.association.chunk = 800
            assert not one.association.can_recut()
            assert await one.association.send_anew()
            await until(lambda: received == ["x" * 1600], 20)
            assert {*lengths} == {200, 800}


async def test_messages_that_are_not_stuck_are_left_alone():
    async with call() as (one, other):
        await opened(one, other)
        assert not one.association.can_recut()
        assert not await one.association.send_anew()


# Video


def frame() -> VideoFrame:
    made = VideoFrame(640, 480, "yuv420p")
    for number, plane in enumerate(made.planes):
        plane.update(bytes((i * 31 + i // 7 * number) % 251 for i in range(plane.buffer_size)))
    made.pts, made.time_base = 0, VIDEO_TIME_BASE
    return made


@pytest.mark.parametrize("mime_type", ["video/VP8", "video/H264"])
async def test_a_video_sender_has_a_payload_size_of_its_own(mime_type):
    async with call(VideoStreamTrack(), channel=False) as (one, _):
        transceiver = one.getTransceivers()[0]
        transceiver._codecs = [c for c in transceiver._codecs if c.mimeType == mime_type] or transceiver._codecs
        transceiver.sender._RTCRtpSender__encoder = None
        change = internals.limit_payload(transceiver, 1000)
        encoder = transceiver.sender._RTCRtpSender__encoder
        assert isinstance(encoder, Vp8Encoder if mime_type == "video/VP8" else H264Encoder)
        assert 900 < max(map(len, encoder.encode(frame(), True)[0])) <= 1000
        change(500)
        assert 400 < max(map(len, encoder.encode(frame(), True)[0])) <= 500
        assert internals.limit_payload(transceiver, 700) is None
        assert max(map(len, type(encoder).__mro__[1]().encode(frame(), True)[0])) > 1000
