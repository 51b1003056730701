"""RTP timestamps without wrap-around and without their senders' whims, by value."""

from smallrtc_cli.audio.timeline import Timeline

CLOCK = 48_000


def begun(timestamp=0, now=0.0):
    timeline = Timeline(CLOCK)
    timeline.begin(timestamp, now)
    return timeline


def test_it_begins_where_the_sender_does():
    assert begun(123).position == 123


def test_it_goes_on_over_the_wrap_around():
    timeline = begun(2**32 - 960)
    timeline.advance(960)
    assert timeline.gap(0, 0.02, 0) == 0
    timeline.advance(960)
    assert timeline.position == 2**32 + 960


def test_a_jump_that_time_bears_is_a_pause():
    timeline = begun()
    timeline.advance(960)
    assert timeline.gap(960 + 60 * CLOCK, 60.0, 0) == 60 * CLOCK


def test_a_jump_that_time_does_not_bear_is_a_new_clock():
    timeline = begun()
    timeline.advance(960)
    assert timeline.gap(960 + 3_600 * CLOCK, 60.0, 0) == 0
    assert timeline.gap(960 + 3_600 * CLOCK, 60.0, 1_920) == 1_920


def test_a_jump_back_is_a_new_clock_that_is_followed():
    timeline = begun(90_000)
    timeline.advance(960)
    assert timeline.gap(5_000, 1.0, 0) == 0
    timeline.pass_to(timeline.position, 5_000)
    timeline.advance(960)
    assert timeline.gap(5_960, 1.02, 0) == 0
    assert timeline.position == 90_000 + 1_920


def test_a_new_sequence_follows_the_old_one():
    timeline = begun(1_000)
    timeline.advance(960)
    timeline.begin(77_000, 5.0)
    assert timeline.position == 1_960
    assert timeline.gap(77_960, 5.02, 0) == 960


def test_a_burst_after_a_long_stall_may_tell_of_a_pause():
    timeline = begun()
    assert timeline.gap(8 * CLOCK, 0.0, 0) == 8 * CLOCK
