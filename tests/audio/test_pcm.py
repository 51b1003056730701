"""Samples in, samples out: order, amount, bounds, and the beat of a track."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallrtc_cli.audio.pcm import (
    AudioRawFrame,
    Converter,
    FrameClock,
    PlayoutQueue,
    WrongFormat,
    check_format,
    level_dbfs,
    to_av_frame,
    to_bytes,
)
from smallrtc_cli.config import OutboundAudio

RATES = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]
HELD = 0.002
"Seconds that a resampler may hold back."


def _tone(rate, seconds=0.5, channels=1, frequency=440.0):
    wave = (8000 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)).astype("<i2")
    return np.repeat(wave[:, None], channels, axis=1).tobytes()


def _numbered(samples, channels=1):
    """Sound in which each sample of each channel is another number, so that order and place can be read off."""
    return (np.arange(samples * channels) % 60_000 - 30_000).astype("<i2").tobytes()


def _samples(audio, channels=1):
    return np.frombuffer(audio, dtype="<i2").reshape(-1, channels)


def _pieces(audio, sizes):
    """Cut as a network would: sizes in bytes, over and over."""
    at = 0
    while at < len(audio):
        for size in sizes:
            yield audio[at : at + size]
            at += size


# Frames


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1, 7, 160, 961])
def test_samples_survive_libav_without_its_padding(samples, channels):
    audio = _numbered(samples, channels)
    frame = to_av_frame(audio, 16_000, channels, pts=320)
    assert (frame.samples, frame.sample_rate, frame.pts, frame.time_base.denominator) == (samples, 16_000, 320, 16_000)
    assert to_bytes(frame) == audio


def test_a_frame_counts_samples_per_channel():
    assert AudioRawFrame(bytes(1920), 48_000, 1).num_frames == 960
    assert AudioRawFrame(bytes(1920), 48_000, 2).num_frames == 480


@pytest.mark.parametrize(("amplitude", "level"), [(32767, 0.0), (3277, -20.0), (328, -40.0)])
def test_level_is_relative_to_full_scale(amplitude, level):
    assert level_dbfs(np.full((100, 2), amplitude, np.int16)) == pytest.approx(level, abs=0.05)


def test_silence_and_nothing_have_no_level():
    assert level_dbfs(np.zeros(100, np.int16)) == level_dbfs(np.zeros(0, np.int16)) == float("-inf")


# Conversion


@pytest.mark.parametrize("channels", [(1, 1), (1, 2), (2, 1), (2, 2)], ids=str)
@pytest.mark.parametrize("target", [16_000, 48_000])
@pytest.mark.parametrize("rate", RATES)
def test_any_rate_keeps_its_pitch_duration_and_level(rate, target, channels):
    source, wanted = channels
    audio = _tone(rate, seconds=1, channels=source)
    converter = Converter(target, wanted)
    out = _samples(b"".join(converter.convert(p, rate, source) for p in _pieces(audio, [640])), wanted)
    assert target - HELD * target <= len(out) <= target
    middle = out[target // 4 : target * 3 // 4].astype(float)
    spectrum = np.abs(np.fft.rfft(middle[:, 0] * np.hanning(len(middle))))
    assert np.argmax(spectrum) * target / len(middle) == pytest.approx(440, abs=2)
    assert level_dbfs(middle.astype(np.int16)) == pytest.approx(20 * np.log10(8000 / 32768) - 3.01, abs=0.1)
    assert np.all(out == out[:, :1])


@settings(deadline=None, max_examples=60)
@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=8), rate=st.sampled_from(RATES), stereo=st.booleans())
def test_the_cuts_between_the_pieces_are_not_heard(sizes, rate, stereo):
    channels = 2 if stereo else 1
    audio = _tone(rate, seconds=0.1, channels=channels)
    whole, cut = Converter(48_000, 1), Converter(48_000, 1)
    expected = _samples(whole.convert(audio, rate, channels)).astype(int)
    out = _samples(b"".join(cut.convert(piece, rate, channels) for piece in _pieces(audio, sizes))).astype(int)
    assert abs(len(out) - len(expected)) <= 1
    both = min(len(out), len(expected))
    assert np.abs(out[:both] - expected[:both]).max() <= 1


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=8), channels=st.sampled_from([1, 2]))
def test_sound_in_the_right_format_passes_untouched_however_it_is_cut(sizes, channels):
    audio = _numbered(200, channels)
    converter = Converter(48_000, channels)
    out = [converter.convert(piece, 48_000, channels) for piece in _pieces(audio, sizes)]
    assert all(len(piece) % (2 * channels) == 0 for piece in out)
    assert b"".join(out) == audio


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_half_a_sample_at_the_end_of_one_format_does_not_shift_the_next(rate):
    converter = Converter(48_000, 1)
    assert converter.convert(b"\x01\x02\x03", 48_000, 2) == b""
    out = converter.convert(_tone(rate, seconds=0.1), rate, 1)
    assert out == Converter(48_000, 1).convert(_tone(rate, seconds=0.1), rate, 1)


@settings(deadline=None, max_examples=40)
@given(formats=st.lists(st.tuples(st.sampled_from(RATES), st.sampled_from([1, 2])), min_size=2, max_size=6))
def test_a_source_may_change_its_format_in_mid_stream(formats):
    converter = Converter(48_000, 2)
    out = b"".join(converter.convert(_tone(rate, 0.1, channels), rate, channels) for rate, channels in formats)
    samples = len(out) / 4
    assert len(formats) * (4800 - HELD * 48_000) <= samples <= len(formats) * (4800 + HELD * 48_000)
    assert level_dbfs(_samples(out)) == pytest.approx(-15.3, abs=1)


@pytest.mark.parametrize("rate", [24_000, 44_100])
def test_the_end_of_one_format_does_not_come_behind_another(rate):
    loud, still = np.full(rate // 50, 10_000, "<i2").tobytes(), bytes(2 * (rate // 50))
    converter = Converter(48_000, 1)
    converter.convert(loud, rate, 1)
    assert not any(converter.convert(bytes(1920), 48_000, 1))
    assert not any(converter.convert(still, rate, 1))
    converter.convert_frame(to_av_frame(loud, rate, 1))
    converter.convert_frame(to_av_frame(bytes(1920), 48_000, 1))
    assert not any(any(to_bytes(each)) for each in converter.convert_frame(to_av_frame(still, rate, 1)))


def test_nothing_in_is_nothing_out():
    assert Converter(48_000, 1).convert(b"", 22_050, 2) == b""


# The queue

QUEUE = OutboundAudio(rate=8_000, low_water=0.06, high_water=0.08, fade=0.005)
ROOM = 640  # samples in 80 ms


@given(
    cuts=st.lists(st.integers(1, 900), min_size=1, max_size=30),
    takes=st.lists(st.integers(0, 700), min_size=1, max_size=10),
    channels=st.sampled_from([1, 2]),
)
def test_what_goes_in_comes_out_in_order_and_never_beyond_the_high_water_mark(cuts, takes, channels):
    queue, size = PlayoutQueue(channels, QUEUE), 2 * channels
    audio, out, turn = _numbered(sum(cuts), channels), b"", 0
    for piece in _pieces(audio, [cut * size for cut in cuts]):
        rest = queue.put(piece)
        while rest:
            assert queue.seconds == 0.08
            taken = queue.take(max(1, takes[turn % len(takes)]))
            turn, out, rest = turn + 1, out + taken, queue.put(rest)
        assert queue.seconds <= 0.08
    out += queue.take(10_000)
    assert out == audio
    assert (queue.seconds, queue.dropped) == (0, 0)


@given(queued=st.integers(0, ROOM), wanted=st.integers(0, 1000))
def test_a_packet_gets_exactly_what_it_needs_or_what_there_is(queued, wanted):
    queue = PlayoutQueue(1, QUEUE)
    assert queue.put(_numbered(queued)) == b""
    assert queue.take(wanted) == _numbered(queued)[: 2 * wanted]
    assert queue.seconds == pytest.approx(max(0, queued - wanted) / 8000)


def test_the_rest_of_what_does_not_fit_comes_back_unchanged():
    queue = PlayoutQueue(2, QUEUE)
    audio = _numbered(1000, channels=2)
    assert queue.put(audio) == audio[ROOM * 4 :]
    assert queue.put(b"more") == b"more"
    assert queue.take(1000) == audio[: ROOM * 4]


def test_a_writer_may_go_on_from_the_low_water_mark():
    queue = PlayoutQueue(1, OutboundAudio())
    queue.put(bytes(2 * 3840))
    assert not queue.has_room
    queue.take(959)
    assert not queue.has_room
    queue.take(1)
    assert queue.has_room


@given(loudness=st.integers(100, 32767), queued=st.integers(2, ROOM), channels=st.sampled_from([1, 2]))
def test_clear_leaves_a_fade_and_nothing_else(loudness, queued, channels):
    queue = PlayoutQueue(channels, QUEUE)
    queue.put(np.full(queued * channels, loudness, "<i2").tobytes())
    queue.clear()
    assert queue.seconds == min(queued, 40) / 8_000
    left = _samples(queue.take(ROOM), channels).astype(int)
    assert len(left) == min(queued, 40)
    assert queue.dropped == queued - len(left)
    assert np.all(left[0] == loudness)
    assert np.all(left[-1] == 0)
    steps = np.diff(left, axis=0)
    assert np.all(steps <= 0)
    assert np.all(np.abs(steps + loudness / (len(left) - 1)) <= 1)
    assert np.all(left == left[:, :1])


def test_clearing_an_empty_queue_leaves_it_empty():
    queue = PlayoutQueue(1, QUEUE)
    queue.clear()
    assert (queue.take(100), queue.seconds, queue.dropped) == (b"", 0, 0)


def test_new_sound_follows_the_fade():
    queue = PlayoutQueue(1, QUEUE)
    queue.put(_numbered(ROOM))
    queue.clear()
    assert queue.put(_numbered(100)) == b""
    assert queue.take(140)[80:] == _numbered(100)


@given(queued=st.integers(0, ROOM), seconds=st.floats(0, 0.2))
def test_what_nobody_heard_in_time_is_skipped_and_counted(queued, seconds):
    queue = PlayoutQueue(1, QUEUE)
    queue.put(_numbered(queued))
    queue.skip(seconds)
    assert queue.dropped == min(queued, int(seconds * 8000))
    assert queue.take(ROOM) == _numbered(queued)[2 * queue.dropped :]


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 500), min_size=1, max_size=5), channels=st.sampled_from([1, 2]))
def test_bytes_that_split_samples_reach_the_queue_as_whole_ones(sizes, channels):
    converter, queue = Converter(8_000, channels), PlayoutQueue(channels, QUEUE)
    audio, out = _numbered(300, channels), b""
    for piece in _pieces(audio, sizes):
        assert queue.put(converter.convert(piece, 8_000, channels)) == b""
        taken = queue.take(ROOM)
        assert len(taken) % (2 * channels) == 0
        out += taken
    assert out == audio


@pytest.mark.parametrize("channels", [1, 2])
def test_what_waits_goes_over_to_another_rate(channels):
    queue = PlayoutQueue(channels, QUEUE)
    queue.put(np.full(channels * 400, 5_000, "<i2").tobytes())
    queue.retune(24_000)
    assert queue.seconds == 0.05
    assert queue.put(bytes(2 * channels * 24_000))  # no more fits than before
    assert queue.seconds == QUEUE.high_water
    taken = np.frombuffer(queue.take(24_000), "<i2")
    assert np.abs(taken[: 1_200 * channels].astype(int) - 5_000).max() <= 1
    assert not taken[1_200 * channels :].any()


def test_an_empty_queue_has_another_rate_at_once():
    queue = PlayoutQueue(1, QUEUE)
    queue.retune(16_000)
    queue.put(bytes(2 * 160))
    assert queue.seconds == 0.01


# The beat

FRAME = 0.25
BEAT = OutboundAudio(frame=FRAME, late_after=0.75)
"Times that binary fractions hold exactly."


def test_a_steady_clock_gives_steady_ticks():
    clock = FrameClock(BEAT)
    now = 100.0
    for index in range(1000):
        tick = clock.next(now)
        assert (tick.index, tick.due) == (index, 100 + index * FRAME)
        now = tick.due
    assert clock.skipped == 0


@given(lateness=st.lists(st.floats(0, 0.019), min_size=1, max_size=200))
def test_small_delays_do_not_add_up(lateness):
    clock, now = FrameClock(), 50.0
    for index, late in enumerate(lateness):
        tick = clock.next(now)
        assert tick.index == index
        assert tick.due == pytest.approx(50 + index * 0.02)
        now = tick.due + late
    assert clock.skipped == 0


def test_a_little_late_is_made_up_for_at_once():
    clock = FrameClock(BEAT)
    clock.next(0)
    assert [clock.next(1.0).due for _ in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert clock.next(1.0).due == 1.25
    assert clock.skipped == 0


def test_too_late_is_a_new_beat_and_the_numbers_jump_over_what_was_missed():
    clock = FrameClock(BEAT)
    clock.next(0)
    tick = clock.next(10.25)
    assert (tick.due, tick.index) == (10.25, 41)
    assert clock.skipped == 40
    assert clock.next(10.25) == type(tick)(10.5, 42)


@given(waits=st.lists(st.one_of(st.floats(0, 0.1), st.floats(0, 30)), min_size=1, max_size=100))
def test_whatever_the_loop_does_there_is_no_burst_and_no_number_twice_or_early(waits):
    clock, now, made = FrameClock(BEAT), 0.0, []
    for wait in waits:
        now += wait
        tick = clock.next(now)
        assert now - tick.due <= BEAT.late_after
        now = max(now, tick.due)
        made.append((now, tick))
    assert all(later.index > earlier.index for (_, earlier), (_, later) in pairwise(made))
    assert made[-1][1].index == len(waits) - 1 + clock.skipped
    assert all(tick.index <= at / FRAME + 1e-9 for at, tick in made)
    at_once = BEAT.late_after / FRAME + 1
    for first, (start, _) in enumerate(made):
        within = sum(1 for at, _ in made[first:] if at - start < FRAME)
        assert within <= at_once + 1


def test_frames_of_any_length_are_due_one_after_the_other():
    clock = FrameClock(BEAT)
    dues = [clock.next(0.0, frame).due for frame in (0.25, 0.125, 0.5, 0.25)]
    assert dues == [0.0, 0.25, 0.375, 0.875]


# Formats


@pytest.mark.parametrize("channels", [0, 3, -1, 1.0, "2", None])
def test_a_number_of_channels_that_is_none_is_said(channels):
    with pytest.raises(WrongFormat, match=r"cannot have `.*` channels") as raised:
        Converter(48_000, 2).convert(bytes(12), 24_000, channels)
    assert raised.value.hint == "it is 1 for mono or 2 for stereo"


@pytest.mark.parametrize("rate", [0, -1, 999, 10**6, 24_000.0, "24000", None])
def test_a_rate_that_is_none_is_said(rate):
    with pytest.raises(WrongFormat, match="cannot have a sample rate of `") as raised:
        Converter(48_000, 2).convert(bytes(12), rate, 1)
    assert "from 1000 to 384000" in raised.value.hint


def test_a_converter_goes_on_after_a_wrong_format():
    converter = Converter(24_000, 1)
    with pytest.raises(WrongFormat):
        converter.convert(bytes(4), 0, 1)
    assert converter.convert(b"abcd", 24_000, 1) == b"abcd"


@pytest.mark.parametrize("rate", [*RATES, 1_000, 384_000, np.int64(16_000)])
def test_any_usual_rate_will_do(rate):
    check_format(rate, 1)
    check_format(rate, np.int32(2))


def test_two_sides_become_one_at_half_the_level_of_each():
    sides = np.array([[1000, 3000], [-1000, 1000], [32767, 32767], [-32768, -32768]], "<i2")
    (frame,) = Converter(48_000, 1).convert_frame(to_av_frame(sides.tobytes(), 48_000, 2))
    assert (frame.samples, frame.sample_rate, frame.layout.name) == (4, 48_000, "mono")
    assert np.frombuffer(to_bytes(frame), "<i2") == pytest.approx(sides.mean(axis=1), abs=1)
