"""Sound and pictures in and out: what is decoded, what is kept, what is sent, and who waits for whom."""

import asyncio
import time
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpreceiver import RemoteStreamTrack

from smallrtc_cli.audio.codecs import CODECS
from smallrtc_cli.audio.pcm import to_av_frame, to_bytes
from smallrtc_cli.audio.piece import Piece
from smallrtc_cli.config import InboundAudio, OutboundAudio
from smallrtc_cli.rtc.bot_audio_track import BotAudioTrack
from smallrtc_cli.rtc.slot import Slot
from smallrtc_cli.rtc.tracks import SmallWebRTCTrack

SOON = 5.0
"Seconds that anything here may take: a bound, not an expectation."

LAZY = InboundAudio(idle_after=0.03)
QUICK = OutboundAudio(rate=8_000, frame=0.01, low_water=0.03, high_water=0.04, late_after=0.03, fade=0.005)
PACKET = 80  # samples in 10 ms at 8 kHz


async def _soon(awaitable):
    async with asyncio.timeout(SOON):
        return await awaitable


async def _until(condition):
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.002)


async def _started(work):
    """A task that has run up to its first wait."""
    task = asyncio.ensure_future(work)
    for _ in range(5):
        await asyncio.sleep(0)
    return task


def _numbered(start, samples):
    return np.arange(start, start + samples).astype("<i2").tobytes()


def _values(audio):
    return np.frombuffer(audio, dtype="<i2")


# In


class Receiver:
    """The end of aiortc that decodes: its track, and whether it is at work."""

    def __init__(self, kind="audio"):
        self.track = RemoteStreamTrack(kind)
        self._enabled = True

    @property
    def decodes(self):
        return self._enabled

    def decode(self, *frames):
        for frame in frames:
            self.track._queue.put_nowait(frame)


@pytest.fixture
def receiver():
    return Receiver()


def _track(receiver, settings=None, enabled=lambda: True):
    return SmallWebRTCTrack(receiver, enabled, settings)


async def test_nothing_is_decoded_before_somebody_reads(receiver):
    track = _track(receiver)
    assert not receiver.decodes
    reading = await _started(track.recv())
    assert receiver.decodes
    receiver.decode("frame")
    assert await _soon(reading) == "frame"
    track.stop()


async def test_sound_is_read_as_samples_or_as_a_libav_frame(receiver):
    track, seen = _track(receiver), []
    track.tap = seen.append
    receiver.decode(
        first := Piece(np.ones((960, 2), np.int16), 48_000, 0), Piece(np.ones((960, 2), np.int16), 48_000, 960)
    )
    assert await _soon(track.read()) is first
    frame = await _soon(track.recv())
    assert (frame.pts, frame.samples, frame.sample_rate, frame.layout.name) == (960, 960, 48_000, "stereo")
    assert [each.pts for each in seen] == [0, 960]
    assert track.sound.level(asyncio.get_running_loop().time()) == pytest.approx(1 / 32768)
    track.stop()


async def test_decoding_ends_when_nobody_reads_any_more_and_begins_again_with_a_reader(receiver):
    track = _track(receiver, LAZY)
    receiver.decode("first")
    await _soon(track.recv())
    receiver.decode("unread", "unread")
    await _until(lambda: not receiver.decodes)
    assert track.frames_dropped == 2
    reading = await _started(track.recv())
    assert receiver.decodes
    receiver.decode("new")
    assert await _soon(reading) == "new"
    track.stop()


async def test_a_reader_that_waits_for_a_muted_microphone_keeps_it_on(receiver):
    track = _track(receiver, LAZY)
    reading = await _started(track.recv())
    await asyncio.sleep(4 * LAZY.idle_after)
    assert receiver.decodes
    receiver.decode("sound")
    assert await _soon(reading) == "sound"
    track.stop()


async def test_a_reader_that_gave_up_does_not_keep_it_on(receiver):
    track = _track(receiver, LAZY)
    reading = await _started(track.recv())
    reading.cancel()
    await _until(lambda: not receiver.decodes)
    track.stop()


@pytest.mark.parametrize(("kind", "kept"), [("audio", 10), ("video", 6)])
async def test_a_late_reader_gets_the_latest_200_ms(kind, kept):
    receiver = Receiver(kind)
    track = _track(receiver)
    receiver.decode(*range(100))
    assert [await _soon(track.recv()) for _ in range(kept)] == list(range(100 - kept, 100))
    assert track.frames_dropped == 100 - kept
    track.stop()


async def test_a_reader_in_time_misses_nothing(receiver):
    track = _track(receiver)
    for number in range(0, 100, 10):
        receiver.decode(*range(number, number + 10))
        assert [await _soon(track.recv()) for _ in range(10)] == list(range(number, number + 10))
    assert track.frames_dropped == 0
    track.stop()


