"""What a connection counts: W3C's names and units, on real calls, and the levels by value."""

import asyncio
import gc
import json
import math
import sys

import aioice.ice
import numpy as np
import pytest
from aioice import stun
from calls import SOUND, Mailbox, answering, dialed, until

from smallrtc_cli.audio.pcm import OutputAudioRawFrame
from smallrtc_cli.errors import ConnectionEnded
from smallrtc_cli.protocol.session import State
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.levels import RecentSound
from smallrtc_cli.rtc.sockets import Path
from smallrtc_cli.rtc.stats import _w3c, of_type, stats
from smallrtc_cli.rtc.transport import SmallWebRTCTransport

pytestmark = pytest.mark.usefixtures("loopback_only")


def square(level: float) -> bytes:
    """20 ms of a square wave of 500 Hz: its root mean square is its amplitude."""
    period = np.repeat([1.0, -1.0], 48)
    return (np.tile(period, 10) * level * 32767).astype("<i2").tobytes()


def one(report, kind):
    (entry,) = of_type(report, kind)
    return entry


class Talking:
    """A bot that plays a square wave; `mailbox` has the messages that it gets."""

    def __init__(self, level: float = 0.25):
        self.level = level
        self.mailbox: Mailbox | None = None

    async def __call__(self, runner_args) -> None:
        transport = SmallWebRTCTransport(runner_args.webrtc_connection, SOUND)
        self.mailbox = Mailbox(transport)
        while runner_args.webrtc_connection.state is not State.CLOSED:
            await transport.output().write(OutputAudioRawFrame(square(self.level), 48_000, 1))


async def idle(runner_args) -> None:
    await SmallWebRTCTransport(runner_args.webrtc_connection).wait_closed()


async def test_a_report_has_an_id_a_type_and_a_time_in_each_entry_and_is_json():
    async with answering(idle) as server:
        async with dialed(server.supervisor) as (_, connection):
            for side in (connection, server.connection):
                report = await stats(side)
                assert all(entry["id"] == key and entry["type"] for key, entry in report.items())
                assert all(entry["timestamp"] > 1.6e12 for entry in report.values())
                assert json.loads(json.dumps(report, allow_nan=False)) == report


async def test_what_an_entry_refers_to_is_in_the_report():
    async with answering(idle) as server:
        async with dialed(server.supervisor) as (_, connection):
            report = await stats(connection)
            references = [
                (key, value)
                for entry in report.values()
                for key, value in entry.items()
                if key.endswith("Id") and isinstance(value, str)
            ]
            assert {key for key, _ in references} >= {"transportId", "codecId", "mediaSourceId", "localCandidateId"}
            assert all(value in report for _, value in references)


async def test_messages_and_their_bytes_are_counted_on_both_sides():
    talking = Talking()
    async with answering(talking) as server:
        async with dialed(server.supervisor) as (_, connection):
            await until(lambda: connection.peer.stages.channel and talking.mailbox)
            sent = (one(await stats(connection), "data-channel"))["bytesSent"]
            connection.send_app_message({"greeting": "grüß dich"})
            await talking.mailbox.next()
            here = one(await stats(connection), "data-channel")
            there = one(await stats(server.connection), "data-channel")
    assert here["bytesSent"] - sent == len('{"greeting":"grüß dich"}'.encode())
    assert (there["messagesReceived"], there["bytesReceived"]) == (here["messagesSent"], here["bytesSent"])
    assert (here["label"], here["state"]) == ("chat", "open")


async def test_an_opened_and_a_closed_channel_are_counted():
    async with answering(idle) as server:
        async with dialed(server.supervisor) as (_, connection):
            await until(lambda: connection.peer.stages.channel)
            assert (one(await stats(connection), "peer-connection"))["dataChannelsOpened"] == 1
            connection.peer.channel.close()
            await until(lambda: connection.peer.counts.closed == 1)
            report = await stats(connection)
            assert (one(report, "peer-connection"))["dataChannelsClosed"] == 1
            assert of_type(report, "data-channel") == []


async def test_the_round_trip_is_known_from_the_first_check_on_and_measured_with_each_consent():
    async with answering(idle) as server:
        async with dialed(server.supervisor) as (_, connection):
            first = one(await stats(connection), "candidate-pair")
            assert 0 < first["currentRoundTripTime"] < 0.5
            assert await connection.peer.agent.ask_consent()
            second = one(await stats(connection), "candidate-pair")
    assert second["responsesReceived"] == first["responsesReceived"] + 1
    assert second["requestsSent"] == first["requestsSent"] + 1
    added = second["totalRoundTripTime"] - first["totalRoundTripTime"]
    assert added == pytest.approx(second["currentRoundTripTime"], abs=1e-9)


async def test_aioices_own_consent_is_measured_too(monkeypatch):
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.01)
    async with answering(idle) as server:
        async with dialed(server.supervisor) as (_, connection):
            agent = connection.peer.agent
            before = agent.path(agent.nominated_pair()).measured
            await until(lambda: agent.path(agent.nominated_pair()).measured > before + 3)


