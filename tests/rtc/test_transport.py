"""The transport: what a bot without Pipecat holds."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from calls import SOUND, Mailbox, answering, dialed, idle_bot, until

from smallrtc_cli.audio.pcm import InputAudioRawFrame, OutputAudioRawFrame, WrongFormat, level_dbfs
from smallrtc_cli.audio.signals import tone
from smallrtc_cli.bots.echo import echo
from smallrtc_cli.protocol.messages import UnencodableMessage
from smallrtc_cli.rtc.dialer import DialOptions
from smallrtc_cli.rtc.transport import AudioOutput, NotEnabled, SmallWebRTCTransport, TransportParams
from smallrtc_cli.rtc.video import OutputImageRawFrame, WrongPicture

FULL_BAND = TransportParams(audio_in_enabled=True, audio_in_sample_rate=48_000, audio_out_enabled=True)


def pitch(samples: np.ndarray, rate: int) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


async def hear(transport: SmallWebRTCTransport, seconds: float) -> tuple[np.ndarray, list[InputAudioRawFrame]]:
    """Listen until that much audible sound has come."""
    frames = []
    heard = 0.0
    async for frame in transport.input():
        if level_dbfs(np.frombuffer(frame.audio, np.int16)) > -50:
            frames.append(frame)
            heard += frame.num_frames / frame.sample_rate
        if heard >= seconds:
            break
    return np.frombuffer(b"".join(f.audio for f in frames), np.int16), frames


@pytest.mark.parametrize(
    ("rate", "channels"), [(8_000, 1), (11_025, 1), (16_000, 2), (22_050, 1), (24_000, 1), (44_100, 2), (48_000, 1)]
)
async def test_sound_of_any_rate_and_channel_count_comes_back_at_its_pitch(rate, channels):
    """P19."""
    async with answering(echo) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection, FULL_BAND)
        sound = tone(1000, 0.6, rate=rate, channels=channels)
        speaking = asyncio.ensure_future(transport.output().write(OutputAudioRawFrame(sound.tobytes(), rate, channels)))
        heard, _ = await asyncio.wait_for(hear(transport, 0.4), 15)
        assert pitch(heard[4800:], 48_000) == pytest.approx(1000, abs=10)
        await speaking


@pytest.mark.parametrize(
    "wrong",
    [
        {"audio_in_channels": 4},
        {"audio_in_sample_rate": 0},
        {"audio_out_channels": 3},
        {"audio_out_sample_rate": -8_000},
        {"audio_out_sample_rate": "24000"},
    ],
)
def test_params_that_no_sound_can_have_are_refused_when_they_are_made(wrong):
    with pytest.raises(WrongFormat):
        TransportParams(**wrong)


async def test_a_frame_that_cannot_be_played_is_refused_and_the_next_one_plays():
    params = TransportParams(audio_out_enabled=True)
    async with answering(idle_bot) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection, params)
        with pytest.raises(WrongFormat):
            await transport.output().write(OutputAudioRawFrame(bytes(960), 24_000, 3))
        await asyncio.wait_for(transport.output().write(OutputAudioRawFrame(bytes(960), 24_000, 1)), 10)


class Written:
    """In the place of an output's track: takes what is written at once, or when it may."""

    channels, rate, readyState = 1, 24_000, "live"  # noqa: N815

    def __init__(self):
        self.pieces = []
        self.may = asyncio.Event()
        self.may.set()

    async def write(self, audio, rate):
        await self.may.wait()
        self.pieces.append((audio, rate))

    def clear(self):
        self.may.set()


def minute():
    return OutputAudioRawFrame(np.arange(24_000 * 60).astype("<i2").tobytes(), 24_000, 1)


@pytest.fixture
def written():
    track = Written()
    return AudioOutput(SimpleNamespace(start=lambda: asyncio.sleep(0)), track, 24_000, 1), track


async def test_a_minute_that_is_written_at_once_is_converted_by_the_second_and_holds_nobody_up(written):
    output, track = written
    await output.write(minute())
    assert [(len(audio), rate) for audio, rate in track.pieces] == 60 * [(48_000, 24_000)]
    assert b"".join(audio for audio, _ in track.pieces) == minute().audio


async def test_two_minutes_of_two_writers_follow_each_other(written):
    output, track = written
    silence = OutputAudioRawFrame(bytes(48_000 * 60), 24_000, 1)
    await asyncio.gather(output.write(minute()), output.write(silence))
    assert b"".join(audio for audio, _ in track.pieces) == minute().audio + silence.audio


async def test_clear_ends_a_write_of_a_minute_and_those_behind_it(written):
    output, track = written
    track.may.clear()
    writing = [asyncio.ensure_future(output.write(minute())) for _ in range(2)]
    for _ in range(5):
        await asyncio.sleep(0)
    output.clear()
    await asyncio.wait_for(asyncio.gather(*writing), 10)
    assert len(track.pieces) == 1