async def test_the_end_reaches_a_reader_behind_the_frames_before_it(receiver):
    track = _track(receiver)
    receiver.decode(*range(100), None)
    last = [await _soon(track.recv()) for _ in range(9)]
    assert last == list(range(91, 100))
    with pytest.raises(MediaStreamError):
        await _soon(track.recv())
    assert track.readyState == "ended"
    track.stop()


async def test_old_frames_can_be_forgotten(receiver):
    track = _track(receiver)
    receiver.decode("old", "old")
    track.discard_old_frames()
    receiver.decode("new")
    assert await _soon(track.recv()) == "new"
    track.stop()


async def test_stop_ends_a_pending_read(receiver):
    track = _track(receiver)
    reading = await _started(track.recv())
    track.stop()
    with pytest.raises(MediaStreamError):
        await _soon(reading)
    assert (track.readyState, receiver.decodes) == ("ended", False)


async def test_a_stopped_track_leaves_no_timer(receiver):
    track = _track(receiver)
    receiver.decode("frame")
    await _soon(track.recv())
    assert not track._idle.cancelled()
    track.stop()
    assert track._idle.cancelled()


async def test_a_stopped_track_is_not_read_and_stays_off(receiver):
    track = _track(receiver)
    track.stop()
    track.stop()
    receiver.decode("frame")
    with pytest.raises(MediaStreamError):
        await _soon(track.recv())
    assert not receiver.decodes


async def test_video_that_the_client_switched_off_is_none_at_once():
    receiver = Receiver("video")
    status = SimpleNamespace(on=False)
    track = _track(receiver, enabled=lambda: status.on)
    assert await _soon(track.recv()) is None
    status.on = True
    receiver.decode("picture")
    assert await _soon(track.recv()) == "picture"
    track.set_enabled(False)
    assert not track.is_enabled()
    assert await _soon(track.recv()) is None
    track.stop()


async def test_a_muted_microphone_is_still_read(receiver):
    track = _track(receiver, enabled=lambda: False)
    receiver.decode("comfort noise")
    assert await _soon(track.recv()) == "comfort noise"
    track.stop()


async def test_everything_else_is_aiortcs_own(receiver):
    track = _track(receiver)
    assert (track.kind, track.id, track.readyState) == ("audio", receiver.track.id, "live")
    assert track.listeners("ended") == []
    with pytest.raises(AttributeError):
        _ = track.no_such_thing
    track.stop()


# Out: the slot


class Source(MediaStreamTrack):
    """A bot's own track: gives what it is given."""

    def __init__(self, kind="audio"):
        super().__init__()
        self.kind = kind
        self.frames = asyncio.Queue()
        self.reads = self.given_up = 0

    async def recv(self):
        self.reads += 1
        try:
            frame = await self.frames.get()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if frame is None:
            raise MediaStreamError
        return frame

    def give(self, *frames):
        for frame in frames:
            self.frames.put_nowait(frame)


@pytest.fixture
def slot():
    return Slot("video")  # the frames of a video slot pass as they are


@pytest.fixture
def source():
    return Source("video")


async def test_a_slot_sends_what_its_source_gives(slot, source):
    slot.replace(source)
    source.give(1, 2)
    track = slot.track()
    assert [await _soon(track.recv()), await _soon(track.recv())] == [1, 2]


async def test_an_empty_slot_waits_for_a_source(slot, source):
    reading = await _started(slot.track().recv())
    source.give(1)
    slot.replace(source)
    assert await _soon(reading) == 1


async def test_replacing_gives_up_a_read_on_the_old_source_and_goes_on_with_the_new_one(slot, source):
    slot.replace(source)
    reading = await _started(slot.track().recv())
    other = Source("video")
    other.give("new")
    slot.replace(other)
    assert await _soon(reading) == "new"
    assert (source.given_up, source.readyState) == (1, "live")


async def test_putting_the_same_source_in_again_does_not_end_the_sender(slot, source):
    slot.replace(source)
    reading = await _started(slot.track().recv())
    slot.replace(source)
    source.give(1)
    assert await _soon(reading) == 1


async def test_a_pause_and_a_return_in_one_breath_do_not_end_the_sender(slot, source):
    slot.replace(source)
    reading = await _started(slot.track().recv())
    slot.replace(None)
    slot.replace(source)
    source.give(1)
    assert await _soon(reading) == 1


def _silence(seconds=0.01):
    return to_av_frame(bytes(round(8_000 * seconds) * 2), 8_000, 1)


@pytest.mark.parametrize("leave", [lambda slot: slot.replace(Source()), lambda slot: slot.replace(None), Slot.end])
async def test_what_is_left_in_a_track_that_was_replaced_is_taken_for_those_who_wait_for_that(leave):
    """Pipecat's output waits until its track was read, and makes a new track after each restart."""
    slot, old = Slot("audio"), Source()
    slot.replace(old)
    old.give(*(_silence() for _ in range(20)))
    leave(slot)
    await _until(old.frames.empty)
    old.give(None)
    await _until(lambda: not slot._leaving)


