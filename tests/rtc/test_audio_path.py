"""Sound between two real peers: by which codec, over what loss, with whom, and at what price."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from calls import SOUND, answering, dialed, until

from smallrtc_cli.audio.pcm import OutputAudioRawFrame, level_dbfs, to_av_frame, to_bytes
from smallrtc_cli.audio.signals import tone
from smallrtc_cli.bots.echo import echo
from smallrtc_cli.protocol.signalling import SmallWebRTCRequest
from smallrtc_cli.rtc.dialer import DialOptions
from smallrtc_cli.rtc.peer import MediaOptions
from smallrtc_cli.rtc.stats import of_type, stats
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams

RATE = 48_000
FULL_BAND = TransportParams(audio_in_enabled=True, audio_in_sample_rate=RATE, audio_out_enabled=True)
PLAIN = replace(FULL_BAND, audio_out_sample_rate=RATE)


def calling(codec=None):
    return DialOptions(media=MediaOptions(video=False, audio_codec=codec), connect_timeout=10)


def pitch(sound):
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum) * RATE / len(sound))


async def heard(transport, seconds):
    """So much sound from where it is audible on."""
    pieces, audible = [], False
    async for frame in transport.input():
        samples = np.frombuffer(frame.audio, np.int16)
        audible = audible or level_dbfs(samples) > -30
        if audible:
            pieces.append(samples)
        if len(pieces) * 0.02 >= seconds:
            break
    return np.concatenate(pieces)


async def say(transport, hertz):
    """A tone without end."""
    piece = tone(hertz, 0.5, channels=1)
    while True:
        await transport.output().write(piece.tobytes())


def speaking(hertz):
    async def bot(runner_args):
        params = TransportParams(audio_out_enabled=True, audio_out_sample_rate=RATE)
        talking = asyncio.ensure_future(say(SmallWebRTCTransport(runner_args.webrtc_connection, params), hertz))
        await runner_args.webrtc_connection.wait_closed()
        talking.cancel()

    return bot


@pytest.mark.parametrize("codec", ["opus", "G722", "PCMU", "PCMA"])
async def test_a_tone_comes_back_by_every_codec(codec):
    async with answering(echo) as server, dialed(server.supervisor, calling(codec)) as (_, connection):
        transport = SmallWebRTCTransport(connection, PLAIN)
        talking = asyncio.ensure_future(say(transport, 600))
        sound = await asyncio.wait_for(heard(transport, 0.6), 20)
        talking.cancel()
        (used,) = of_type(await stats(connection), "codec")
        assert used["mimeType"] == f"audio/{codec}"
    assert pitch(sound[9600:]) == pytest.approx(600, abs=10)


def speaking_at(rate, channels, hertz=600):
    async def bot(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection, TransportParams(audio_out_enabled=True))
        frame = OutputAudioRawFrame(tone(hertz, 0.5, rate=rate, channels=channels).tobytes(), rate, channels)
        while runner_args.webrtc_connection.close_reason is None:
            await transport.output().write(frame)

    return bot


@pytest.mark.parametrize(
    ("rate", "taken"),
    [(8_000, 8_000), (11_025, 12_000), (16_000, 16_000), (22_050, 24_000), (24_000, 24_000), (44_100, 48_000)],
)
async def test_a_bot_of_any_rate_is_heard_as_high_and_as_loud_as_it_is(rate, taken):
    async with answering(speaking_at(rate, 1)) as server, dialed(server.supervisor, calling()) as (_, connection):
        sound = await asyncio.wait_for(heard(SmallWebRTCTransport(connection, FULL_BAND), 1.0), 20)
        (sender,) = server.connection.peer.sound._senders
        assert sender._track._slot.source.rate == taken
    assert pitch(sound[RATE // 2 :]) == pytest.approx(600, abs=5)
    assert level_dbfs(sound[RATE // 2 :]) == pytest.approx(level_dbfs(tone(600, 0.5)), abs=0.5)


def ptime(sdp, milliseconds):
    """A description that wants packets of another length."""
    start = sdp.index("a=mid:", sdp.index("m=audio"))
    return sdp[:start] + f"a=ptime:{milliseconds}\r\n" + sdp[start:]


class Asking:
    """An exchange that sends offers on with another packet time."""

    def __init__(self, inner, milliseconds):
        self._inner, self._milliseconds = inner, milliseconds

    async def offer(self, request):
        return await self._inner.offer(replace(request, sdp=ptime(request.sdp, self._milliseconds)))

    async def candidates(self, request):
        await self._inner.candidates(request)


async def test_packets_are_as_long_as_the_offer_wants_them_and_as_a_later_one_does():
    async with answering(speaking(500)) as server, dialed(Asking(server.supervisor, 10), calling()) as (_, connection):
        times, take = [], connection.peer.sound.player(0).receive

        def noted(packet):
            times.append(packet.timestamp)
            take(packet)

        connection.peer.sound.player(0).receive = noted
        sound = await asyncio.wait_for(heard(SmallWebRTCTransport(connection, FULL_BAND), 1.0), 20)
        assert {(b - a) % 2**32 for a, b in zip(times, times[1:], strict=False)} <= {480, 960}  # one may be lost
        assert sum((b - a) % 2**32 == 480 for a, b in zip(times, times[1:], strict=False)) > 0.9 * len(times)
        server.connection.peer.sound.obey(ptime(server.connection.pc.remoteDescription.sdp, 40))
        await until(lambda: len(times) > 20 and (times[-1] - times[-2]) % 2**32 == 1920, 20)
    assert pitch(sound[RATE // 10 :]) == pytest.approx(500, abs=5)


# Threads


def threads():
    """Of the system, so that those of libraries count too; an executor's are the loop's."""
    known = {thread.native_id for thread in threading.enumerate() if thread.name.startswith("asyncio_")}
    return {int(task.name) for task in Path("/proc/self/task").iterdir()} - known


@pytest.mark.parametrize("params", [PLAIN, SOUND])
async def test_calls_with_sound_both_ways_start_no_thread(params):
    async with answering(echo) as server:
        before = threads()
        for _ in range(5):
            async with dialed(server.supervisor, calling()) as (_, connection):
                transport = SmallWebRTCTransport(connection, params)
                talking = asyncio.ensure_future(say(transport, 600))
                await asyncio.wait_for(heard(transport, 0.1), 20)
                assert threads() <= before
                talking.cancel()


# Time and loss


class Watched:
    """Stands before what takes sound in, and sees what each packet came to; loses those of some numbers."""

    def __init__(self, connection, lost=lambda number: False):
        self.connection, self._lost = connection, lost
        self.packets = self.dropped = self.behind = 0
        agent = connection.peer.agent
        self._take, agent.take_media = agent.take_media, self._see

    def _see(self, datagram):
        if not 127 < datagram[0] < 192 or 191 < datagram[1] < 224:
            return self._take(datagram)
        self.packets += 1
        if self._lost(self.packets):
            self.dropped += 1
            return True
        taken = self._take(datagram)
        player = self.connection.peer.sound.player(0)
        self.behind = max(self.behind, len(player._player.playout._order._waiting) if player._player else 0)
        return taken


async def test_on_a_path_that_loses_nothing_no_packet_waits_for_another():
    async with answering(speaking(500)) as server, dialed(server.supervisor, calling()) as (_, connection):
        watched = Watched(connection)
        sound = await asyncio.wait_for(heard(SmallWebRTCTransport(connection, FULL_BAND), 1.0), 20)
        found = connection.peer.sound.player(0).statistics
    assert pitch(sound) == pytest.approx(500, abs=5)
    assert watched.packets >= 50
    assert (watched.behind, found["jitterBufferDelay"], found["concealedSamples"]) == (0, 0, 0)


async def test_what_is_lost_is_made_up_and_told_in_the_statistics():
    async with answering(speaking(500)) as server, dialed(server.supervisor, calling()) as (_, connection):
        watched = Watched(connection, lost=lambda number: number % 10 == 9)
        sound = await asyncio.wait_for(heard(SmallWebRTCTransport(connection, FULL_BAND), 2.0), 20)
        await until(lambda: watched.dropped >= 10)
        (entry,) = of_type(await stats(connection), "inbound-rtp", "audio")
    assert pitch(sound[RATE // 2 :]) == pytest.approx(500, abs=5)
    assert min(level_dbfs(piece) for piece in np.split(sound[: RATE * 3 // 2], 75)[25:]) > -55  # no hole is left
    made_up = entry["concealedSamples"] + entry["jitterBufferEmittedCount"]
    assert made_up / 960 == pytest.approx(watched.packets, abs=3)
    assert watched.dropped - 1 <= entry["packetsLost"] <= watched.dropped
    names = {"jitterBufferDelay", "concealmentEvents", "packetsDiscarded", "insertedSamplesForDeceleration"}
    assert names | {"removedSamplesForAcceleration"} <= set(entry)


# Other stacks


class Tone(MediaStreamTrack):
    """Paced by its own sleep, as aiortc's tracks are."""

    kind = "audio"

    def __init__(self, hertz):
        super().__init__()
        self._piece, self._pts = tone(hertz, 0.02, channels=1), 0

    async def recv(self):
        await asyncio.sleep(0.02)
        self._pts += 960
        return to_av_frame(self._piece.tobytes(), RATE, 1, self._pts)