async def test_the_end_of_a_call_ends_a_write_of_a_minute(written):
    output, track = written
    track.readyState = "ended"
    await output.write(minute())
    assert len(track.pieces) == 1


@pytest.mark.parametrize("message", [None, 3, "text", [1]])
async def test_a_message_that_is_no_object_is_refused(message):
    async with answering(idle_bot) as server, dialed(server.supervisor) as (_, connection):
        with pytest.raises(UnencodableMessage):
            await SmallWebRTCTransport(connection).send_message(message)


async def test_input_yields_the_asked_rate_with_timestamps_in_it():
    params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
    async with answering(echo) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection, params)
        speaking = asyncio.ensure_future(transport.output().write(tone(500, 0.6, rate=24_000).tobytes()))
        _, frames = await asyncio.wait_for(hear(transport, 0.3), 15)
        assert {(f.sample_rate, f.num_channels) for f in frames} == {(16_000, 1)}
        steps = {b.pts - a.pts for a, b in zip(frames, frames[1:], strict=False)}
        assert max(steps) <= 340
        assert min(steps) >= 300
        await speaking


async def test_bytes_in_odd_pieces_are_played_whole():
    async with answering(echo) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection, FULL_BAND)
        audio = tone(700, 0.5, rate=24_000).tobytes()
        listening = asyncio.ensure_future(hear(transport, 0.4))
        for start in range(0, len(audio), 333):
            await transport.output().write(audio[start : start + 333])
        heard, _ = await asyncio.wait_for(listening, 15)
        assert pitch(heard[4800:], 48_000) == pytest.approx(700, abs=10)


async def test_the_conversation_ends_the_iteration():
    ended = asyncio.Event()

    async def listener(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection, SOUND)
        async for _ in transport.input():
            pass
        ended.set()

    async with answering(listener) as server:
        async with dialed(server.supervisor):
            await until(lambda: server.arguments and server.connection.is_connected())
        await asyncio.wait_for(ended.wait(), 10)


async def test_events_of_one_session_in_order_with_a_restart_in_between():
    """P8: `on_client_connected` once."""
    seen = []

    async def noting(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection)
        for name in ("connected", "reconnected", "disconnected", "closed"):
            event = f"on_client_{name}"
            transport.add_event_handler(event, lambda t, c, name=name: seen.append(name))
        await transport.wait_closed()

    async with answering(noting) as server:
        async with dialed(server.supervisor) as (dialer, connection):
            await until(lambda: seen == ["connected"])
            dialer.restart()
            await until(lambda: seen == ["connected", "reconnected"])
            assert connection.state == "connected"
        await until(lambda: len(seen) == 4)
    assert seen == ["connected", "reconnected", "disconnected", "closed"]


async def test_a_bot_that_ends_hears_closed_but_not_disconnected():
    seen = []

    async def leaving(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection)
        connected = asyncio.Event()
        transport.add_event_handler("on_client_connected", lambda t, c: connected.set())
        transport.add_event_handler("on_client_disconnected", lambda t, c: seen.append("disconnected"))
        transport.add_event_handler("on_client_closed", lambda t, c: seen.append("closed"))
        await transport.start()
        await connected.wait()

    async with answering(leaving) as server, dialed(server.supervisor) as (_, connection):
        await asyncio.wait_for(connection.wait_closed(), 10)
        await until(lambda: seen)
    assert seen == ["closed"]


async def test_sound_is_heard_again_after_a_restart_while_the_bot_speaks():
    """P1: the writer goes on, and the new peer connection plays."""

    async def talking(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection, SOUND)
        piece = tone(900, 0.1, rate=24_000).tobytes()
        while runner_args.webrtc_connection.close_reason is None:
            await transport.output().write(piece)

    async with answering(talking) as server, dialed(server.supervisor) as (dialer, connection):
        transport = SmallWebRTCTransport(connection, FULL_BAND)
        await asyncio.wait_for(hear(transport, 0.2), 10)
        old = connection.pc_id
        dialer.restart()
        await until(lambda: connection.pc_id != old and connection.is_connected())
        heard, _ = await asyncio.wait_for(hear(transport, 0.3), 10)
        assert pitch(heard, 48_000) == pytest.approx(900, abs=15)