async def test_no_more_than_a_second_is_taken_from_a_track_that_was_replaced():
    slot, old = Slot("audio"), Source()
    slot.replace(old)
    old.give(*(_silence() for _ in range(500)))
    slot.replace(None)
    await _until(lambda: not slot._leaving)
    assert old.frames.qsize() == pytest.approx(400, abs=1)


async def test_a_track_that_is_put_in_again_is_not_read_twice():
    slot, old = Slot("audio"), Source()
    slot.replace(old)
    slot.replace(None)
    slot.replace(old)
    old.give(_silence(), _silence())
    await _until(lambda: not slot._leaving)
    assert old.frames.qsize() >= 1


@pytest.mark.parametrize("old", [lambda: Source("video"), lambda: BotAudioTrack(settings=QUICK)])
async def test_pictures_and_our_own_tracks_are_left_alone_when_they_are_replaced(old):
    slot = Slot("audio")
    slot.replace(old())
    slot.replace(None)
    assert not slot._leaving


async def test_a_sender_that_is_cancelled_gives_up_its_read(slot, source):
    slot.replace(source)
    reading = await _started(slot.track().recv())
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert source.given_up == 1
    source.give(1)
    assert await _soon(slot.track().recv()) == 1


async def test_a_sender_that_is_cancelled_while_the_source_changes_ends_too(slot, source):
    slot.replace(source)
    reading = await _started(slot.track().recv())
    slot.replace(Source("video"))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await _soon(reading)


async def test_a_sender_that_another_one_has_followed_can_still_be_cancelled(slot, source):
    slot.replace(source)
    old, new = await _started(slot.track().recv()), await _started(slot.track().recv())
    for reading in (old, new):
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await _soon(reading)


async def test_a_sender_that_was_given_another_source_can_still_wait_with_a_limit(slot, source):
    """What `replace` does to it leaves no trace in its task."""
    slot.replace(source)
    other = Source("video")

    async def read():
        frame = await track.recv()
        return frame, asyncio.current_task().cancelling()

    track = slot.track()
    reading = await _started(read())
    slot.replace(other)
    other.give("new")
    assert await _soon(reading) == ("new", 0)


async def test_a_source_that_ended_leaves_the_slot_free_for_the_next(slot, source):
    slot.replace(source)
    source.give(1, None)
    track = slot.track()
    assert await _soon(track.recv()) == 1
    reading = await _started(track.recv())
    assert slot.source is None
    other = Source("video")
    other.give(2)
    slot.replace(other)
    assert await _soon(reading) == 2


async def test_the_newest_sender_has_the_slot_and_older_ones_wait(slot, source):
    slot.replace(source)
    old, new = slot.track(), slot.track()
    source.give(1)
    assert await _soon(old.recv()) == 1
    source.give(2)
    assert await _soon(new.recv()) == 2
    left_behind = await _started(old.recv())
    source.give(*range(3, 8))
    assert [await _soon(new.recv()) for _ in range(5)] == list(range(3, 8))
    slot.replace(source)
    assert not left_behind.done()
    left_behind.cancel()


async def test_an_older_sender_has_the_slot_until_the_newer_one_begins(slot, source):
    slot.replace(source)
    old, _ = slot.track(), slot.track()
    source.give(1, 2)
    assert [await _soon(old.recv()), await _soon(old.recv())] == [1, 2]


async def test_the_end_of_a_sender_leaves_the_bots_own_track_alone(slot, source):
    slot.replace(source)
    slot.track().stop()
    assert (slot.source, source.readyState) == (source, "live")


async def test_the_end_of_the_conversation_stops_the_bots_track(slot, source):
    slot.replace(source)
    slot.end()
    slot.end()
    assert (slot.source, source.readyState) == (None, "ended")


# Out: what goes to the encoder


def _tone(rate, samples, channels=1, pts=0, level=8000):
    wave = np.full(samples * channels, level, "<i2")
    return to_av_frame(wave.tobytes(), rate, channels, pts)


async def _sent(slot, source, frames):
    """All that the encoder gets for some frames of the source."""
    track, sent = slot.track(), []
    slot.replace(source)
    source.give(*frames)
    while not source.frames.empty():
        sent.append(await _soon(track.next_piece(0.02)))
    return sent


def _ticks(piece):
    return len(piece.samples) * 48_000 // piece.rate


@pytest.mark.parametrize(
    ("rate", "channels", "taken"),
    [(8_000, 1, 8_000), (11_025, 1, 12_000), (22_050, 2, 24_000), (44_100, 1, 48_000), (48_000, 2, 48_000)],
)
async def test_timestamps_count_the_samples_of_a_source_without_gaps(rate, channels, taken):
    samples = rate // 50
    frames = [_tone(rate, samples, channels, pts=n * samples) for n in range(50)]
    sent = await _sent(Slot("audio"), Source(), frames)
    assert {(piece.rate, piece.samples.shape[1]) for piece in sent} == {(taken, channels)}
    for before, after in pairwise(sent):
        assert after.position == before.position + _ticks(before)
    assert sent[-1].position + _ticks(sent[-1]) == pytest.approx(48_000 * 50 * samples / rate, abs=150)


