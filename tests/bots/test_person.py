"""A person in a real call: what goes out, what is heard, and what goes on when an end fails."""

import asyncio
import contextlib
import math

import numpy as np
import pytest
from calls import answering, dialed, idle_bot, until

from smallrtc_cli.audio import files
from smallrtc_cli.audio.ends import Nowhere
from smallrtc_cli.audio.file_source import FileSource
from smallrtc_cli.audio.signals import tone
from smallrtc_cli.audio.turns import Turns
from smallrtc_cli.bots.echo import echo
from smallrtc_cli.bots.person import Person, person_params
from smallrtc_cli.bots.tone import tone as tone_bot
from smallrtc_cli.errors import CannotRun, UnreadableAudio
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams

RATE = 48_000
PIECE = tone(1000.0, 0.01, level=-20.0).tobytes()
"10 ms, ten whole periods: it can be repeated."

LISTENS = TransportParams(audio_in_enabled=True, audio_in_sample_rate=RATE)


class Microphone:
    """A live tone, until `stop`."""

    name, live, latency = "mic", True, 0.03

    def __init__(self, failure=None):
        self._stop, self._failure = asyncio.Event(), failure

    def stop(self):
        self._stop.set()

    async def __aiter__(self):
        while not self._stop.is_set():
            yield PIECE
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 0.01)
        if self._failure is not None:
            raise self._failure


class Speaker:
    """Keeps what it plays; may fail once."""

    name, delay = "speaker", 0.05

    def __init__(self, failure=None):
        self.sound, self.failure = [], failure

    async def write(self, audio):
        if self.failure is not None:
            raise self.failure
        self.sound.append(np.frombuffer(audio, "<i2").reshape(-1, 2))

    def loudest(self, last=50):
        return max((int(np.abs(piece).max()) for piece in self.sound[-last:]), default=0)


class Listener:
    """A bot that keeps how loud the person is, and whether it says that it is muted."""

    def __init__(self):
        self.peaks, self.states = [], []

    async def __call__(self, runner_args):
        connection = runner_args.webrtc_connection
        connection.add_event_handler("track-status", lambda _, index, enabled: self.states.append((index, enabled)))
        async for frame in SmallWebRTCTransport(connection, LISTENS).input():
            self.peaks.append(int(np.abs(np.frombuffer(frame.audio, "<i2")).max()))

    async def hears(self, is_right):
        """Wait for five frames in a row that are as they should be."""
        await until(lambda: len(self.peaks) >= 5 and all(map(is_right, self.peaks[-5:])), 20)


def loud(peak):
    return peak > 2000


def quiet(peak):
    return peak < 100


@contextlib.asynccontextmanager
async def calling(bot, source, sink, **options):
    """A person who talks to a bot; gives dialer, person, and what troubles it told of."""
    async with answering(bot) as server, dialed(server.supervisor) as (dialer, connection):
        live = source is not None and source.live
        person = Person(SmallWebRTCTransport(connection, person_params(live=live)), source, sink, **options)
        troubles = []
        person.on_trouble = troubles.append
        talking = asyncio.create_task(person.run())
        try:
            yield dialer, person, troubles
        finally:
            await connection.disconnect()
            async with asyncio.timeout(20):
                await talking


async def test_what_the_microphone_hears_comes_back_to_the_speaker():
    speaker = Speaker()
    async with calling(echo, Microphone(), speaker) as (_, person, troubles):
        await until(lambda: speaker.loudest(5) > 2000, 20)
        await until(lambda: person.level_in == pytest.approx(-20, abs=1), 20)
        await until(lambda: person.level_out == pytest.approx(-20, abs=3), 20)
        assert person.first_bot_sound <= asyncio.get_running_loop().time() + speaker.delay
    assert troubles == []


async def test_without_a_source_silence_is_sent_and_the_stream_lives():
    listener = Listener()
    async with calling(listener, None, Nowhere()) as (_, person, _):
        await listener.hears(quiet)
        assert person.level_in == -math.inf
        assert not person.source_ended.is_set()