async def heard_by_aiortc(track, seconds):
    """What aiortc's own receiver makes of it: 48 kHz stereo."""
    pieces, audible = [], False
    while len(pieces) * 0.02 < seconds:
        samples = np.frombuffer(to_bytes(await track.recv()), np.int16)[::2]
        audible = audible or level_dbfs(samples) > -30
        pieces += [samples] if audible else []
    return np.concatenate(pieces)


class Plain:
    """The exchange of a server that is a peer connection of aiortc's, and nothing else."""

    def __init__(self, pc):
        self._pc = pc

    async def offer(self, request):
        await self._pc.setRemoteDescription(RTCSessionDescription(request.sdp, "offer"))
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        return {"sdp": self._pc.localDescription.sdp, "type": "answer", "pc_id": "plain"}

    async def candidates(self, request):
        """It has gathered all before it answers."""


@pytest.fixture
async def plain():
    """A peer connection with nothing of ours in it."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    yield pc
    await pc.close()


async def test_a_plain_aiortc_that_calls_hears_its_own_tone_and_the_levels_with_it(plain):
    plain.addTrack(Tone(500))
    (receiver,) = plain.getReceivers()
    levels, handle = [], receiver._handle_rtp_packet

    async def noted(packet, arrival_time_ms):
        levels.append(packet.extensions.audio_level)
        await handle(packet, arrival_time_ms)

    receiver._handle_rtp_packet = noted
    async with answering(echo) as server:
        await plain.setLocalDescription(await plain.createOffer())
        answer = await server.supervisor.offer(SmallWebRTCRequest(plain.localDescription.sdp, "offer"))
        await plain.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        sound = await asyncio.wait_for(heard_by_aiortc(receiver.track, 0.6), 20)
    assert pitch(sound[9600:]) == pytest.approx(500, abs=10)
    assert min(level for _, level in levels) < 30
    assert max(level for _, level in levels) == 127  # the silence before


async def test_a_plain_aiortc_that_answers_is_heard_and_hears(plain):
    plain.addTrack(Tone(700))

    async with dialed(Plain(plain), calling()) as (_, connection):
        transport = SmallWebRTCTransport(connection, PLAIN)
        talking = asyncio.ensure_future(say(transport, 500))
        here, there = await asyncio.wait_for(
            asyncio.gather(heard(transport, 0.6), heard_by_aiortc(plain.getReceivers()[0].track, 0.6)), 20
        )
        talking.cancel()
    assert pitch(here[9600:]) == pytest.approx(700, abs=10)
    assert pitch(there[9600:]) == pytest.approx(500, abs=10)


async def test_what_each_side_wants_of_opus_is_in_its_description():
    async with answering(echo) as server, dialed(server.supervisor, calling()) as (_, _):
        offer, answer = server.connection.pc.remoteDescription.sdp, server.connection.get_answer()["sdp"]
    for sdp in (offer, answer):
        assert "a=fmtp:96 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1\r\n" in sdp


async def test_to_one_who_says_nothing_of_stereo_we_do_not_offer_it(plain):
    plain.addTrack(Tone(500))
    async with answering(echo) as server:
        await plain.setLocalDescription(await plain.createOffer())
        answer = await server.supervisor.offer(SmallWebRTCRequest(plain.localDescription.sdp, "offer"))
    assert "a=fmtp:96 minptime=10;useinbandfec=1\r\n" in answer["sdp"]


async def test_sound_goes_on_over_a_restart_in_the_middle_of_speech():
    """P1."""
    async with answering(speaking(500)) as server, dialed(server.supervisor, calling()) as (dialer, connection):
        transport = SmallWebRTCTransport(connection, SOUND)
        await asyncio.wait_for(heard(transport, 0.2), 20)
        first = connection.current_peer
        dialer.restart()
        await until(lambda: connection.current_peer is not first)
        again = await asyncio.wait_for(heard(transport, 0.6), 20)
    assert level_dbfs(again[-1600:]) > -30