async def test_timestamps_in_whole_milliseconds_do_not_run_ahead_of_the_sound():
    frames = []
    for number in range(100):
        frame = _tone(44_100, 1024, pts=round(number * 1024 / 44.1))
        frame.time_base = Fraction(1, 1000)
        frames.append(frame)
    sent = await _sent(Slot("audio"), Source(), frames)
    assert sent[-1].position + _ticks(sent[-1]) == sum(map(_ticks, sent))


async def test_a_gap_in_the_source_is_a_gap_in_the_timestamps():
    frames = [_tone(48_000, 960, 2, pts=pts) for pts in (0, 960, 960 + 48_000, 960 + 48_960)]
    sent = await _sent(Slot("audio"), Source(), frames)
    assert [piece.position for piece in sent] == [0, 960, 48_960, 49_920]


async def test_timestamps_only_grow_over_sources_of_several_rates():
    slot, track, seen = Slot("audio"), None, []
    track = slot.track()
    for rate, channels, first in [(8_000, 1, 0), (48_000, 2, 960_000), (22_050, 2, 0), (48_000, 1, 5), (16_000, 1, 0)]:
        source, samples = Source(), rate // 50
        slot.replace(source)
        source.give(*(_tone(rate, samples, channels, pts=first + n * samples) for n in range(5)))
        while not source.frames.empty():
            seen.append(await _soon(track.next_piece(0.02)))
    assert all(after.position >= before.position + _ticks(before) for before, after in pairwise(seen))


async def test_the_first_timestamp_of_another_source_is_no_gap():
    slot, sent = Slot("audio"), []
    track = slot.track()
    for first in (0, 600 * 48_000, 1200 * 48_000):
        source = Source()
        slot.replace(source)
        source.give(*(_tone(48_000, 960, pts=first + pts) for pts in (0, 960, 3840)))
        sent += [(await _soon(track.next_piece(0.02))).position for _ in range(3)]
    assert sent == [start + pts for start in (0, 4800, 9600) for pts in (0, 960, 3840)]


async def test_a_pause_of_the_same_source_is_a_gap():
    slot, source = Slot("audio"), Source()
    slot.replace(source)
    source.give(_tone(48_000, 960), _tone(48_000, 960, pts=48_000))
    track = slot.track()
    assert (await _soon(track.next_piece(0.02))).position == 0
    slot.replace(None)
    slot.replace(source)
    assert (await _soon(track.next_piece(0.02))).position == 48_000


def _empty():
    frame = av.AudioFrame(format="s16", layout="mono", samples=0)
    frame.sample_rate = 48_000
    return frame


def _without_a_rate():
    return av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), format="s16", layout="mono")


@pytest.mark.parametrize(("bad", "refused"), [(_empty, 0), (_without_a_rate, 2), (lambda: "sound", 2)])
async def test_a_frame_that_cannot_be_played_costs_itself_alone(bad, refused, caplog):
    slot, source = Slot("audio"), Source()
    slot.replace(source)
    source.give(_tone(48_000, 960), bad(), bad(), _tone(48_000, 960))
    track = slot.track()
    assert [len((await _soon(track.next_piece(0.02))).samples) for _ in range(2)] == [960, 960]
    assert (track.refused, len(caplog.records)) == (refused, min(refused, 1))


class Broken(MediaStreamTrack):
    kind = "audio"

    async def recv(self):
        raise ValueError("a bot's own mistake")


async def test_a_track_that_fails_has_ended_and_the_next_one_is_heard(caplog):
    slot = Slot("audio")
    slot.replace(Broken())
    reading = await _started(slot.track().next_piece(0.02))
    await _until(lambda: slot.source is None)
    assert [record.exc_info[0] for record in caplog.records] == [ValueError]
    source = Source()
    source.give(_tone(48_000, 960))
    slot.replace(source)
    assert len((await _soon(reading)).samples) == 960


class Hasty(MediaStreamTrack):
    kind = "audio"
    given = 0

    async def recv(self):
        self.given += 1
        if self.given > 1_000:
            raise MediaStreamError
        return _tone(48_000, 960)


async def test_a_track_that_never_waits_shares_the_loop():
    slot, hasty = Slot("audio"), Hasty()
    slot.replace(hasty)
    track = slot.track()

    async def read():
        while True:
            await track.next_piece(0.02)

    reading = await _started(read())
    assert 0 < hasty.given < 100
    reading.cancel()


@pytest.mark.parametrize(("given", "taken"), [(1, 1), (2, 1), (2, 2)])
async def test_sound_is_as_loud_in_one_channel_as_in_two(given, taken):
    slot, source = Slot("audio"), Source()
    slot.replace(source)
    source.give(_tone(48_000, 960, given, level=8000))
    track = slot.track()
    track.give(CODECS["audio/opus"], taken)
    piece = await _soon(track.next_piece(0.02))
    assert piece.samples.shape == (960, taken)
    assert set(piece.samples.flat) == {8000}


