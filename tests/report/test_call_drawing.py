"""What a call looks like, in text, at each width and height."""

import io
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from smallrtc_cli.report.call_drawing import KEYS, draw
from smallrtc_cli.report.call_picture import CallPicture, Line, Voice

ME = Voice("MacBook Microphone", [-60, -52, -45, -37, -30, -22, -15, -7, -1.1, -21.2], -21.2, "unmuted")
BOT = Voice("MacBook Speakers", [-52.0, -43.1], -43.1, "answered in 640 ms")
LINES = (
    Line("you", "what is the weather in Oslo"),
    Line("bot", "It is four degrees and raining, and it will stay like this until the end of the week."),
    Line("·", "metrics  ttfb llm 0.41 s", quiet=True),
)
CALL = CallPicture(
    place="localhost:7860",
    state="connected",
    me=ME,
    bot=BOT,
    seconds=54.9,
    path="host udp",
    round_trip_ms=12.3,
    jitter_ms=3.1,
    loss_percent=0.2,
    buffer_ms=24.0,
    kbit_per_s=[12, 24, 24, 36, 48],
    lines=LINES,
)
NEW = CallPicture("localhost:7860", "connecting", Voice("talk.wav"), Voice("nowhere"))


def drawn(picture, width=80, height=24):
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(draw(picture, width, height))
    return console.file.getvalue().removesuffix("\n")


def test_eighty_columns():
    assert drawn(CALL) == (
        """\
 localhost:7860   connected 0:54   host udp
 rtt   12 ms  jitter   3 ms  loss  0.2 %  buffer   24 ms    48 kbit/s ▂▄▄▆█
 you  MacBook Microphone    ▁▁▂▃▄▅▆▇█▅   -21 dBFS  unmuted
 bot  MacBook Speakers              ▁▂   -43 dBFS  answered in 640 ms

 you  what is the weather in Oslo
 bot  It is four degrees and raining, and it will stay like this until the end
      of the week.
 ·    metrics  ttfb llm 0.41 s

 m mute   v camera   t type   s statistics   r reconnect   ? keys   q quit"""
    )


def test_a_hundred_and_twenty_columns():
    assert drawn(CALL, 120) == (
        """\
 localhost:7860   connected 0:54   host udp
 rtt   12 ms  jitter   3 ms  loss  0.2 %  buffer   24 ms    48 kbit/s ▂▄▄▆█
 you  MacBook Microphone              ▁▁▂▃▄▅▆▇█▅   -21 dBFS  unmuted
 bot  MacBook Speakers                        ▁▂   -43 dBFS  answered in 640 ms

 you  what is the weather in Oslo
 bot  It is four degrees and raining, and it will stay like this until the end of the week.
 ·    metrics  ttfb llm 0.41 s

 m mute   v camera   t type   s statistics   r reconnect   ? keys   q quit"""
    )


def test_forty_columns():
    assert drawn(CALL, 40) == (
        """\
 localhost:7860   connected 0:54
 rtt   12 ms  jitter   3 ms  loss  0.2 %
 buffer   24 ms    48 kbit/s ▂▄▄▆█
 host udp
 you  ▁▁▂▃▄▅▆▇█▅   -21 dBFS  unmuted
 bot          ▁▂   -43 dBFS  answered i…

 you  what is the weather in Oslo
 bot  It is four degrees and raining,
      and it will stay like this until
      the end of the week.
 ·    metrics  ttfb llm 0.41 s

 m mute   t type   ? keys   q quit"""
    )


def test_what_is_not_known_yet_is_a_dash_and_has_its_place():
    assert drawn(NEW).splitlines()[:4] == [
        " localhost:7860   connecting",
        " rtt       –  jitter      –  loss      –  buffer       –            –",
        " you  talk.wav                                  –",
        " bot  nowhere                                   –",
    ]
    assert drawn(NEW, 40).splitlines()[3] == " –"


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_figure_moves_another(width):
    high = replace(CALL, round_trip_ms=1234, jitter_ms=99, loss_percent=99.9, buffer_ms=1999, kbit_per_s=[1024] * 9)
    rows = [drawn(picture, width).splitlines() for picture in (CALL, high, replace(CALL, me=replace(ME, dbfs=-120.2)))]
    words = ("rtt", "jitter", "loss", "buffer", "kbit/s", "dBFS", "unmuted", "answered", "metrics")
    places = [{word: [row.find(word) for row in each] for word in words} for each in rows]
    assert places[0] == places[1] == places[2]


