"""What comes is heard: at once, in order, without a thread, and what is lost is made up and counted."""

import asyncio

import pytest
from aiortc import RTCRtpCodecParameters, RTCRtpReceiver
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from calls import AUDIO_ONLY, SOUND, answering, dialed, idle_bot, until
from coded import packets_of

from smallrtc_cli.audio.codecs import encoder_for
from smallrtc_cli.audio.pcm import level_dbfs
from smallrtc_cli.audio.piece import TICKS
from smallrtc_cli.audio.signals import tone
from smallrtc_cli.config import Opus, Playout
from smallrtc_cli.protocol.rtp import RtpPacket, rtp_header
from smallrtc_cli.rtc import aiortc_internals
from smallrtc_cli.rtc.audio_receiver import AudioReceiver, SoundFormat
from smallrtc_cli.rtc.transport import SmallWebRTCTransport

OPUS, PCMU = 96, 0
SOURCE = 1234

PATIENT = Playout(first_wait=30.0, longest_wait=30.0)
"Waits for what is missing until a test has seen that it waits."


class Transport:
    """As much of a DTLS transport as a receiver asks for while nothing is negotiated."""

    state = "new"


@pytest.fixture
def receiver():
    made = RTCRtpReceiver("audio", Transport())
    made._track = RemoteStreamTrack("audio")
    made._RTCRtpReceiver__codecs |= {
        OPUS: RTCRtpCodecParameters("audio/opus", 48_000, 2, OPUS),
        PCMU: RTCRtpCodecParameters("audio/PCMU", 8_000, 1, PCMU),
    }
    return made


@pytest.fixture
async def player(receiver):
    made = AudioReceiver(receiver)
    yield made
    made.close()


def opus(count, *, sequence=0, timestamp=0, source=SOURCE):
    """Packets of 20 ms of a tone."""
    payloads = packets_of(encoder_for("audio/opus", 48_000, 1, Opus()), tone(440, count / 50, channels=1))
    return [
        RtpPacket(OPUS, (sequence + n) % 65_536, (timestamp + 960 * n) % 2**32, source, payload)
        for n, payload in enumerate(payloads)
    ]


def pcmu(count, *, sequence=0, timestamp=0):
    payloads = packets_of(encoder_for("audio/PCMU", 8_000, 1, Opus()), tone(440, count / 50, rate=8_000, channels=1))
    return [RtpPacket(PCMU, sequence + n, timestamp + 160 * n, SOURCE, payload) for n, payload in enumerate(payloads)]


def taken(receiver):
    """All pieces that wait in the track."""
    queue = receiver.track._queue
    return [queue.get_nowait() for _ in range(queue.qsize())]


def follow_on(pieces):
    """Each begins where the one before ended."""
    starts = [piece.position / TICKS for piece in pieces]
    ends = [piece.position / TICKS + piece.seconds for piece in pieces]
    return starts[1:] == pytest.approx(ends[:-1])


async def test_a_packet_in_its_turn_is_sound_before_anything_else_happens(receiver, player):
    for number, packet in enumerate(opus(10)):
        player.receive(packet)
        (piece,) = taken(receiver)
        assert (piece.position, piece.samples.shape, piece.rate) == (960 * number, (960, 2), 48_000)


async def test_a_reader_that_waits_gets_the_sound(receiver, player):
    reading = asyncio.ensure_future(receiver.track.recv())
    await asyncio.sleep(0)
    player.receive(opus(1)[0])
    piece = await asyncio.wait_for(reading, 5)
    assert len(piece.samples) == 960


async def test_a_hole_is_waited_for_then_made_up_and_counted_and_leaves_no_delay(receiver, player):
    first, _, third, *rest = opus(6)
    player.receive(first)
    assert len(taken(receiver)) == 1
    player.receive(third)
    await until(lambda: receiver.track._queue.qsize() == 2)
    pieces = taken(receiver)
    assert [piece.position for piece in pieces] == [960, 1920]
    for packet in rest:
        player.receive(packet)
        pieces += taken(receiver)
    assert [piece.position for piece in pieces] == [960, 1920, 2880, 3840, 4800]
    found = player.statistics
    assert found["concealedSamples"] + found["jitterBufferEmittedCount"] == 6 * 960
    assert found["packetsDiscarded"] == 0


async def test_what_comes_out_of_order_is_waited_for_and_nothing_is_made_up(receiver):
    player = AudioReceiver(receiver, PATIENT)
    first, second, third = opus(3)
    player.receive(first)
    player.receive(third)
    assert len(taken(receiver)) == 1
    player.receive(second)
    assert [piece.position for piece in taken(receiver)] == [960, 1920]
    assert player.statistics["concealedSamples"] == 0
    player.close()


async def test_a_late_packet_and_a_copy_are_no_sound(receiver, player):
    first, second, third = opus(3)
    for packet in (first, first, third):
        player.receive(packet)
    await until(lambda: receiver.track._queue.qsize() == 3)
    player.receive(second)
    assert len(taken(receiver)) == 3
    assert player.statistics["packetsDiscarded"] == 1
    assert player.statistics["duplicates"] == 1


async def test_while_nobody_reads_packets_are_counted_and_not_decoded(receiver, player):
    packets = opus(10)
    aiortc_internals.set_receiving(receiver, False)
    for packet in packets[:5]:
        player.receive(packet)
    assert taken(receiver) == []
    assert player.statistics == {}
    aiortc_internals.set_receiving(receiver, True)
    for packet in packets[5:]:
        player.receive(packet)
    assert len(taken(receiver)) == 5
    (found,) = list(receiver._RTCRtpReceiver__remote_streams.values())
    assert (found.packets_received, found.packets_lost) == (10, 0)