async def test_a_frame_without_a_timestamp_follows_the_one_before():
    bare = _tone(48_000, 960, 2)
    bare.pts = None
    frames = [_tone(48_000, 960, 2), bare, _tone(48_000, 960, 2, pts=1920)]
    sent = await _sent(Slot("audio"), Source(), frames)
    assert [piece.position for piece in sent][:2] == [0, 960]
    assert sent[2].position >= 1920


# Out: a bot's sound


async def _heard(track, frames):
    return [await _soon(track.recv()) for _ in range(frames)]


async def test_silence_is_sent_when_nothing_was_written():
    track = BotAudioTrack(settings=QUICK)
    frames = await _heard(track, 3)
    assert [(frame.pts, frame.samples, frame.sample_rate) for frame in frames] == [
        (n * PACKET, PACKET, 8_000) for n in range(3)
    ]
    assert all(to_bytes(frame) == bytes(2 * PACKET) for frame in frames)
    assert track.underruns == 0


@pytest.mark.parametrize("channels", [1, 2])
async def test_what_was_written_comes_out_in_order_and_then_silence(channels):
    track = BotAudioTrack(channels, QUICK)
    audio = _numbered(1, 2 * PACKET * channels)
    await _soon(track.write(audio[:100]))
    await _soon(track.write(audio[100:]))
    frames = await _heard(track, 3)
    assert b"".join(map(to_bytes, frames)) == audio + bytes(PACKET * channels * 2)


async def test_no_frame_is_given_before_its_time():
    loop = asyncio.get_running_loop()
    track, started = BotAudioTrack(settings=QUICK), loop.time()
    for _ in range(10):
        frame = await _soon(track.recv())
        assert loop.time() - started >= frame.pts / 8_000 - 0.001


async def test_sound_that_ends_within_a_packet_is_filled_up_with_silence():
    track = BotAudioTrack(settings=QUICK)
    await _soon(track.write(_numbered(1, 10)))
    (frame,) = await _heard(track, 1)
    assert to_bytes(frame) == _numbered(1, 10) + bytes(2 * (PACKET - 10))
    assert track.underruns == 1


