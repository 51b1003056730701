"""What is said and typed, in rows that fit."""

import pytest

from smallrtc_cli.report.call_picture import Line
from smallrtc_cli.report.conversation import conversation, one_line, said, typed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("as  it is", "as  it is"),
        ("two\nlines\r\nand\u2028more", "two lines and more"),
        ("a\ttab", "a tab"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202egnihtyna", "gnihtyna"),
    ],
)
def test_text_is_one_line_and_steers_nothing(text, shown):
    assert one_line(text) == shown


def rows(lines, width=20, room=10):
    return [row.plain.rstrip() for row in conversation(lines, width, room)]


def test_words_are_kept_whole_and_what_follows_is_indented():
    assert rows([Line("bot", "one two three four five")]) == [" bot  one two three", "      four five"]


def test_the_last_rows_are_shown_where_there_is_no_room_for_all():
    lines = [Line("you", "first"), Line("bot", "one two three four five"), Line("you", "last")]
    assert rows(lines, room=2) == ["      four five", " you  last"]
    assert rows(lines, room=0) == []
    assert len(rows(lines, room=4)) == 4


def test_a_text_of_megabytes_shows_its_end():
    assert rows([Line("bot", "x " * 10**6 + "end")], room=2)[-1].endswith("x end")


def test_a_line_without_text_is_a_row():
    assert rows([Line("·", "")]) == [" ·"]
    assert said(Line("·", "", quiet=True)).plain == " ·    "


@pytest.mark.parametrize(
    ("text", "cursor", "shown", "under"),
    [
        ("", 0, "", "\u00a0"),
        ("hello", 5, "hello", "\u00a0"),
        ("hello", 0, "hello", "h"),
        ("a b", 1, "a\u00a0b", "\u00a0"),
        ("0123456789abcdefghij", 20, "789abcdefghij", "\u00a0"),
        ("0123456789abcdefghij", 0, "0123456789abcd", "0"),
        ("日本語日本語日本語", 9, "日本語日本語", "\u00a0"),
        ("e\u0301e\u0301", 2, "e\u0301e\u0301", "e\u0301"),
        ("\x1b[2J", 0, "\\x1b[2J", "\\"),
    ],
)
def test_what_is_typed_is_shown_around_its_cursor(text, cursor, shown, under):
    row = typed(text, cursor, 20)
    (span,) = [span for span in row.spans if span.style == "reverse"]
    assert row.plain.removesuffix("\u00a0") == f" say  {shown}".removesuffix("\u00a0")
    assert row.plain[span.start : span.end] == under
    assert row.cell_len <= 20