async def test_a_pause_in_reading_is_no_loss_and_what_waited_before_it_is_not_played_after_it(receiver):
    player = AudioReceiver(receiver, PATIENT)
    packets = opus(300)
    player.receive(packets[0])
    player.receive(packets[2])  # waits for the second
    aiortc_internals.set_receiving(receiver, False)
    player.receive(packets[3])
    aiortc_internals.set_receiving(receiver, True)
    taken(receiver)
    player.receive(packets[299])
    (piece,) = taken(receiver)
    assert len(piece.samples) == 960
    assert player.statistics["concealedSamples"] == 0
    assert player._timer is None
    player.close()


async def test_a_packet_of_a_kind_that_was_not_negotiated_is_nothing(receiver, player):
    player.receive(opus(1)[0]._replace(payload_type=13))
    assert taken(receiver) == []
    assert receiver._RTCRtpReceiver__remote_streams == {}


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 1), (24_000, 2), (48_000, 1)])
async def test_sound_is_decoded_straight_to_the_format_that_is_preferred(receiver, player, rate, channels):
    player.prefer(SoundFormat(rate, channels))
    for packet in opus(5):
        player.receive(packet)
    pieces = taken(receiver)
    assert {(piece.samples.shape, piece.rate) for piece in pieces} == {((rate // 50, channels), rate)}
    assert follow_on(pieces)


async def test_another_source_goes_on_where_the_first_one_ended(receiver, player):
    for packet in [*opus(3, sequence=500, timestamp=9), *opus(3, sequence=7, timestamp=2**31, source=99)]:
        player.receive(packet)
    pieces = taken(receiver)
    assert len(pieces) == 6
    assert follow_on(pieces)


async def test_numbers_and_timestamps_may_wrap_around(receiver, player):
    for packet in opus(6, sequence=65_533, timestamp=2**32 - 2000):
        player.receive(packet)
    pieces = taken(receiver)
    assert len(pieces) == 6
    assert follow_on(pieces)


async def test_another_codec_in_the_middle_goes_on_at_its_own_rate_and_the_figures_are_of_both(receiver, player):
    for packet in [*opus(3), *pcmu(3, sequence=3)]:
        player.receive(packet)
    pieces = taken(receiver)
    assert [piece.rate for piece in pieces] == 3 * [48_000] + 3 * [8_000]
    assert follow_on(pieces)
    assert player.statistics["jitterBufferEmittedCount"] == 3 * 960 + 3 * 160


async def test_a_reader_in_real_time_that_is_behind_is_relieved_of_it(receiver, monkeypatch):
    """It plays as fast as time passes, but began 100 ms too late; the loop's clock is the test's."""
    now = 0.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    player, heard = AudioReceiver(receiver), 0
    for number, packet in enumerate(opus(500)):
        now = number / 50
        player.receive(packet)
        while heard < (now - 0.1) * 48_000 and receiver.track._queue.qsize():
            heard += len(receiver.track._queue.get_nowait().samples)
    monkeypatch.undo()
    waiting = sum(len(piece.samples) for piece in taken(receiver))
    assert player.statistics["removedSamplesForAcceleration"] == 500 * 960 - heard - waiting
    assert waiting < 3 * 960
    player.close()


async def test_one_who_does_not_read_at_all_loses_nothing_by_that_until_he_does(receiver, player):
    for packet in opus(80):
        player.receive(packet)
    assert sum(len(piece.samples) for piece in taken(receiver)) == 80 * 960


async def test_what_waits_when_the_connection_closes_is_not_played(receiver):
    player = AudioReceiver(receiver, PATIENT)
    first, _, third = opus(3)
    player.receive(first)
    player.receive(third)
    assert player._timer is not None
    player.close()
    assert player._timer is None
    assert len(taken(receiver)) == 1


async def test_after_the_end_nothing_is_played_and_the_figures_stay(receiver, player):
    first, second = opus(2)
    player.receive(first)
    player.close()
    player.receive(second)
    player.close()
    assert len(taken(receiver)) == 1
    assert player.statistics["jitterBufferEmittedCount"] == 960


# What comes over the transport


async def test_sound_is_taken_where_it_arrives_and_all_else_is_left():
    async with answering(idle_bot) as server, dialed(server.supervisor, AUDIO_ONLY) as (_, connection):
        await until(lambda: connection.peer.stages.channel)
        take = connection.peer.agent.take_media
        assert not take(b"\x16\xfe\xfd" + bytes(20))  # DTLS
        assert not take(b"\x80\xc8" + bytes(20))  # RTCP
        assert not take(rtp_header(RtpPacket(77, 1, 1, 1, b""), marker=False, extensions=b""))
        assert take(rtp_header(RtpPacket(OPUS, 1, 1, 1, b""), marker=False, extensions=b"") + b"forged")
        assert connection.peer.sound.player(0).statistics == {}


async def test_the_tone_of_a_bot_comes_through():
    async def speaking(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection, SOUND)
        await transport.start()
        while transport.connection.is_connected() or not transport.connection.close_reason:
            await transport.output().write(tone(440, 0.02, rate=24_000, channels=1).tobytes())

    async with answering(speaking) as server, dialed(server.supervisor, AUDIO_ONLY) as (_, connection):
        track = await connection.next_audio_track(None)
        async with asyncio.timeout(15):
            while level_dbfs((await track.read()).samples) < -30:
                pass
        assert connection.peer.sound.player(0).statistics["jitterBufferEmittedCount"] > 0