async def test_a_bot_whose_next_piece_is_a_little_late_is_heard_without_a_hole():
    track = BotAudioTrack(settings=replace(QUICK, grace=SOON))
    await _soon(track.write(_numbered(1, PACKET)))
    out = await _heard(track, 1)
    listening = await _started(_heard(track, 1))
    await asyncio.sleep(2 * QUICK.frame)  # the second packet is due and its sound is not there
    assert not listening.done()
    await _soon(track.write(_numbered(1 + PACKET, PACKET // 2)))
    await asyncio.sleep(QUICK.frame)
    assert not listening.done()
    await _soon(track.write(_numbered(1 + PACKET + PACKET // 2, PACKET // 2)))
    out += await _soon(listening)
    assert b"".join(map(to_bytes, out)) == _numbered(1, 2 * PACKET)


async def test_nobody_waits_for_more_from_a_bot_that_was_silent():
    track = BotAudioTrack(settings=replace(QUICK, grace=60))
    await _heard(track, 3)


@pytest.mark.parametrize("end", ["drain", "stop"])
async def test_nobody_waits_for_more_from_a_bot_that_has_ended(end):
    track = BotAudioTrack(settings=replace(QUICK, grace=60))
    await _soon(track.write(_numbered(1, PACKET + 10)))
    await _heard(track, 1)
    listening = await _started(_heard(track, 1))
    await asyncio.sleep(2 * QUICK.frame)
    assert not listening.done()
    ending = await _started(track.drain()) if end == "drain" else track.stop()
    (frame,) = await _soon(listening)
    assert to_bytes(frame) == _numbered(1 + PACKET, 10) + bytes(2 * (PACKET - 10))
    if ending is not None:
        await _soon(ending)


async def test_a_bot_that_falls_silent_is_waited_for_once_and_not_for_long():
    track = BotAudioTrack(settings=replace(QUICK, grace=0.01))
    await _soon(track.write(_numbered(1, PACKET)))
    frames = await _heard(track, 3)
    assert [any(to_bytes(frame)) for frame in frames] == [True, False, False]


async def test_a_writer_is_never_further_ahead_than_the_look_ahead():
    track = BotAudioTrack(settings=QUICK)
    writing = await _started(track.write(_numbered(0, 20 * PACKET)))
    assert track.queued_seconds == QUICK.high_water
    out = []
    while not writing.done():
        out += await _heard(track, 1)
        assert track.queued_seconds <= QUICK.high_water
    await writing
    assert track.queued_seconds <= QUICK.low_water
    out += await _heard(track, 4)
    heard = _values(b"".join(map(to_bytes, out)))
    assert np.array_equal(heard[: 20 * PACKET], np.arange(20 * PACKET))


async def test_a_write_never_waits_on_nobody_listening():
    track = BotAudioTrack(settings=QUICK)
    await _soon(track.write(_numbered(0, 8_000)))
    assert track.queued_seconds <= QUICK.low_water


async def test_a_write_does_not_wait_on_a_peer_that_is_gone_and_the_next_one_hears_what_is_said_then():
    track = BotAudioTrack(settings=QUICK)
    listening = await _started(_heard(track, 1000))
    await _soon(track.write(_numbered(0, 10 * PACKET)))
    listening.cancel()
    await _soon(track.write(_numbered(0, 10 * PACKET)))
    await _soon(track.drain())
    await _soon(track.write(_numbered(1000, PACKET)))
    (frame,) = await _heard(track, 1)
    assert to_bytes(frame) == _numbered(1000, PACKET)


async def test_a_loop_that_stood_still_costs_a_listener_nothing_that_was_said():
    track = BotAudioTrack(settings=QUICK)
    writing = await _started(track.write(_numbered(1, 20 * PACKET)))
    out = await _heard(track, 3)
    listening = await _started(_heard(track, 40))
    time.sleep(3 * QUICK.high_water)  # noqa: ASYNC251
    out += await _soon(listening)
    await writing
    heard = _values(b"".join(map(to_bytes, out)))
    assert np.array_equal(heard[heard > 0], np.arange(1, 20 * PACKET + 1))


async def test_timestamps_advance_over_the_time_in_which_the_loop_stood_still():
    track = BotAudioTrack(settings=QUICK)
    await _heard(track, 1)
    time.sleep(0.1)  # noqa: ASYNC251
    (frame,) = await _heard(track, 1)
    assert frame.pts >= 8 * PACKET
    assert frame.pts % PACKET == 0


async def test_clear_lets_a_pending_write_return_and_leaves_a_fade():
    track = BotAudioTrack(settings=QUICK)
    loud = np.full(20 * PACKET, 10_000, "<i2").tobytes()
    writing = await _started(track.write(loud))
    track.clear()
    await _soon(writing)
    first, second = await _heard(track, 2)
    faded = _values(to_bytes(first))
    assert faded[0] == 10_000
    assert np.all(np.diff(faded.astype(int)) <= 0)
    assert not faded[40:].any()
    assert not any(to_bytes(second))


async def test_a_writer_that_comes_in_the_moment_of_free_room_does_not_interrupt_the_one_before():
    track, out = BotAudioTrack(settings=QUICK), []
    first, second = _numbered(1, 20 * PACKET), _numbered(5_001, 5 * PACKET)
    heard_one = asyncio.Event()

    async def hear_and_speak():
        out.extend(await _heard(track, 1))
        heard_one.set()
        await track.write(second)  # runs before the first writer learns that there is room

    writing = await _started(asyncio.wait_for(track.write(first), 10))
    speaking = await _started(hear_and_speak())
    await heard_one.wait()
    while not (writing.done() and speaking.done()):
        out += await _heard(track, 1)
    out += await _heard(track, 5)
    heard = _values(b"".join(map(to_bytes, out)))
    assert np.array_equal(heard[heard > 0], np.concatenate([_values(first), _values(second)]))


async def test_clear_lets_all_writers_go_and_none_of_their_sound_is_heard():
    track = BotAudioTrack(settings=QUICK)
    writing = [await _started(track.write(_numbered(1_000, 20 * PACKET))) for _ in range(3)]
    track.clear()
    await _soon(asyncio.gather(*writing))
    assert track.queued_seconds <= QUICK.fade


async def test_a_writer_that_is_cancelled_lets_the_next_one_speak():
    track = BotAudioTrack(settings=QUICK)
    one = await _started(track.write(_numbered(1_000, 20 * PACKET)))
    other = await _started(track.write(_numbered(5_000, PACKET)))
    one.cancel()
    out = []
    while not other.done():
        out += await _heard(track, 1)
    out += await _heard(track, 4)
    assert 5_000 in _values(b"".join(map(to_bytes, out)))


async def test_what_is_written_after_a_clear_is_heard():
    track = BotAudioTrack(settings=QUICK)
    writing = await _started(track.write(_numbered(0, 20 * PACKET)))
    track.clear()
    await _soon(track.write(_numbered(1000, PACKET)))
    await _soon(writing)
    heard = _values(b"".join(map(to_bytes, await _heard(track, 2))))
    assert np.array_equal(heard[40 : 40 + PACKET], np.arange(1000, 1000 + PACKET))


async def test_drain_returns_when_all_was_taken_and_not_before():
    track = BotAudioTrack(settings=QUICK)
    await _soon(track.write(_numbered(1, 2 * PACKET)))
    draining = await _started(track.drain())
    await _heard(track, 1)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not draining.done()
    await _heard(track, 1)
    await _soon(draining)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 6])
async def test_drain_waits_for_the_packet_behind_the_last_sound_however_long_packets_are(frames):
    """The encoder keeps some milliseconds of what it is given, and they are in the next packet."""
    track, pieces = BotAudioTrack(settings=QUICK), []
    await _soon(track.next_piece(QUICK.frame))
    await _soon(track.write(_numbered(1, 2 * PACKET)))
    draining = await _started(track.drain())
    while not draining.done():
        missing = frames - len(pieces) % frames
        pieces.append((await _soon(track.next_piece(missing * QUICK.frame))).samples)
    last = max(number for number, samples in enumerate(pieces) if samples.any()) // frames
    assert len(pieces) >= (last + 2) * frames


async def test_there_is_nothing_to_drain_when_nothing_was_written():
    await _soon(BotAudioTrack(settings=QUICK).drain())


async def test_drain_does_not_wait_on_nobody_listening():
    track = BotAudioTrack(settings=QUICK)
    await track.write(_numbered(0, PACKET))
    await _soon(track.drain())


async def test_stop_lets_everybody_go_at_once():
    patient = replace(QUICK, low_water=60, high_water=61)
    track = BotAudioTrack(settings=patient)
    writing = await _started(track.write(bytes(2 * 8_000 * 100)))
    draining = await _started(track.drain())
    track.stop()
    await _soon(asyncio.gather(writing, draining))
    await _soon(track.drain())
    with pytest.raises(MediaStreamError):
        await _soon(track.recv())


async def test_what_is_written_after_the_end_goes_nowhere_and_holds_nobody_up():
    track = BotAudioTrack(settings=QUICK)
    track.stop()
    await _soon(track.write(_numbered(0, 20 * PACKET)))


async def test_a_tap_sees_all_that_is_sent_with_its_position_and_time():
    track, seen = BotAudioTrack(settings=QUICK), []
    track.tap = lambda audio, position, when: seen.append((audio, position, when))
    await track.write(_numbered(1, PACKET))
    frames = await _heard(track, 3)
    assert [audio for audio, _, _ in seen] == [to_bytes(frame) for frame in frames]
    assert [position for _, position, _ in seen] == [frame.pts for frame in frames]
    assert all(later - earlier > 0 for (_, _, earlier), (_, _, later) in pairwise(seen))


async def test_the_track_at_48_khz_gives_what_opus_wants():
    frame = await _soon(BotAudioTrack().recv())
    assert isinstance(frame, av.AudioFrame)
    assert (frame.samples, frame.sample_rate, frame.time_base) == (960, 48_000, Fraction(1, 48_000))


async def test_a_bot_that_writes_without_looking_is_paced_after_the_end_and_shares_the_loop():
    track = BotAudioTrack()
    track.stop()
    before = asyncio.get_running_loop().time()
    for _ in range(3):
        await track.write(bytes(2 * 960))
    assert asyncio.get_running_loop().time() - before >= 0.055


async def test_what_is_written_after_the_end_lasts_as_long_as_its_own_rate_says():
    track = BotAudioTrack(settings=OutboundAudio(rate=48_000))
    track.stop()
    before = asyncio.get_running_loop().time()
    await track.write(bytes(2 * 800), 8_000)
    assert asyncio.get_running_loop().time() - before >= 0.095


@pytest.mark.parametrize("live", [False, True])
async def test_pieces_are_as_long_as_is_asked_for_and_no_longer_than_a_frame(live):
    track = BotAudioTrack(settings=QUICK, live=live)
    await track.write(_numbered(1, 3 * PACKET))
    pieces = [await _soon(track.next_piece(seconds)) for seconds in (0.01, 0.004, 0.006, 1.0)]
    assert [len(piece.samples) for piece in pieces] == [80, 32, 48, 80]
    assert [piece.position for piece in pieces] == [0, 480, 672, 960]
    assert b"".join(piece.samples.tobytes() for piece in pieces) == _numbered(1, 3 * PACKET)


async def test_each_piece_is_due_when_the_one_before_is_over():
    loop, track = asyncio.get_running_loop(), BotAudioTrack(settings=QUICK)
    started = loop.time()
    for seconds in 5 * (0.01, 0.004, 0.01):
        piece = await _soon(track.next_piece(seconds))
        assert loop.time() - started >= piece.position / 48_000 - 0.001


@pytest.mark.parametrize("live", [False, True])
async def test_a_track_takes_on_the_rate_of_what_is_written_and_what_waits_goes_over(live):
    track = BotAudioTrack(settings=replace(QUICK, high_water=0.1, low_water=0.1), live=live)
    steady = np.full(PACKET, 5_000, "<i2")
    await track.write(steady.tobytes())
    await track.write(np.repeat(steady, 3).tobytes(), 24_000)
    pieces = [await _soon(track.next_piece(0.01)) for _ in range(3)]
    assert track.rate == 24_000
    assert {piece.rate for piece in pieces} == {24_000}
    assert [piece.position for piece in pieces[:2]] == [0, 480]
    heard = np.concatenate([piece.samples for piece in pieces])[:, 0]
    assert np.abs(heard[:480].astype(int) - 5_000).max() <= 1
    assert not heard[480:].any()


async def test_the_rate_changes_in_the_order_of_the_writes():
    track, out = BotAudioTrack(settings=QUICK), []
    one = await _started(track.write(np.full(10 * PACKET, 5_000, "<i2").tobytes()))
    other = await _started(track.write(np.full(2 * PACKET, 6_000, "<i2").tobytes(), 16_000))
    while not (one.done() and other.done()):
        out.append(await _soon(track.next_piece(0.01)))
    assert out[0].rate == 8_000
    out += [await _soon(track.next_piece(0.01)) for _ in range(5)]
    seconds = {level: sum(np.sum(np.abs(p.samples - level) < 900) / p.rate for p in out) for level in (5_000, 6_000)}
    assert seconds == {5_000: pytest.approx(0.1, abs=0.002), 6_000: pytest.approx(0.01, abs=0.002)}


# Out: sound of now


async def test_live_sound_leaves_as_soon_as_a_packet_is_full():
    track = BotAudioTrack(settings=replace(QUICK, late_after=60, live_backlog=60), live=True)
    first = await _soon(track.recv())
    await track.write(_numbered(1, PACKET))
    second = await _soon(track.recv())
    listening = await _started(track.recv())
    await track.write(_numbered(1 + PACKET, PACKET // 2))
    await asyncio.sleep(2 * QUICK.frame)
    assert not listening.done()
    await track.write(_numbered(1 + PACKET + PACKET // 2, PACKET // 2))
    third = await _soon(listening)
    assert [to_bytes(frame) for frame in (first, second, third)] == [
        bytes(2 * PACKET),
        _numbered(1, PACKET),
        _numbered(1 + PACKET, PACKET),
    ]
    assert [frame.pts for frame in (first, second, third)] == [0, PACKET, 2 * PACKET]


async def test_a_loop_that_stood_still_puts_no_silence_before_the_live_sound_that_is_on_its_way():
    track = BotAudioTrack(settings=replace(QUICK, grace=SOON), live=True)
    await track.write(_numbered(1, PACKET))
    await _heard(track, 1)
    listening = await _started(track.recv())

    async def write_later():
        for _ in range(20):  # as from a socket through a decoder and a bot
            await asyncio.sleep(0)
        for half in range(2):
            await track.write(_numbered(1000 + half * PACKET // 2, PACKET // 2))

    writing = asyncio.ensure_future(write_later())
    time.sleep(5 * QUICK.late_after)  # noqa: ASYNC251
    frame = await _soon(listening)
    await writing
    assert to_bytes(frame) == _numbered(1000, PACKET)


async def test_a_live_stream_goes_on_in_silence_and_its_timestamps_with_it():
    track = BotAudioTrack(settings=QUICK, live=True)
    await track.write(_numbered(1, PACKET))
    frames = await _heard(track, 5)
    assert [to_bytes(frame) != bytes(2 * PACKET) for frame in frames] == [True, False, False, False, False]
    assert all(later.pts - earlier.pts >= PACKET for earlier, later in pairwise(frames))


async def test_a_live_writer_never_waits_and_the_oldest_goes():
    track = BotAudioTrack(settings=QUICK, live=True)
    for n in range(100):
        await _soon(track.write(_numbered(n * PACKET, PACKET)))
    assert track.queued_seconds == pytest.approx(0.2)
    assert track.live_dropped == 80 * PACKET


async def test_a_live_writer_shares_the_loop():
    track, turns = BotAudioTrack(settings=QUICK, live=True), []
    asyncio.get_running_loop().call_soon(turns.append, True)
    for _ in range(2):  # as long as what was written before has not left
        await track.write(_numbered(1, 960))
    assert turns


async def test_drain_of_a_live_track_sends_the_end_of_the_last_word():
    track = BotAudioTrack(settings=replace(QUICK, live_backlog=60), live=True)
    await track.write(_numbered(1, PACKET))
    first = await _soon(track.recv())
    await track.write(_numbered(1 + PACKET, PACKET + 10))
    listening = asyncio.create_task(_heard(track, 6))
    await _soon(track.drain())
    sent = [first, *await _soon(listening)]
    assert b"".join(map(to_bytes, sent)).rstrip(b"\0") == _numbered(1, 2 * PACKET + 10)[:-1]


async def test_drain_of_a_live_track_does_not_wait_on_nobody_listening():
    track = BotAudioTrack(settings=QUICK, live=True)
    await track.write(_numbered(1, PACKET + 10))
    await _soon(track.drain())


async def test_stop_ends_a_reader_of_live_sound():
    track = BotAudioTrack(settings=replace(QUICK, late_after=60), live=True)
    await track.write(_numbered(1, PACKET))
    await _soon(track.recv())
    listening = await _started(track.recv())
    track.stop()
    with pytest.raises(MediaStreamError):
        await _soon(listening)