async def test_a_file_is_played_out_before_its_end_is_told_and_the_person_listens_on(tmp_path):
    files.write_wav(tmp_path / "talk.wav", tone(1000.0, 0.5, level=-20.0), RATE)
    sink, levels = Nowhere(), []
    async with calling(echo, FileSource(tmp_path / "talk.wav"), sink) as (_, person, troubles):
        person.on_said = lambda dbfs, start, seconds: levels.append(dbfs)
        async with asyncio.timeout(20):
            await person.source_ended.wait()
        assert 20 <= sum(dbfs > -30 for dbfs in levels) <= 26
        heard = sink.samples
        await until(lambda: sink.samples > heard + RATE // 10, 20)
    assert troubles == []


async def test_mute_sends_silence_and_tells_the_server_and_the_reverse():
    listener = Listener()
    async with calling(listener, Microphone(), None) as (_, person, _):
        await listener.hears(loud)
        person.mute(True)
        await listener.hears(quiet)
        await until(lambda: (0, False) in listener.states)
        assert person.muted
        person.mute(False)
        await listener.hears(loud)
        await until(lambda: listener.states[-1] == (0, True))


async def test_one_who_is_muted_from_the_start_is_not_heard():
    listener = Listener()
    async with calling(listener, Microphone(), None, muted=True) as (_, person, _):
        await until(lambda: (0, False) in listener.states)
        await until(lambda: len(listener.peaks) >= 20, 20)
        assert all(map(quiet, listener.peaks))
        person.mute(False)
        await listener.hears(loud)


@pytest.mark.parametrize("failure", [CannotRun("it is unplugged"), OSError(5, "Input/output error")])
async def test_a_source_that_fails_is_told_once_and_the_call_goes_on(failure):
    microphone, sink = Microphone(failure), Nowhere()
    async with calling(tone_bot, microphone, sink) as (_, person, troubles):
        await until(lambda: sink.samples > 0, 20)
        microphone.stop()
        async with asyncio.timeout(20):
            await person.source_ended.wait()
        heard = sink.samples
        await until(lambda: sink.samples > heard + RATE // 10, 20)
    (sentence,) = troubles
    assert sentence.startswith("the sound of `mic` has ended: i")


async def test_a_sink_that_fails_is_told_once_and_the_call_goes_on():
    speaker = Speaker(OSError(5, "Input/output error"))
    async with calling(echo, Microphone(), speaker) as (_, person, troubles):
        await until(lambda: troubles, 20)
        heard = []
        person.on_heard = lambda dbfs, start, seconds: heard.append(dbfs)
        await until(lambda: len(heard) > 10, 20)
    assert troubles == ["the bot is not heard at `speaker` any more: input/output error"]
    assert speaker.sound == []


async def test_a_bug_in_a_source_is_not_hidden():
    class Broken(Microphone):
        async def __aiter__(self):
            yield PIECE
            raise ZeroDivisionError

    async with answering(idle_bot) as server, dialed(server.supervisor) as (_, connection):
        person = Person(SmallWebRTCTransport(connection, person_params(live=True)), Broken(), None)
        with pytest.raises(ExceptionGroup, match="unhandled"):
            await asyncio.wait_for(person.run(), 20)


async def test_the_conversation_goes_on_after_a_restart_of_the_peer_connection():
    speaker = Speaker()
    async with calling(echo, Microphone(), speaker) as (dialer, _, troubles):
        await until(lambda: speaker.loudest(5) > 2000, 20)
        back = asyncio.Event()
        connection = dialer.connection
        connection.add_event_handler("connected", lambda _: back.set())
        dialer.restart()
        async with asyncio.timeout(20):
            await back.wait()
        speaker.sound.clear()
        await until(lambda: len(speaker.sound) > 10 and speaker.loudest(5) > 2000, 20)
    assert troubles == []


async def test_both_sides_are_told_with_the_times_of_microphone_and_speaker():
    microphone, speaker = Microphone(), Speaker()
    loop = asyncio.get_running_loop()
    said, heard = [], []
    async with calling(echo, microphone, speaker) as (_, person, _):
        await until(lambda: speaker.sound, 20)
        person.on_said = lambda dbfs, start, seconds: said.append((loop.time(), start, seconds))
        person.on_heard = lambda dbfs, start, seconds: heard.append((loop.time(), start, seconds))
        await until(lambda: len(said) > 10 and len(heard) > 10, 20)
    assert {seconds for _, _, seconds in said} == {0.02}
    assert all(now - start >= 0.02 + microphone.latency - 1e-9 for now, start, _ in said)
    assert min(now - start for now, start, _ in said) < 0.02 + microphone.latency + 0.005
    assert max(start - now for now, start, _ in heard) == pytest.approx(speaker.delay, abs=0.005)


async def test_turns_are_measured_in_a_call(tmp_path):
    """A bot that answers with a tone as soon as it has heard half a second of sound and then 300 ms of silence."""

    async def answers(runner_args):
        params = TransportParams(audio_in_enabled=True, audio_in_sample_rate=RATE, audio_out_enabled=True)
        transport = SmallWebRTCTransport(runner_args.webrtc_connection, params)
        spoken = still = 0
        async for frame in transport.input():
            is_loud = np.abs(np.frombuffer(frame.audio, "<i2")).max() > 1000
            spoken, still = spoken + is_loud, 0 if is_loud else still + 1
            if spoken > 20 and still == 15:
                await transport.output().write(tone(500.0, 0.5, rate=24_000, level=-20.0).tobytes())

    files.write_wav(tmp_path / "talk.wav", tone(1000.0, 1.0, level=-20.0), RATE)
    turns = Turns()
    async with calling(answers, FileSource(tmp_path / "talk.wav"), Speaker()) as (_, person, _):
        person.on_said, person.on_heard = turns.said, turns.heard
        await until(lambda: turns.answers, 20)
    (answer,) = turns.answers
    assert 0.3 <= answer < 5


class Canceller:
    """Notes what it is given, and lets through a piece late, as one that needs whole frames."""

    def __init__(self):
        self.heard_bytes, self.cleaned, self.delays = 0, 0, set()

    def heard(self, stereo):
        self.heard_bytes += len(stereo)

    def clean(self, mono):
        self.cleaned += len(mono)
        return (np.frombuffer(mono, "<i2") // 4).astype("<i2").tobytes()

    def set_delay(self, milliseconds):
        self.delays.add(round(milliseconds))


async def test_a_canceller_sees_both_ways_and_what_it_gives_is_sent():
    canceller, speaker = Canceller(), Speaker()
    async with calling(echo, Microphone(), speaker, canceller=canceller) as (_, person, _):
        await until(lambda: speaker.loudest(5) > 500, 20)
        await until(lambda: person.level_in == pytest.approx(-32, abs=1), 20)
        assert canceller.cleaned > 0
        assert canceller.heard_bytes == sum(piece.nbytes for piece in speaker.sound)
    assert 80 in canceller.delays


async def test_a_name_in_a_sentence_keeps_its_capitals():
    microphone = Microphone(UnreadableAudio("`Talk.WAV` does not exist"))
    async with calling(idle_bot, microphone, None) as (_, person, troubles):
        microphone.stop()
        await asyncio.wait_for(person.source_ended.wait(), 20)
    assert troubles == ["the sound of `mic` has ended: `Talk.WAV` does not exist"]
