"""A line that is typed: each key does what it does in a shell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.line_editor import Cancelled, LineEditor, Submitted, clusters

FAMILY = "👩\u200d👧"
ACCENTED = "e\u0301"


def typed(*keys):
    """An editor after text, as it is, and keys in `<>`."""
    editor = LineEditor()
    press(editor, *keys)
    return editor


def press(editor, *keys):
    outcome = None
    for key in keys:
        names = [key[1:-1]] if key.startswith("<") else [*key]
        for name in names:
            outcome = editor.press(name)
    return outcome


@pytest.mark.parametrize(
    ("keys", "view"),
    [
        ([], ("", 0)),
        (["hello"], ("hello", 5)),
        (["hllo", "<left>", "<left>", "<left>", "e"], ("hello", 2)),
        (["hello", "<home>", "<right>"], ("hello", 1)),
        (["hello", "<ctrl-a>", "<end>"], ("hello", 5)),
        (["hello", "<backspace>"], ("hell", 4)),
        (["hello", "<home>", "<backspace>", "<left>"], ("hello", 0)),
        (["hello", "<home>", "<delete>"], ("ello", 0)),
        (["hello", "<right>", "<delete>"], ("hello", 5)),
        (["one two", "<ctrl-u>"], ("", 0)),
        (["one two", "<left>", "<ctrl-u>"], ("o", 0)),
        (["one two", "<home>", "<right>", "<ctrl-k>"], ("o", 1)),
        (["one two  ", "<ctrl-w>"], ("one ", 4)),
        (["one two", "<left>", "<ctrl-w>"], ("one o", 4)),
        (["<ctrl-w>", "<ctrl-u>", "<up>", "<down>", "<tab>", "<page-up>"], ("", 0)),
        (["日本", "<left>", "x"], ("日x本", 2)),
        ([f"a{ACCENTED}", "<backspace>"], ("a", 1)),
        ([f"a{FAMILY}", "<left>", "b"], (f"ab{FAMILY}", 2)),
        (["\u0301"], ("\u0301", 1)),
    ],
)
def test_keys_edit_the_text_and_move_the_cursor(keys, view):
    assert typed(*keys).view() == view


def test_enter_submits_and_the_line_is_empty_again():
    editor = typed("hello", "<left>")
    assert editor.press("enter") == Submitted("hello")
    assert editor.view() == ("", 0)


@pytest.mark.parametrize("keys", [["hello", "<escape>"], ["<enter>"], ["  ", "<enter>"]])
def test_escape_and_enter_on_a_blank_line_cancel(keys):
    editor = LineEditor()
    assert press(editor, *keys) == Cancelled()
    assert editor.view() == ("", 0)


def test_earlier_lines_come_back_and_so_does_the_draft():
    editor = typed("one", "<enter>", "two", "<enter>", "two", "<enter>", "dra", "<escape>", "draft")
    seen = [press(editor, key) or editor.text for key in ("<up>", "<up>", "<up>", "<down>", "<down>", "<down>")]
    assert seen == ["two", "one", "one", "two", "draft", "draft"]


def test_an_earlier_line_can_be_changed_and_submitted_without_changing_history():
    editor = typed("one", "<enter>", "<up>", "!")
    assert editor.press("enter") == Submitted("one!")
    press(editor, "<up>", "<up>")
    assert editor.text == "one"


def test_a_hundred_lines_are_remembered():
    editor = LineEditor()
    for number in range(150):
        press(editor, str(number), "<enter>")
    press(editor, *["<up>"] * 200)
    assert editor.text == "50"


def test_a_line_has_an_end_and_what_is_too_much_is_counted():
    editor = typed("x" * 10_003)
    assert len(editor.text) == 10_000
    assert editor.dropped == 3
    press(editor, "<backspace>", "y")
    assert editor.text.endswith("xy")


def test_accents_without_end_are_not_one_character():
    assert [len(piece) for piece in clusters("e" + "\u0301" * 99)] == [32, 32, 32, 4]


@given(st.text())
def test_the_pieces_are_the_text(text):
    assert "".join(clusters(text)) == text


@given(
    st.lists(st.sampled_from(["a", " ", "é", "日", "\u0301", "left", "right", "home", "end", "backspace", "delete"]))
)
def test_the_cursor_is_always_within_the_text(keys):
    editor = LineEditor()
    for key in keys:
        editor.press(key)
        text, cursor = editor.view()
        assert 0 <= cursor <= len(text)