async def test_clear_interrupts_and_drain_tells_when_all_was_heard():
    async with answering(idle_bot) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection, SOUND)
        sent = []
        transport.output().listen(lambda audio, position, time: sent.append(audio))
        long = asyncio.ensure_future(transport.output().write(tone(500, 30, rate=24_000).tobytes()))
        await until(lambda: any(np.frombuffer(a, np.int16).any() for a in sent))
        transport.output().clear()
        await asyncio.wait_for(long, 5)
        await transport.output().write(tone(500, 0.1, rate=24_000).tobytes())
        await asyncio.wait_for(transport.output().drain(), 5)
        audible = sum(len(a) // 2 for a in sent if np.frombuffer(a, np.int16).any())
        assert 0.1 * 24_000 * 0.9 < audible < 3 * 24_000
        quiet_from = len(sent)
        await until(lambda: len(sent) > quiet_from + 2)
        assert not np.frombuffer(sent[-1], np.int16).any()


async def test_writing_after_the_end_goes_nowhere_and_returns():
    async with answering(idle_bot) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection, SOUND)
        await transport.start()
        await connection.close()
        await asyncio.wait_for(transport.output().write(bytes(480_000)), 5)
        await asyncio.wait_for(transport.output().drain(), 5)
        await transport.send_message({"too": "late"})
        assert connection.counters["messagesDropped"] == 1


async def test_what_is_not_enabled_says_how_to_enable_it():
    async with answering(idle_bot) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection)
        for use in (transport.input, transport.output, transport.video_input, transport.images):
            with pytest.raises(NotEnabled) as caught:
                use()
            assert "enabled=True" in caught.value.hint


async def test_rtvi_requests_of_unknown_type_get_an_error_response_and_known_ones_reach_the_bot():
    seen = []

    async def bot(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection)

        @transport.event_handler("on_app_message")
        async def on_app_message(transport, message, sender):
            seen.append((message["type"], sender))
            if message["type"] == "client-message":
                await transport.send_server_response(message, {"x": 1})
                await transport.send_server_message({"y": 2})

        await transport.wait_closed()

    async with answering(bot) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection)
        mailbox = Mailbox(transport)
        await transport.send_message({"label": "rtvi-ai", "type": "no-such", "id": "1"})
        answer = await mailbox.next()
        assert (answer["type"], answer["id"]) == ("error-response", "1")
        request = {"label": "rtvi-ai", "type": "client-message", "id": "2", "data": {"t": "ask"}}
        await transport.send_message(request)
        response, message = await mailbox.next(), await mailbox.next()
        assert (response["type"], response["id"], response["data"]) == (
            "server-response",
            "2",
            {"t": "ask", "d": {"x": 1}},
        )
        assert (message["type"], message["data"]) == ("server-message", {"y": 2})
        assert seen == [("no-such", connection.pc_id), ("client-message", connection.pc_id)]


async def test_disconnect_bot_ends_the_conversation():
    async with answering(idle_bot) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection)
        await transport.send_message({"label": "rtvi-ai", "type": "disconnect-bot", "id": "1"})
        await asyncio.wait_for(connection.wait_closed(), 10)


async def test_the_echo_bot_sends_messages_back_that_are_not_rtvi():
    async with answering(echo) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection)
        mailbox = Mailbox(transport)
        await transport.send_message({"label": "rtvi-ai", "type": "client-ready", "id": "1", "data": {}})
        await transport.send_message({"plain": ["é", 1, None]})
        assert (await mailbox.next())["type"] == "bot-ready"
        assert await mailbox.next() == {"plain": ["é", 1, None]}


async def test_a_picture_arrives_and_a_wrong_one_is_refused_without_ending_the_video():
    """P21."""
    red = OutputImageRawFrame(bytes([255, 0, 0]) * (64 * 48), (64, 48))

    async def painter(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection, TransportParams(video_out_enabled=True))
        await transport.send_image(OutputImageRawFrame(bytes(64 * 48 * 3), (64, 48)))
        with pytest.raises(WrongPicture, match="64 x 48"):
            await transport.send_image(OutputImageRawFrame(b"short", (64, 48)))
        await transport.send_image(red)
        await transport.wait_closed()

    async with answering(painter) as server, dialed(server.supervisor, DialOptions()) as (_, connection):
        track = connection.video_input_track()
        picture = await asyncio.wait_for(track.recv(), 15)
        pixel = picture.to_ndarray(format="rgb24")[24, 32]
        assert pixel[0] > 180
        assert max(pixel[1:]) < 80


async def test_pipecats_other_names_do_the_same():
    """`send_audio`, `get_client_id`, and an RTVI error that the bot sends itself."""

    async def bot(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection, SOUND)
        assert transport.get_client_id(runner_args.webrtc_connection) == runner_args.webrtc_connection.pc_id
        await transport.send_error("no model")
        while runner_args.webrtc_connection.close_reason is None:
            await transport.send_audio(OutputAudioRawFrame(tone(800, 0.1, rate=24_000).tobytes(), 24_000, 1))

    async with answering(bot) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection, FULL_BAND)
        mailbox = Mailbox(transport)
        heard, _ = await asyncio.wait_for(hear(transport, 0.3), 10)
        assert pitch(heard, 48_000) == pytest.approx(800, abs=15)
        error = await mailbox.next()
        assert (error["type"], error["data"]) == ("error", {"error": "no model", "fatal": False})