def test_an_answer_to_one_of_several_copies_measures_nothing():
    path = Path()
    path.answered(stun.RETRY_RTO + 0.01)
    assert (path.responses_received, path.round_trip, path.measured) == (1, None, 0)
    path.answered(0.02)
    assert (path.responses_received, path.round_trip, path.total_round_trip) == (2, 0.02, 0.02)


async def test_the_checks_of_the_other_side_are_counted():
    async with answering(idle) as server:
        async with dialed(server.supervisor):
            await until(lambda: server.connection.peer.stages.connected)
            pair = one(await stats(server.connection), "candidate-pair")
            assert pair["requestsReceived"] >= 1


async def test_the_transport_says_how_it_is_protected():
    async with answering(idle) as server:
        async with dialed(server.supervisor) as (_, connection):
            await until(lambda: server.connection.peer.stages.connected)
            here = one(await stats(connection), "transport")
            there = one(await stats(server.connection), "transport")
    assert (here["dtlsState"], here["iceState"], here["selectedCandidatePairId"]) == (
        "connected",
        "completed",
        "candidate-pair",
    )
    assert here["tlsVersion"] == there["tlsVersion"] == "FEFD"  # DTLS 1.2
    assert here["dtlsCipher"].startswith("TLS_ECDHE_ECDSA_WITH_")
    assert here["srtpCipher"] == there["srtpCipher"] == "SRTP_AEAD_AES_256_GCM"
    assert {here["dtlsRole"], there["dtlsRole"]} == {"client", "server"}
    assert here["bytesSent"] > 0


async def test_the_codec_of_each_stream_is_named():
    async with answering(idle) as server:
        async with dialed(server.supervisor) as (_, connection):
            report = await stats(connection)
            codec = report[of_type(report, "outbound-rtp", "audio")[0]["codecId"]]
    assert (codec["mimeType"], codec["clockRate"], codec["channels"]) == ("audio/opus", 48_000, 2)
    assert 96 <= codec["payloadType"] <= 127


async def test_the_level_of_what_is_sent_and_of_what_is_heard_is_that_of_the_sound():
    async with answering(Talking(0.25)) as server:
        async with dialed(server.supervisor) as (_, connection):
            track = await connection.next_audio_track(None)
            async with asyncio.timeout(10):
                while not 0.15 < (track.sound.level(asyncio.get_running_loop().time()) or 0) < 0.35:
                    await track.recv()  # Opus needs a moment to believe in a square wave
            here, there = await stats(connection), await stats(server.connection)
    assert 0.15 < of_type(here, "inbound-rtp", "audio")[0]["audioLevel"] < 0.35
    assert (one(there, "media-source"))["audioLevel"] == pytest.approx(0.25, abs=0.01)


async def test_a_call_without_a_peer_connection_yet_is_refused():
    with pytest.raises(ConnectionEnded):
        await stats(SmallWebRTCConnection())


def test_a_share_of_256ths_becomes_a_fraction_and_a_time_before_all_time_none():
    class Opus:
        _codecs = ()

    entry = _w3c({"fractionLost": 64, "jitter": 480, "remoteTimestamp": None, "trackId": "7"}, Opus())
    assert entry == {"fractionLost": 0.25, "jitter": 0.01, "remoteTimestamp": None}


# Levels


def samples(level: float):
    return np.frombuffer(square(level), "<i2").reshape(-1, 1)


def test_before_any_sound_there_is_no_level():
    assert RecentSound().level(0.0) is None


@pytest.mark.parametrize("level", [0.0, 0.01, 0.5, 1.0])
def test_the_level_of_a_square_wave_is_its_amplitude(level):
    sound = RecentSound()
    sound.note(samples(level), 1.0)
    assert sound.level(1.0) == pytest.approx(level, abs=1e-3)


def test_the_level_is_that_of_the_last_hundred_milliseconds_once_somebody_has_asked():
    sound = RecentSound()
    for n, level in enumerate([1.0, 0.25]):
        sound.note(samples(level), n * 0.02)
    assert sound.level(0.04) == pytest.approx(0.25, abs=1e-3)
    for n, level in enumerate([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.5], 2):
        sound.note(samples(level), n * 0.02)
    assert sound.level(0.18) == pytest.approx(0.5 / math.sqrt(5), abs=1e-3)


def test_sound_that_stopped_is_silence():
    sound = RecentSound()
    sound.note(samples(1.0), 1.0)
    assert sound.level(1.4) > 0.9
    assert sound.level(1.6) == 0.0


async def test_a_snapshot_each_second_keeps_no_memory():
    async with answering(idle) as server, dialed(server.supervisor) as (_, connection):
        gc.collect()  # empties Python's free lists: a test before may have filled them
        gc.disable()
        try:
            await look(connection, 100)
            before = sys.getallocatedblocks()
            await look(connection, 500)
            assert sys.getallocatedblocks() - before < 300
        finally:
            gc.enable()


async def look(connection, times):
    for _ in range(times):
        await stats(connection)
