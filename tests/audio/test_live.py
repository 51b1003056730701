"""Live sound by value: whose clock it leaves by, what is silence, what is dropped, and which position it has."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.audio.live import LiveSound
from smallrtc_cli.config import OutboundAudio

RATE = 8_000
SETTINGS = OutboundAudio(rate=RATE, frame=0.02, late_after=0.06, live_backlog=0.2)
FRAME = 160
PIECE = 80
SILENCE = bytes(2 * FRAME)


def numbered(first, samples=PIECE):
    """Samples that say which they are, and are never 0."""
    return (np.arange(first, first + samples) % 30_000 + 1).astype("<i2").tobytes()


def first_of(audio):
    return int(np.frombuffer(audio, "<i2")[0]) - 1


class Microphone:
    """Puts 10 ms at a time; its clock may differ."""

    def __init__(self, sound, *, ppm=0.0, start=0.0):
        self.sound, self.written = sound, 0
        self.step = 0.01 / (1 + ppm / 1e6)
        self.next = start + self.step

    def piece(self):
        self.sound.put(numbered(self.written))
        self.written += PIECE
        self.next += self.step


def flow(sound, microphone, until, *, now=0.0, silent=()):
    """Run both ends as an event loop would; returns (time, audio, position) of all that left.

    In the `silent` intervals the microphone gives nothing.
    """
    left = []
    while now < until:
        frame = sound.take(now)
        while frame is not None:
            left.append((now, *frame))
            frame = sound.take(now)
        now = min(microphone.next, max(sound.due(now), now + 1e-4))
        if now >= microphone.next:
            if any(begin <= now < end for begin, end in silent):
                microphone.next += microphone.step
                microphone.written += PIECE
            else:
                microphone.piece()
    return left


def flowing():
    """Sound that flows: its first frame left at 0."""
    sound = LiveSound(settings=SETTINGS)
    sound.put(numbered(0, FRAME))
    assert sound.take(0.0) == (numbered(0, FRAME), 0)
    return sound


def test_silence_leaves_at_once_and_then_every_20_ms():
    sound = LiveSound(settings=SETTINGS)
    assert sound.take(5.0) == (SILENCE, 0)
    assert sound.take(5.019) is None
    assert sound.due(5.019) == pytest.approx(5.02)
    assert sound.take(5.02) == (SILENCE, FRAME)


def test_a_frame_leaves_as_soon_as_its_20_ms_are_there():
    sound = flowing()
    sound.put(numbered(FRAME))
    assert sound.take(0.003) is None
    sound.put(numbered(FRAME + PIECE))
    assert sound.take(0.003) == (numbered(FRAME, FRAME), FRAME)


def test_nothing_is_kept_back_after_a_moment_in_which_the_loop_stood_still():
    sound = flowing()
    sound.put(numbered(FRAME, 4 * FRAME))
    frames = [sound.take(0.1) for _ in range(5)]
    assert [frame and (first_of(frame[0]), frame[1]) for frame in frames[:4]] == [
        (n * FRAME, n * FRAME) for n in range(1, 5)
    ]
    assert frames[4] is None
    assert sound.dropped == 0


def test_silence_takes_over_after_60_ms_and_its_time_has_passed_in_the_positions():
    sound = flowing()
    assert sound.take(0.059) is None
    assert sound.take(0.06) == (SILENCE, 3 * FRAME)
    assert sound.take(0.08) == (SILENCE, 4 * FRAME)


def test_the_end_of_a_word_is_sent_however_short():
    sound = flowing()
    sound.put(numbered(FRAME))
    audio, position = sound.take(0.06)
    assert audio == numbered(FRAME).ljust(2 * FRAME, b"\0")
    assert position == 3 * FRAME
    assert sound.queue.seconds == 0


def test_sound_that_is_back_leaves_at_once_and_of_what_piled_up_no_more_than_60_ms():
    sound = flowing()
    sound.take(0.06)
    sound.put(numbered(8000, 5 * FRAME))
    assert [sound.take(0.07) for _ in range(4)] == [
        *((numbered(8000 + n * FRAME, FRAME), (n + 2) * FRAME) for n in (2, 3, 4)),
        None,
    ]
    assert sound.dropped == 2 * FRAME
    sound.put(numbered(9000, FRAME))
    assert sound.take(0.085) == (numbered(9000, FRAME), 7 * FRAME)


def test_half_a_frame_waits_for_its_rest_while_silence_goes_on():
    sound = flowing()
    sound.take(0.06)
    sound.put(numbered(8000))
    assert sound.take(0.08) == (SILENCE, 4 * FRAME)
    sound.put(numbered(8000 + PIECE))
    assert sound.take(0.1) == (numbered(8000, FRAME), 5 * FRAME)


def test_half_a_frame_that_waits_in_vain_is_the_end_of_a_word():
    sound = flowing()
    sound.take(0.06)
    sound.put(numbered(8000))
    assert sound.take(0.08) == (SILENCE, 4 * FRAME)
    assert sound.take(0.1) == (numbered(8000).ljust(2 * FRAME, b"\0"), 5 * FRAME)
    assert sound.take(0.121) == (SILENCE, 6 * FRAME)
    assert sound.dropped == 0


def test_where_nobody_asks_the_newest_200_ms_are_held_and_the_rest_is_counted():
    sound = flowing()
    for n in range(30):
        sound.put(numbered(1000 + n * PIECE))
    assert sound.queue.seconds == pytest.approx(0.2)
    assert sound.dropped == 10 * PIECE


def test_what_was_dropped_leaves_a_gap_in_the_positions():
    sound = flowing()
    for n in range(24):
        sound.put(numbered(1000 + n * PIECE))
    audio, position = sound.take(0.15)
    assert first_of(audio) == 1000 + 4 * PIECE
    assert position == FRAME + 4 * PIECE


def test_one_who_asks_after_a_long_time_hears_now_and_not_then():
    sound = flowing()
    for n in range(300):
        sound.put(numbered(1000 + n * PIECE))
    audio, position = sound.take(3.0)
    assert first_of(audio) == 1000 + 298 * PIECE
    assert position == pytest.approx(3.0 * RATE, abs=FRAME)
    assert sound.queue.seconds == 0


def test_a_single_piece_of_more_than_fits_is_cut_at_its_beginning():
    sound = flowing()
    sound.put(numbered(0, 3000))
    assert sound.queue.seconds == pytest.approx(0.2)
    assert sound.dropped == 3000 - 1600
    assert first_of(sound.take(0.01)[0]) == 1400


def test_a_loop_that_stood_still_in_silence_makes_no_burst():
    sound = LiveSound(settings=SETTINGS)
    sound.take(0.0)
    assert sound.take(1.0) == (SILENCE, RATE)
    assert sound.take(1.0) is None


@pytest.mark.parametrize("ppm", [-300.0, 0.0, 300.0])
def test_a_microphone_with_a_clock_of_its_own_loses_and_repeats_nothing_and_nothing_piles_up(ppm):
    sound = LiveSound(settings=SETTINGS)
    microphone = Microphone(sound, ppm=ppm)
    left = flow(sound, microphone, 120.0)
    heard = [(audio, position) for _, audio, position in left if audio != SILENCE]
    assert len(heard) >= 5_900
    assert b"".join(audio for audio, _ in heard) == b"".join(
        numbered(first_of(heard[0][0]) + n * FRAME, FRAME) for n in range(len(heard))
    )
    assert sound.queue.seconds <= 0.02
    assert sound.dropped <= PIECE  # before its first frame


def test_pauses_of_the_microphone_add_no_delay_and_no_lead_to_the_positions():
    sound = LiveSound(settings=SETTINGS)
    microphone = Microphone(sound)
    pauses = [(n + 0.313, n + 0.313 + 0.0371 * (n % 9)) for n in range(100)]
    left = flow(sound, microphone, 100.0, silent=pauses)
    positions = [position for _, _, position in left]
    assert all(later - earlier >= FRAME for earlier, later in zip(positions, positions[1:], strict=False))
    leads = [(position + FRAME) / RATE - now for now, _, position in left]
    assert max(leads) - min(leads) < 0.08
    lateness = [now - spoken_at(audio, now) for now, audio, _ in left if audio[-2:] != bytes(2)]
    assert len(lateness) > 3_000
    assert min(lateness) > -1e-6
    assert max(lateness) < 0.021


def spoken_at(audio, now):
    """When its last sample was: its number, which wraps, in the time nearest to now."""
    number = int(np.frombuffer(audio, "<i2")[-1])
    return (number + round((now * RATE - number) / 30_000) * 30_000) / RATE


@given(st.lists(st.tuples(st.sampled_from(["put", "take"]), st.integers(0, 2_500), st.floats(0, 0.3)), max_size=60))
def test_whatever_happens_frames_are_whole_positions_grow_and_every_sample_is_accounted_for(steps):
    sound, now, written, sent, last = LiveSound(settings=SETTINGS), 0.0, 0, 0, -math.inf
    for what, samples, pause in steps:
        now += pause
        if what == "put":
            sound.put(numbered(0, samples))
            written += samples
        elif (frame := sound.take(now)) is not None:
            audio, position = frame
            assert len(audio) == 2 * FRAME
            assert position >= last + FRAME
            last = position
            sent += int(np.count_nonzero(np.frombuffer(audio, "<i2")))
        assert sound.queue.seconds <= 0.2
    assert written == sent + sound.dropped + round(sound.queue.seconds * RATE)


def test_frames_of_another_length_leave_when_their_sound_is_there():
    sound = flowing()
    sound.pace(0.01)
    sound.put(numbered(FRAME, PIECE))
    assert sound.take(0.01) == (numbered(FRAME, PIECE), FRAME)
    assert sound.take(0.02) is None


def test_silence_of_another_length_is_due_when_the_frame_before_is_over():
    sound = LiveSound(settings=SETTINGS)
    sound.take(5.0)
    sound.pace(0.01)
    assert sound.due(5.0) == pytest.approx(5.02)
    assert sound.take(5.02) == (bytes(PIECE * 2), FRAME)
    assert sound.due(5.02) == pytest.approx(5.03)


def test_at_another_rate_what_waits_and_where_it_goes_are_the_same_in_time():
    sound = flowing()
    sound.put(np.full(FRAME + PIECE, 5_000, "<i2").tobytes())
    sound.retune(24_000)
    audio, position = sound.take(0.02)
    assert position == 3 * FRAME
    assert np.abs(np.frombuffer(audio, "<i2").astype(int) - 5_000).max() <= 1
    assert len(audio) == 2 * 3 * FRAME
    assert sound.take(0.03) is None
    sound.put(bytes(2 * 3 * PIECE))
    assert sound.take(0.04)[1] == 6 * FRAME