def test_silence_is_a_word():
    row = drawn(replace(CALL, me=replace(ME, dbfs=-math.inf, levels=[-math.inf] * 3))).splitlines()[2]
    assert "▁▁▁    silence  unmuted" in row


def test_the_last_ten_levels_and_five_rates_are_drawn():
    text = drawn(replace(CALL, me=replace(ME, levels=[0] * 5 + [-60] * 10), kbit_per_s=[1000, 1, 1, 1, 1, 1]))
    assert " ▁▁▁▁▁▁▁▁▁▁ " in text
    assert " █████" in text.splitlines()[1]


def test_a_long_place_leaves_room_for_the_state():
    place = "a-very-long-name.of.a-server.example:7860"
    heading = drawn(replace(CALL, place=place, state="reconnecting"), 40).splitlines()[0]
    assert heading == " a-very-long-name.o…   reconnecting 0:54"


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("height", range(1, 30))
def test_it_fits_any_height_and_the_newest_lines_stay(width, height):
    picture = replace(CALL, notice="the microphone is gone", statistics=[("underruns", "3")], lines=LINES * 5)
    rows = drawn(picture, width, height).split("\n")
    assert len(rows) <= height
    assert rows[0].startswith(" localhost:7860")
    if height >= 12:
        assert " ·    metrics  ttfb llm 0.41 s" in rows
        assert " the microphone is gone" in rows
        assert "q quit" in rows[-1]


def test_low_terminals_leave_out_empty_rows_then_lines_then_figures():
    assert drawn(CALL, 80, 9).splitlines()[4:] == [
        " you  what is the weather in Oslo",
        " bot  It is four degrees and raining, and it will stay like this until the end",
        "      of the week.",
        " ·    metrics  ttfb llm 0.41 s",
        " m mute   v camera   t type   s statistics   r reconnect   ? keys   q quit",
    ]
    assert drawn(CALL, 80, 7).splitlines()[4:6] == ["      of the week.", " ·    metrics  ttfb llm 0.41 s"]
    four = drawn(CALL, 80, 4).splitlines()
    assert [row[:4] for row in four] == [" loc", " you", " bot", " m m"]


def test_the_keys_are_shown_with_what_they_do():
    for width in (40, 80):
        rows = drawn(replace(CALL, keys=True), width).splitlines()
        for key, _, what in KEYS:
            assert f" {key:<5}  {what}" in rows
    assert [key for key, _, _ in KEYS] == ["m", "v", "space", "t", "s", "r", "?", "q"]


def test_statistics_are_two_columns_where_they_fit():
    picture = replace(CALL, statistics=[("concealed", "0.2 %"), ("underruns", ""), ("chunk", "1384 bytes")])
    assert drawn(picture).splitlines()[-4:-2] == [
        " concealed  0.2 %                       chunk      1384 bytes",
        " underruns  –",
    ]
    assert drawn(picture, 40).splitlines()[-5:-2] == [
        " concealed  0.2 %",
        " underruns  –",
        " chunk      1384 bytes",
    ]


def test_a_notice_is_folded_to_three_rows_at_most():
    notice = "the microphone `USB` is gone; the call goes on without it " * 4
    rows = drawn(replace(CALL, notice=notice), 40).splitlines()[-4:-1]
    assert rows[0] == " the microphone `USB` is gone; the call"
    assert all(row.startswith(" ") for row in rows)


def test_while_a_message_is_typed_its_keys_are_shown():
    rows = drawn(replace(CALL, typing=("hello", 5))).splitlines()
    assert rows[-2:] == [" say  hello\u00a0", " enter send   esc cancel   ↑ earlier"]


DIRTY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.just("\x1b[2J\x07\r\n\x9b2J\u202e日本\t")


@given(DIRTY, DIRTY, DIRTY, st.integers(20, 130), st.integers(1, 30))
def test_nothing_of_the_other_side_steers_the_terminal_or_is_too_wide(one, two, three, width, height):
    picture = replace(
        CALL,
        place=one,
        state=two,
        path=three,
        me=replace(ME, name=one, note=two),
        lines=[Line(one, two), Line(two, three, quiet=True)],
        typing=(one, len(one) // 2),
        statistics=[(two, three)],
        notice=three,
    )
    rows = [row.plain for row in draw(picture, width, height).renderables]
    assert len(rows) <= height
    assert [row for row in rows if cell_len(row) > width] == []
    assert not {"\x1b", "\x07", "\r", "\n", "\t", "\x9b", "\u202e"} & set("".join(rows))
